#include "rpc/oap_hello.h"

#include "rpc/oap.h"

#include <jansson.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* IANA "TLS SignatureScheme": ed25519. */
#define SCHEME_ED25519 0x0807
/* IANA "TLS Supported Groups": MLKEM512 to MLKEM1024, which have no classical part. */
#define GROUP_MLKEM_FIRST 0x0200
#define GROUP_MLKEM_LAST 0x0202

static uint8_t kex_of(const pql_posture *posture)
{
    if (posture->group == 0) {
        return PQI_OAP_KEX_NONE;
    }
    if (posture->group >= GROUP_MLKEM_FIRST && posture->group <= GROUP_MLKEM_LAST) {
        return PQI_OAP_KEX_ML_KEM;
    }
    return pql_group_is_pq(posture->group) ? PQI_OAP_KEX_HYBRID : PQI_OAP_KEX_X25519;
}

static uint8_t sig_of(uint16_t scheme)
{
    if (scheme == 0) {
        return PQI_OAP_SIG_NONE;
    }
    if (pql_signature_is_pq(scheme)) {
        return PQI_OAP_SIG_ML_DSA;
    }
    return scheme == SCHEME_ED25519 ? PQI_OAP_SIG_ED25519 : PQI_OAP_SIG_UNKNOWN;
}

pqi_oap_posture pqi_oap_posture_of(pql_policy policy, const pql_posture *posture, bool server)
{
    const pqi_oap_mode mode = pql_policy_needs_pq(policy)   ? PQI_OAP_MODE_PQ_ONLY
                              : pql_policy_wants_pq(policy) ? PQI_OAP_MODE_HYBRID
                                                            : PQI_OAP_MODE_OFF;
    return (pqi_oap_posture){.mode = (uint8_t)mode,
                             .kex = kex_of(posture),
                             .sig =
                                 sig_of(server ? posture->own_signature : posture->peer_signature)};
}

pqi_oap_claim pqi_oap_claim_judge(const pqi_oap_posture *claim, const pqi_oap_posture *negotiated)
{
    if (claim == NULL) {
        return PQI_OAP_CLAIM_ABSENT;
    }
    if (claim->kex > PQI_OAP_KEX_HYBRID || claim->sig > PQI_OAP_SIG_SLH_DSA) {
        return PQI_OAP_CLAIM_UNKNOWN;
    }
    return claim->kex == negotiated->kex && claim->sig == negotiated->sig ? PQI_OAP_CLAIM_AGREES
                                                                          : PQI_OAP_CLAIM_DISAGREES;
}

const char *pqi_oap_claim_name(pqi_oap_claim claim)
{
    static const char *const names[] = {[PQI_OAP_CLAIM_ABSENT] = "absent",
                                        [PQI_OAP_CLAIM_AGREES] = "agrees",
                                        [PQI_OAP_CLAIM_UNKNOWN] = "unknown",
                                        [PQI_OAP_CLAIM_DISAGREES] = "disagrees"};
    return names[claim];
}

/* ---- Writing ---- */

static void write_posture(char *out, size_t size, bool has, const pqi_oap_posture *posture)
{
    out[0] = '\0';
    if (has) {
        (void)snprintf(out, size, ",\"pq\":{\"mode\":%u,\"kex\":%u,\"sig\":%u}",
                       (unsigned)posture->mode, (unsigned)posture->kex, (unsigned)posture->sig);
    }
}

static pql_status finish(pqi_writer *w, const char *text, pql_error *err)
{
    pqi_write_bytes(w, text, strlen(text));
    return pqi_writer_ok(w)
               ? PQL_OK
               : pqi_fail(err, PQL_E_LIMIT, "A HELLO of %zu bytes does not fit its buffer.",
                          strlen(text));
}

/* Printable ASCII that JSON does not escape. */
static bool agent_ok(const char *agent)
{
    const size_t len = strlen(agent);
    for (size_t i = 0; i < len; i++) {
        if (agent[i] < ' ' || agent[i] > '~' || agent[i] == '"' || agent[i] == '\\') {
            return false;
        }
    }
    return len <= PQI_OAP_AGENT_MAX;
}

pql_status pqi_oap_hello_write(pqi_writer *w, const pqi_oap_hello *hello, pql_error *err)
{
    char text[PQI_OAP_HELLO_MAX];
    char posture[64];
    if (hello->has_agent && !agent_ok(hello->agent)) {
        return pqi_fail(err, PQL_E_USAGE, "The agent's name has at most %d printable characters.",
                        PQI_OAP_AGENT_MAX);
    }
    const char *quote = hello->has_agent ? "\"" : "";
    write_posture(posture, sizeof(posture), hello->has_posture, &hello->posture);
    (void)snprintf(text, sizeof(text), "{\"ua\":%s%s%s%s}", quote,
                   hello->has_agent ? hello->agent : "null", quote, posture);
    return finish(w, text, err);
}

