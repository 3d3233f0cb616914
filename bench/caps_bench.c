/* Time of verifying a capability token, by number of caveats, without and with signatures.
 *
 * Usage: caps_bench [VERIFICATIONS]      of each token (default 20000; a tenth of it with ML-DSA, a
 *                                        hundredth with SLH-DSA)
 *
 * stdout: one JSON object on one line,
 *   {"bench":"caps","results":[{"signature":"none","caveats":0,"p50_us":T,"p95_us":T},...],
 *    "per_caveat_us":T}
 * per_caveat_us: (p50 with 64 caveats - p50 with none) / 64.  stderr: the same as a table, with the
 * budget of docs/capability-tokens.md.  SLH-DSA is left out where OpenSSL has none. */
#include "bench.h"

#include "base/secret.h"
#include "caps/mint.h"
#include "caps/verify.h"
#include "crypto/random.h"

#include <string.h>

#define DEFAULT_COUNT 20000
#define NOW UINT64_C(1700000000)
#define BUDGET_US 60.0
#define BUDGET_CAVEAT_US 8.0
#define RESULTS_MAX 8

typedef struct result {
    const char *signature;
    size_t caveats;
    double p50_us, p95_us;
} result;

static const size_t caveat_counts[] = {0, 1, 4, 16, PQI_CAP_CAVEATS_MAX};
#define CAVEAT_COUNTS (sizeof(caveat_counts) / sizeof(caveat_counts[0]))

/* What a request of the admin port has; every caveat is one that has to look at something. */
static char *token_of(const pqi_cap_key *key, size_t caveats, bool sign)
{
    static const uint8_t network[4] = {10};
    pqi_cap_rule rules[1 + PQI_CAP_CAVEATS_MAX] = {
        {.type = PQI_CAP_RULE_AUDIENCE, .text = {(const uint8_t *)"admin", 5}}};
    for (size_t i = 1; i <= caveats; i++) {
        rules[i] = i % 2 == 0 ? (pqi_cap_rule){.type = PQI_CAP_RULE_ADDRESS,
                                               .number = 8,
                                               .address = {network, sizeof(network)}}
                              : (pqi_cap_rule){.type = PQI_CAP_RULE_EXPIRES, .number = NOW + 60};
    }
    pqi_cap_mint mint = {.rules = rules, .count = 1 + caveats, .sign = sign};
    char *text = NULL;
    pqi_random(mint.nonce, sizeof(mint.nonce));
    check(pqi_cap_mint_token(&text, key, &mint, NULL) == PQL_OK, "minting");
    return text;
}

static result measure(const pqi_cap_keys *keys, const char *signature, size_t caveats, size_t count)
{
    static const struct in6_addr address = {
        .s6_addr = {[10] = 0xff, [11] = 0xff, [12] = 10, [15] = 1}};
    const pqi_cap_request request = {
        .audience = "admin", .method = "GET", .path = "/status", .address = &address};
    const pqi_cap_policy policy = {.skew = PQI_CAP_SKEW_DEFAULT};
    const bool sign = keys->keys[0].algorithm != PQI_CAP_UNSIGNED;
    char *text = token_of(&keys->keys[0], caveats, sign);
    double *times = calloc(count, sizeof(*times));
    check(times != NULL, "memory");
    for (size_t i = 0; i < count; i++) {
        pqi_cap_verdict verdict;
        const uint64_t begin = pqi_clock_monotonic();
        check(pqi_cap_verify(text, strlen(text), keys, &policy, &request, NOW, &verdict),
              "verifying");
        times[i] = (double)(pqi_clock_monotonic() - begin) / (double)PQI_NS_PER_US;
    }
    const result r = {.signature = signature,
                      .caveats = caveats,
                      .p50_us = quantile(times, count, 0.5),
                      .p95_us = quantile(times, count, 0.95)};
    free(times);
    pqi_secret_free(text, strlen(text));
    return r;
}

static pqi_cap_keys keys_of(pqi_cap_algorithm algorithm)
{
    pqi_cap_keys keys = {0};
    pqi_cap_key key;
    check(pqi_cap_key_make(&key, "bench", "bench", algorithm, NULL) == PQL_OK &&
              pqi_cap_keys_add(&keys, &key, NULL) == PQL_OK,
          "making a key");
    pqi_secret_wipe(&key, sizeof(key));
    return keys;
}

static result measure_signed(pqi_cap_algorithm algorithm, const char *name, size_t count)
{
    pqi_cap_keys keys = keys_of(algorithm);
    const result r = measure(&keys, name, 1, count > 0 ? count : 1);
    pqi_cap_keys_clear(&keys);
    return r;
}

static void print(const result *results, size_t count)
{
    printf("{\"bench\":\"caps\",\"results\":[");
    for (size_t i = 0; i < count; i++) {
        const result *r = &results[i];
        printf("%s{\"signature\":\"%s\",\"caveats\":%zu,\"p50_us\":%.2f,\"p95_us\":%.2f}",
               i == 0 ? "" : ",", r->signature, r->caveats, r->p50_us, r->p95_us);
        (void)fprintf(stderr, "%-28s %3zu caveats  p50 %8.2f us  p95 %8.2f us", r->signature,
                      r->caveats, r->p50_us, r->p95_us);
        if (i < CAVEAT_COUNTS) {
            (void)fprintf(stderr, "  budget %.0f us",
                          BUDGET_US + BUDGET_CAVEAT_US * (double)r->caveats);
        }
        (void)fprintf(stderr, "\n");
    }
    const double per_caveat =
        (results[CAVEAT_COUNTS - 1].p50_us - results[0].p50_us) / PQI_CAP_CAVEATS_MAX;
    printf("],\"per_caveat_us\":%.3f}\n", per_caveat);
    (void)fprintf(stderr, "per caveat %.3f us, budget %.0f us\n", per_caveat, BUDGET_CAVEAT_US);
}

int main(int argc, char **argv)
{
    const size_t count = argc > 1 ? (size_t)strtoull(argv[1], NULL, 10) : DEFAULT_COUNT;
    result results[RESULTS_MAX];
    size_t have = 0;
    check(count > 0, "the number of verifications");
    pqi_cap_keys keys = keys_of(PQI_CAP_UNSIGNED);
    while (have < CAVEAT_COUNTS) {
        results[have] = measure(&keys, "none", caveat_counts[have], count);
        have++;
    }
    pqi_cap_keys_clear(&keys);
    results[have++] = measure_signed(PQI_CAP_ML_DSA_65, "ed25519+ml-dsa-65", count / 10);
    if (pqi_slh_dsa_check(NULL) == PQL_OK) {
        results[have++] =
            measure_signed(PQI_CAP_SLH_DSA_192S, "ed25519+slh-dsa-sha2-192s", count / 100);
    }
    print(results, have);
    return 0;
}
