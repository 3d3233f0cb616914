/* pqlink version: what this program is made of. */
#include "base/clock.h"
#include "cmd/commands.h"
#include "crypto/self_test.h"

#include <jansson.h>
#include <ngtcp2/ngtcp2.h>
#include <openssl/crypto.h>
#include <stdio.h>

typedef struct version_options {
    bool json;
    bool self_test;
} version_options;

static const pqi_option version_table[] = {
    {.name = "json",
     .kind = PQI_OPTION_FLAG,
     .at = PQI_AT(version_options, json, bool),
     .help = "Print one JSON object."},
    {.name = "self-test",
     .kind = PQI_OPTION_FLAG,
     .at = PQI_AT(version_options, self_test, bool),
     .help = "Ask the cryptography for known answers first, as every start of node and mine does."},
};

static pql_status print_json(const char *tls, const char *quic)
{
    json_t *root =
        json_pack("{s:s, s:s, s:s}", "pqlink", PQLINK_VERSION, "aws_lc", tls, "ngtcp2", quic);
    if (root == NULL) {
        return PQL_E_NOMEM;
    }
    (void)json_dumpf(root, stdout, JSON_COMPACT);
    (void)putchar('\n');
    json_decref(root);
    return PQL_OK;
}

static pql_status version_run(const void *options, pql_error *err)
{
    const version_options *o = options;
    const char *tls = AWSLC_VERSION_NUMBER_STRING;
    const char *quic = ngtcp2_version(0)->version_str;
    uint64_t took = 0;
    if (o->self_test) {
        const pql_status status = pqi_self_test(&pqi_self_test_known, &took, err);
        if (status != PQL_OK) {
            return status;
        }
    }
    if (o->json) {
        const pql_status status = print_json(tls, quic);
        return status == PQL_OK ? PQL_OK : pqi_fail(err, status, "Out of memory.");
    }
    printf("%s %s\nAWS-LC %s\nngtcp2 %s\n", PQI_PROGRAM, PQLINK_VERSION, tls, quic);
    if (o->self_test) {
        printf("self-test passed in %.1f ms: %s\n", (double)took / (double)PQI_NS_PER_MS,
               pqi_self_test_algorithms);
    }
    return PQL_OK;
}

const pqi_command pqi_command_version = {
    .name = "version",
    .summary = "Show the version, and those of the libraries within",
    .description =
        "Prints the version of pqlink, of AWS-LC (cryptography and TLS) and of ngtcp2 "
        "(QUIC).  Include it in bug reports.  With --self-test the algorithms that links "
        "stand on are asked for known answers first; a wrong one is exit status 1.",
    PQI_OPTIONS(version_table),
    .options_size = sizeof(version_options),
    .no_config = true,
    .run = version_run,
};