pql_status pqi_oap_welcome_write(pqi_writer *w, const pqi_oap_welcome *welcome, pql_error *err)
{
    char text[PQI_OAP_HELLO_MAX];
    char posture[64];
    write_posture(posture, sizeof(posture), welcome->has_posture, &welcome->posture);
    (void)snprintf(text, sizeof(text),
                   "{\"max_frame\":%u,\"max_inflight\":%u,\"flags_supported\":%u,\"versions\":[%d],"
                   "\"transports\":[\"quic\",\"tcp+tls\"]%s}",
                   (unsigned)welcome->frame_max, (unsigned)welcome->inflight_max,
                   (unsigned)welcome->flags, PQI_OAP_VERSION, posture);
    return finish(w, text, err);
}

/* ---- Reading ---- */

static json_t *parse(const uint8_t *payload, size_t len, pql_error *err)
{
    json_error_t why;
    if (len > PQI_OAP_HELLO_MAX) {
        (void)pqi_fail(err, PQL_E_PROTOCOL, "A HELLO of %zu bytes is over %d.", len,
                       PQI_OAP_HELLO_MAX);
        return NULL;
    }
    json_t *root = json_loadb((const char *)payload, len, JSON_REJECT_DUPLICATES, &why);
    if (!json_is_object(root)) {
        json_decref(root);
        (void)pqi_fail(err, PQL_E_PROTOCOL, "A HELLO is not a JSON object.");
        return NULL;
    }
    return root;
}

static bool small(const json_t *object, const char *name, uint8_t *out)
{
    const json_t *value = json_object_get(object, name);
    const json_int_t number = json_integer_value(value);
    *out = (uint8_t)number;
    return json_is_integer(value) && number >= 0 && number <= UINT8_MAX;
}

/* False when there is one and it is not as it must be. */
static bool read_posture(const json_t *root, bool *has, pqi_oap_posture *out)
{
    const json_t *pq = json_object_get(root, "pq");
    *has = pq != NULL;
    return pq == NULL || (small(pq, "mode", &out->mode) && small(pq, "kex", &out->kex) &&
                          small(pq, "sig", &out->sig));
}

static bool number(const json_t *root, const char *name, uint32_t *out)
{
    const json_t *value = json_object_get(root, name);
    const json_int_t n = json_integer_value(value);
    *out = (uint32_t)n;
    return json_is_integer(value) && n >= 0 && n <= UINT32_MAX;
}

static bool read_agent(const json_t *root, pqi_oap_hello *out)
{
    const json_t *ua = json_object_get(root, "ua");
    if (ua == NULL || json_is_null(ua)) {
        return true;
    }
    if (!json_is_string(ua) || json_string_length(ua) != strlen(json_string_value(ua)) ||
        !agent_ok(json_string_value(ua))) {
        return false;
    }
    out->has_agent = true;
    (void)snprintf(out->agent, sizeof(out->agent), "%s", json_string_value(ua));
    return true;
}

pql_status pqi_oap_hello_read(pqi_oap_hello *out, const uint8_t *payload, size_t len,
                              pql_error *err)
{
    memset(out, 0, sizeof(*out));
    json_t *root = parse(payload, len, err);
    if (root == NULL) {
        return PQL_E_PROTOCOL;
    }
    const bool ok = read_agent(root, out) && read_posture(root, &out->has_posture, &out->posture);
    json_decref(root);
    if (!ok) {
        memset(out, 0, sizeof(*out));
        return pqi_fail(err, PQL_E_PROTOCOL, "A HELLO has a malformed member.");
    }
    return PQL_OK;
}

static bool speaks_version(const json_t *root)
{
    const json_t *versions = json_object_get(root, "versions");
    for (size_t i = 0; i < json_array_size(versions); i++) {
        if (json_integer_value(json_array_get(versions, i)) == PQI_OAP_VERSION) {
            return true;
        }
    }
    return false;
}

pql_status pqi_oap_welcome_read(pqi_oap_welcome *out, const uint8_t *payload, size_t len,
                                pql_error *err)
{
    memset(out, 0, sizeof(*out));
    json_t *root = parse(payload, len, err);
    if (root == NULL) {
        return PQL_E_PROTOCOL;
    }
    const bool ok = number(root, "max_frame", &out->frame_max) &&
                    number(root, "max_inflight", &out->inflight_max) &&
                    number(root, "flags_supported", &out->flags) && speaks_version(root) &&
                    read_posture(root, &out->has_posture, &out->posture);
    json_decref(root);
    if (!ok) {
        memset(out, 0, sizeof(*out));
        return pqi_fail(err, PQL_E_PROTOCOL,
                        "The answer to HELLO has a malformed member or offers no version 1.");
    }
    return PQL_OK;
}
