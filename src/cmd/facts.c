#include "cmd/facts.h"

#include "policy/table.h"

#include <microhttpd.h>
#include <ngtcp2/ngtcp2.h>
#include <openssl/base.h>
#include <sqlite3.h>
#include <string.h>
#include <uv.h>

#if defined(__clang__)
#define COMPILER "clang " __clang_version__
#else
#define COMPILER "gcc " __VERSION__
#endif

const char *pqi_build_commit = "unknown";

const char *pqi_crypto_version(void)
{
    return AWSLC_VERSION_NUMBER_STRING;
}

const char *pqi_quic_version(void)
{
    return ngtcp2_version(0)->version_str;
}

json_t *pqi_build_json(void)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:s}", "commit", pqi_build_commit, "compiler", COMPILER,
                     "type", PQLINK_BUILD_TYPE, "flags", PQLINK_BUILD_FLAGS, "sanitizers",
                     PQLINK_BUILD_SANITIZERS);
}

json_t *pqi_dependencies_json(void)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "aws_lc", pqi_crypto_version(), "ngtcp2",
                     pqi_quic_version(), "libuv", uv_version_string(), "jansson",
                     jansson_version_str(), "sqlite", sqlite3_libversion(), "libmicrohttpd",
                     MHD_get_version());
}

/* The parts of |list| between colons. */
static json_t *split(const char *list)
{
    json_t *parts = json_array();
    for (const char *at = list; *at != '\0';) {
        const size_t len = strcspn(at, ":");
        (void)json_array_append_new(parts, json_stringn(at, len));
        at += len + (at[len] == ':' ? 1 : 0);
    }
    return parts;
}

static json_t *signatures_json(const pqi_policy_row *row, bool pq_authentication)
{
    json_t *names = json_array();
    for (size_t i = 0; i < PQI_POLICY_SCHEMES && row->schemes[i] != 0; i++) {
        if (!pq_authentication || pql_signature_is_pq(row->schemes[i])) {
            (void)json_array_append_new(names, json_string(pql_signature_name(row->schemes[i])));
        }
    }
    return names;
}

json_t *pqi_posture_json(pql_policy policy, bool pq_authentication)
{
    const pqi_policy_row *row = pqi_policy_row_of(policy);
    const bool pq = pq_authentication || pql_policy_needs_pq_authentication(policy);
    return json_pack("{s:s, s:s, s:s, s:b, s:o, s:o, s:o}", "policy", pql_policy_name(policy),
                     "dated", row->name, "authentication", pq ? "ml-dsa" : "any",
                     "key_exchange_required", (int)pql_policy_needs_pq(policy), "groups",
                     split(row->groups), "signatures", signatures_json(row, pq), "ciphers",
                     split(row->ciphers));
}
