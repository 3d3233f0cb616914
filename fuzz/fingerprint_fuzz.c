/* Text and DER through the two ways to a fingerprint: what is read must format and read again. */
#include "identity/identity.h"

#include <stdlib.h>
#include <string.h>

/* Longer text than any that a person pastes. */
#define TEXT_MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_text(const uint8_t *data, size_t size)
{
    char text[TEXT_MAX + 1];
    char formatted[PQL_FINGERPRINT_SIZE];
    pql_fingerprint fp;
    pql_fingerprint again;
    pql_error err;
    if (size > TEXT_MAX) {
        return;
    }
    memcpy(text, data, size);
    text[size] = '\0';
    if (pql_fingerprint_parse(&fp, text, &err) != PQL_OK) {
        return;
    }
    pql_fingerprint_format(&fp, formatted);
    if (pql_fingerprint_parse(&again, formatted, &err) != PQL_OK || again.form != fp.form ||
        memcmp(again.sha256, fp.sha256, sizeof(fp.sha256)) != 0) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    pql_fingerprint of_cert;
    pql_fingerprint of_spki;
    try_text(data, size);
    /* Both forms exist for the same inputs. */
    if (pqi_fingerprint_of_der(data, size, PQL_FINGERPRINT_CERT, &of_cert) !=
        pqi_fingerprint_of_der(data, size, PQL_FINGERPRINT_SPKI, &of_spki)) {
        abort();
    }
    return 0;
}
