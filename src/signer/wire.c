#include "signer/wire.h"

#include "base/cursor.h"
#include "base/error.h"
#include "base/text.h"

#include <string.h>

#define VERSION 1
#define KIND_REQUEST 1
#define KIND_ANSWER 2
#define KIND_HELLO 3
#define PADDING 64
#define PADDING_BYTE 0x20
#define SHA256_LEN 32
#define SHA384_LEN 48
#define SENTENCE_MAX (PQI_SIGNER_HELLO_MAX - 6)

/* With their zero byte, which is the separator on the wire. */
static const char server_context[] = "TLS 1.3, server CertificateVerify";
static const char client_context[] = "TLS 1.3, client CertificateVerify";

const char *pqi_signer_verdict_name(pqi_signer_verdict verdict)
{
    static const char *const names[PQI_SIGNER_VERDICTS] = {"signed",    "not_tls", "no_key",
                                                           "no_scheme", "failed",  "malformed"};
    return verdict < PQI_SIGNER_VERDICTS ? names[verdict] : "unknown";
}

pqi_signer_role pqi_signer_input_role(const uint8_t *input, size_t len)
{
    const size_t hash_at = PADDING + sizeof(server_context);
    if (len != hash_at + SHA256_LEN && len != hash_at + SHA384_LEN) {
        return PQI_SIGNER_NOBODY;
    }
    for (size_t i = 0; i < PADDING; i++) {
        if (input[i] != PADDING_BYTE) {
            return PQI_SIGNER_NOBODY;
        }
    }
    if (memcmp(input + PADDING, server_context, sizeof(server_context)) == 0) {
        return PQI_SIGNER_SERVER;
    }
    return memcmp(input + PADDING, client_context, sizeof(client_context)) == 0 ? PQI_SIGNER_CLIENT
                                                                                : PQI_SIGNER_NOBODY;
}

static void begin(pqi_writer *w, uint8_t *out, size_t size, uint8_t kind)
{
    pqi_writer_init(w, out, size);
    pqi_write_u8(w, VERSION);
    pqi_write_u8(w, kind);
}

static bool begins(pqi_reader *r, const uint8_t *data, size_t len, uint8_t kind)
{
    pqi_reader_init(r, data, len);
    const uint8_t version = pqi_read_u8(r);
    return pqi_read_u8(r) == kind && version == VERSION;
}

size_t pqi_signer_request_write(uint8_t *out, size_t size, const pqi_signer_request *request)
{
    pqi_writer w;
    if (request->input_len > PQI_SIGNER_INPUT_MAX) {
        return 0;
    }
    begin(&w, out, size, KIND_REQUEST);
    pqi_write_u64(&w, request->id);
    pqi_write_bytes(&w, request->cert, sizeof(request->cert));
    pqi_write_u16(&w, request->scheme);
    pqi_write_u16(&w, (uint16_t)request->input_len);
    pqi_write_bytes(&w, request->input, request->input_len);
    return pqi_writer_ok(&w) ? w.len : 0;
}

bool pqi_signer_request_read(pqi_signer_request *out, const uint8_t *data, size_t len)
{
    pqi_reader r;
    *out = (pqi_signer_request){0};
    if (!begins(&r, data, len, KIND_REQUEST)) {
        return false;
    }
    out->id = pqi_read_u64(&r);
    (void)pqi_read_copy(&r, out->cert, sizeof(out->cert));
    out->scheme = pqi_read_u16(&r);
    out->input_len = pqi_read_u16(&r);
    out->input = pqi_read_bytes(&r, out->input_len);
    if (!pqi_reader_done(&r) || out->input_len > PQI_SIGNER_INPUT_MAX) {
        *out = (pqi_signer_request){0};
        return false;
    }
    return true;
}

/* A signature is there when it was made, and never otherwise. */
static bool answer_makes_sense(const pqi_signer_answer *answer)
{
    const bool made = answer->verdict == PQI_SIGNER_SIGNED;
    return answer->verdict < PQI_SIGNER_VERDICTS &&
           answer->signature_len <= PQI_SIGNER_SIGNATURE_MAX && made == (answer->signature_len > 0);
}

size_t pqi_signer_answer_write(uint8_t *out, size_t size, const pqi_signer_answer *answer)
{
    pqi_writer w;
    if (!answer_makes_sense(answer)) {
        return 0;
    }
    begin(&w, out, size, KIND_ANSWER);
    pqi_write_u64(&w, answer->id);
    pqi_write_u8(&w, (uint8_t)answer->verdict);
    pqi_write_u16(&w, (uint16_t)answer->signature_len);
    pqi_write_bytes(&w, answer->signature, answer->signature_len);
    return pqi_writer_ok(&w) ? w.len : 0;
}

bool pqi_signer_answer_read(pqi_signer_answer *out, const uint8_t *data, size_t len)
{
    pqi_reader r;
    *out = (pqi_signer_answer){0};
    if (!begins(&r, data, len, KIND_ANSWER)) {
        return false;
    }
    out->id = pqi_read_u64(&r);
    out->verdict = (pqi_signer_verdict)pqi_read_u8(&r);
    out->signature_len = pqi_read_u16(&r);
    out->signature = pqi_read_bytes(&r, out->signature_len);
    if (!pqi_reader_done(&r) || !answer_makes_sense(out)) {
        *out = (pqi_signer_answer){0};
        return false;
    }
    return true;
}

size_t pqi_signer_hello_write(uint8_t *out, size_t size, pql_status status, const char *sentence)
{
    pqi_writer w;
    const size_t len = strnlen(sentence, SENTENCE_MAX);
    begin(&w, out, size, KIND_HELLO);
    pqi_write_u16(&w, (uint16_t)-status);
    pqi_write_u16(&w, (uint16_t)len);
    pqi_write_bytes(&w, sentence, len);
    return pqi_writer_ok(&w) ? w.len : 0;
}

pql_status pqi_signer_hello_read(const uint8_t *data, size_t len, pql_error *err)
{
    char text[SENTENCE_MAX + 1] = "";
    pqi_reader r;
    const bool hello = begins(&r, data, len, KIND_HELLO);
    const pql_status status = (pql_status)(-(int)pqi_read_u16(&r));
    const size_t text_len = pqi_read_u16(&r);
    if (hello && text_len <= SENTENCE_MAX) {
        (void)pqi_read_copy(&r, text, text_len);
    }
    if (!hello || !pqi_reader_done(&r)) {
        return pqi_fail(err, PQL_E_PROTOCOL, "The key process did not say hello.");
    }
    if (status == PQL_OK) {
        return PQL_OK;
    }
    pqi_text_clean(text);
    return pqi_fail(err, status, "%s", text);
}
