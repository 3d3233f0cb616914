/* pqlink version: what this program is made of. */
#include "base/clock.h"
#include "cmd/commands.h"
#include "cmd/facts.h"
#include "cmd/fingerprint.h"
#include "crypto/self_test.h"

#include <jansson.h>
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

static pql_status print_json(bool tested, uint64_t took, pql_error *err)
{
    json_t *test = tested ? json_pack("{s:s, s:I}", "algorithms", pqi_self_test_algorithms,
                                      "took_us", (json_int_t)(took / PQI_NS_PER_US))
                          : json_null();
    return pqi_fingerprint_print_json(
        json_pack("{s:s, s:s, s:s, s:o, s:o, s:o}", "pqlink", PQLINK_VERSION, "aws_lc",
                  pqi_crypto_version(), "ngtcp2", pqi_quic_version(), "build", pqi_build_json(),
                  "dependencies", pqi_dependencies_json(), "self_test", test),
        err);
}

static void print_text(bool tested, uint64_t took)
{
    printf("%s %s\nAWS-LC %s\nngtcp2 %s\ncommit %s\n", PQI_PROGRAM, PQLINK_VERSION,
           pqi_crypto_version(), pqi_quic_version(), pqi_build_commit);
    if (tested) {
        printf("self-test passed in %.1f ms: %s\n", (double)took / (double)PQI_NS_PER_MS,
               pqi_self_test_algorithms);
    }
}

static pql_status version_run(const void *options, pql_error *err)
{
    const version_options *o = options;
    uint64_t took = 0;
    if (o->self_test) {
        const pql_status status = pqi_self_test(&pqi_self_test_known, &took, err);
        if (status != PQL_OK) {
            return status;
        }
    }
    if (o->json) {
        return print_json(o->self_test, took, err);
    }
    print_text(o->self_test, took);
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
