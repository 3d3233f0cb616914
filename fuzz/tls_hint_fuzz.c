/* A hint that comes from a stranger is read within its bounds, and never names two leaves that it
 * does not hold: what names a random fingerprint was written for it. */
#include "quic/tls_hint.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const pql_fingerprint seeded = {.form = PQL_FINGERPRINT_CERT};
    static const pql_fingerprint spki = {.form = PQL_FINGERPRINT_SPKI};
    uint8_t hint[PQI_TLS_HINT_SIZE];
    (void)pqi_tls_hint_names(data, size, &spki);
    if (pqi_tls_hint_names(data, size, &seeded)) {
        /* The shortest that can name it is the one that we would write. */
        const size_t len = pqi_tls_hint_write(hint, &seeded, 1);
        if (size < len || memmem(data, size, hint + 4, len - 4) == NULL) {
            abort();
        }
    }
    return 0;
}
