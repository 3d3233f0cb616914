/* find_key PID KEY-FILE: is the private key of the file anywhere in the memory of the process?
 * Exit status 0: yes; 1: no; 2: the file is no key; 3: the memory may not be read.
 *
 * What is looked for is what every form of the key in memory has: the seed and K of ML-DSA (FIPS
 * 204, table 2), the private number of ECDSA in either order of its bytes, and a line of the file.
 */
#include "base/file.h"
#include "identity/key.h"

#include <openssl/bn.h>
#include <openssl/ec_key.h>

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PART 32
#define NEEDLES_MAX 4
#define RAW_MAX 8192
#define FILE_MAX 65536
#define CHUNK ((size_t)1 << 20)

enum { FOUND = 0, NOT_FOUND = 1, NO_KEY = 2, NO_ACCESS = 3 };

static uint8_t needles[NEEDLES_MAX][PART];
static const char *names[NEEDLES_MAX];
static unsigned needle_count;

static void look_for(const char *name, const uint8_t *bytes)
{
    names[needle_count] = name;
    memcpy(needles[needle_count++], bytes, PART);
}

static bool look_for_ml_dsa(const EVP_PKEY *key)
{
    static uint8_t raw[RAW_MAX];
    size_t len = sizeof(raw);
    if (EVP_PKEY_get_raw_private_key(key, raw, &len) != 1) {
        return false;
    }
    look_for("K", raw + PART);
    len = sizeof(raw);
    if (EVP_PKEY_get_private_seed(key, raw, &len) == 1) {
        look_for("seed", raw);
    }
    return true;
}

static bool look_for_ecdsa(const EVP_PKEY *key)
{
    uint8_t number[PART];
    uint8_t turned[PART];
    const EC_KEY *ec = EVP_PKEY_get0_EC_KEY(key);
    if (ec == NULL || BN_bn2bin_padded(number, sizeof(number), EC_KEY_get0_private_key(ec)) != 1) {
        return false;
    }
    for (unsigned i = 0; i < PART; i++) {
        turned[i] = number[PART - 1 - i];
    }
    look_for("number", number);
    look_for("number, turned", turned);
    return true;
}

static bool read_key(const char *path)
{
    uint8_t *pem = NULL;
    size_t len = 0;
    pql_error err = {0};
    if (pqi_file_read(path, FILE_MAX, &pem, &len, &err) != PQL_OK) {
        (void)fprintf(stderr, "%s\n", err.message);
        return false;
    }
    const char *line = memchr(pem, '\n', len);
    EVP_PKEY *key = pqi_key_from_pem(pem, len);
    if (key == NULL || line == NULL || strlen(line) <= PART) {
        return false;
    }
    /* Not its beginning, which is the same in every key of a kind. */
    look_for("text", (const uint8_t *)line + 1 + PART);
    return EVP_PKEY_id(key) == EVP_PKEY_EC ? look_for_ecdsa(key) : look_for_ml_dsa(key);
}

static unsigned count_in(const uint8_t *data, size_t len)
{
    unsigned found = 0;
    for (unsigned i = 0; i < needle_count; i++) {
        if (memmem(data, len, needles[i], PART) != NULL) {
            (void)printf("found: %s\n", names[i]);
            found++;
        }
    }
    return found;
}

/* Pieces overlap, so that nothing hides on a border. */
static unsigned scan(int mem, uint64_t from, uint64_t to, uint64_t *bytes)
{
    static uint8_t buffer[CHUNK];
    unsigned found = 0;
    for (uint64_t at = from; at < to; at += CHUNK - PART) {
        const size_t want = to - at < CHUNK ? (size_t)(to - at) : CHUNK;
        const ssize_t n = pread(mem, buffer, want, (off_t)at);
        if (n > 0) {
            *bytes += (uint64_t)n;
            found += count_in(buffer, (size_t)n);
        }
    }
    return found;
}

static int scan_all(const char *pid)
{
    char path[64];
    char line[512];
    uint64_t bytes = 0;
    unsigned found = 0;
    (void)snprintf(path, sizeof(path), "/proc/%.20s/maps", pid);
    FILE *maps = fopen(path, "re");
    (void)snprintf(path, sizeof(path), "/proc/%.20s/mem", pid);
    const int mem = open(path, O_RDONLY | O_CLOEXEC);
    if (maps == NULL || mem < 0) {
        return NO_ACCESS;
    }
    while (fgets(line, sizeof(line), maps) != NULL) {
        char *end = NULL;
        const uint64_t from = strtoull(line, &end, 16);
        const uint64_t to = *end == '-' ? strtoull(end + 1, &end, 16) : 0;
        if (to > from && end[1] == 'r' && strstr(line, "[v") == NULL) {
            found += scan(mem, from, to, &bytes);
        }
    }
    (void)fclose(maps);
    (void)close(mem);
    (void)printf("%" PRIu64 " bytes of process %s: found %u times\n", bytes, pid, found);
    return bytes == 0 ? NO_ACCESS : found > 0 ? FOUND : NOT_FOUND;
}

int main(int argc, char **argv)
{
    if (argc != 3 || !read_key(argv[2])) {
        (void)fprintf(stderr, "usage: find_key PID KEY-FILE\n");
        return NO_KEY;
    }
    return scan_all(argv[1]);
}
