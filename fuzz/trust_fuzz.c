/* A peer's certificate chain through every way of trust.  The input is a row of certificates, each
 * with its length in two bytes (big-endian) before it. */
#include "base/cursor.h"
#include "trust/trust.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <stdio.h>

#define NOW INT64_C(1790000000)
#define CHAIN_MAX 8

/* The root of the seeds in corpus/trust; its key is gone. */
static const char root_pem[] = "-----BEGIN CERTIFICATE-----\n"
                               "MIIBKzCB0qADAgECAgEBMAoGCCqGSM49BAMCMBQxEjAQBgNVBAMMCWZ1enogcm9v\n"
                               "dDAgFw0yMDAxMDEwMDAwMDBaGA8yMTIwMDEwMTAwMDAwMFowFDESMBAGA1UEAwwJ\n"
                               "ZnV6eiByb290MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE8krh676yO89RVdVF\n"
                               "gjTL9qd7/WznKcBqzOH/S6Qu9iumSbKfuCJE90m81kDzCpy0kKdKQmMDZSUCWRPR\n"
                               "LnjehqMTMBEwDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNIADBFAiEA5c0u\n"
                               "W1/L7N9uIjCOMqrF+L3uTBQgZeaMDpz97TmPrwkCIEC5/d4MOjJa1VYsiiNu6AMt\n"
                               "bHbAxJeH5DzTeJuL3Kwl\n"
                               "-----END CERTIFICATE-----\n";

static pqi_trust *pinned;
static pqi_trust *first_use;
static pqi_trust *authority;

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static pql_status get_nothing(void *user, const char *name, pql_known_peer *out)
{
    (void)user;
    (void)name;
    (void)out;
    return PQL_E_NOT_FOUND;
}

static pql_status put_nowhere(void *user, const char *name, const pql_known_peer *peer)
{
    (void)user;
    (void)name;
    (void)peer;
    return PQL_OK;
}

static void make(pqi_trust **trust, const pql_peer *peer)
{
    if (pqi_trust_new(trust, peer, NULL) != PQL_OK) {
        abort();
    }
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    char path[64];
    static const pql_fingerprint pin;
    const pql_tofu tofu = {get_nothing, put_nowhere, NULL};
    const int fd = memfd_create("roots", MFD_CLOEXEC);
    if (fd < 0 || write(fd, root_pem, sizeof(root_pem) - 1) != (ssize_t)(sizeof(root_pem) - 1)) {
        abort();
    }
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    make(&pinned, &(pql_peer){.pins = &pin, .pin_count = 1});
    make(&first_use, &(pql_peer){.tofu = &tofu});
    make(&authority, &(pql_peer){.ca_file = path});
    (void)close(fd);
    return 0;
}

static pqi_chain read_chain(const uint8_t *data, size_t size)
{
    pqi_chain chain = {.count = 0};
    pqi_reader r;
    pqi_reader_init(&r, data, size);
    while (chain.count < CHAIN_MAX && pqi_reader_left(&r) > 0) {
        const size_t len = pqi_read_u16(&r);
        const uint8_t *der = pqi_read_bytes(&r, len);
        if (!pqi_reader_ok(&r)) {
            break;
        }
        chain.der[chain.count] = der;
        chain.len[chain.count] = len;
        chain.count++;
    }
    return chain;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const pqi_chain chain = read_chain(data, size);
    const pqi_trust *ways[] = {pinned, first_use, authority};
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        pql_error err;
        pql_trust how;
        const pql_status status = pqi_trust_check(ways[i], &chain, "localhost", "localhost:9833",
                                                  NOW, PQI_KEX_HYBRID, &how, &err);
        if ((status == PQL_OK) != (how != PQL_TRUST_NONE) ||
            (status != PQL_OK && err.message[0] == '\0') ||
            (ways[i] == pinned && status == PQL_OK)) { /* nothing hashes to zero */
            abort();
        }
    }
    (void)pqi_trust_settle(first_use, &chain, "localhost:9833", PQI_KEX_HYBRID, NULL);
    return 0;
}
