/* What the network process, once it is somebody else's, can send to the key process: every packet
 * gets one whole answer, and a signature is given for a CertificateVerify of a server alone.  An
 * input that begins with a 1 gets the certificate that is there put in its place, so that the way
 * to the key is open. */
#include "base/log.h"
#include "identity/identity.h"
#include "signer/keys.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CERT_AT 10

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char dir[] = "/tmp/pqlink-fuzz-keys-XXXXXX";
static pqi_signer_keys *keys;
static uint8_t cert[PQI_SIGNER_CERT_LEN];

static void remove_dir(void)
{
    static const char *const files[] = {"pq-key.pem", "pq-cert.pem", "classical-key.pem",
                                        "classical-cert.pem"};
    char path[128];
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        (void)snprintf(path, sizeof(path), "%s/identity/%s", dir, files[i]);
        (void)unlink(path);
    }
    (void)snprintf(path, sizeof(path), "%s/identity", dir);
    (void)rmdir(path);
    (void)rmdir(dir);
    pqi_signer_keys_free(keys);
}

static void set_up(void)
{
    pql_identity *id = NULL;
    pqi_log_setup(open("/dev/null", O_WRONLY | O_CLOEXEC), PQI_LOG_ERROR, PQI_LOG_JSON);
    if (mkdtemp(dir) == NULL || pql_identity_open(&id, dir, NULL, NULL) != PQL_OK ||
        pqi_signer_keys_open(&keys, dir, NULL, PQI_SIGNER_SERVER, NULL) != PQL_OK) {
        abort();
    }
    memcpy(cert, pqi_identity_leaves(id)[PQL_LEAF_CLASSICAL].of_cert.sha256, sizeof(cert));
    pql_identity_free(id);
    (void)atexit(remove_dir);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t packet[PQI_SIGNER_REQUEST_MAX];
    uint8_t out[PQI_SIGNER_ANSWER_MAX];
    pqi_signer_answer answer;
    pqi_signer_request request;
    if (keys == NULL) {
        set_up();
    }
    if (size > sizeof(packet)) {
        return 0;
    }
    memcpy(packet, data, size);
    if (size >= CERT_AT + sizeof(cert) && packet[0] == 1) {
        memcpy(packet + CERT_AT, cert, sizeof(cert));
    }
    const size_t len = pqi_signer_keys_answer(keys, packet, size, out);
    if (!pqi_signer_answer_read(&answer, out, len)) {
        abort();
    }
    const bool whole = pqi_signer_request_read(&request, packet, size);
    if (whole != (answer.verdict != PQI_SIGNER_MALFORMED) || answer.id != request.id) {
        abort();
    }
    if (answer.verdict == PQI_SIGNER_SIGNED &&
        pqi_signer_input_role(request.input, request.input_len) != PQI_SIGNER_SERVER) {
        abort();
    }
    return 0;
}
