/* Known answers of the algorithms that every link stands on, asked of the library that is linked
 * in, before the first link: a library that was built wrong, or a processor that computes wrong,
 * ends the program at its start instead of weakening links.
 *
 * ML-KEM-768 and ML-KEM-1024 (FIPS 203): key from a seed, encapsulation, decapsulation, implicit
 * rejection.  ML-DSA-44, -65 and -87 (FIPS 204): key from a seed, a known signature verifies, a
 * fresh one too, each with one bit flipped does not.  X25519 (RFC 7748): shared secret, and the
 * all-zero output is refused (section 6.1).  AES-256-GCM: seal, open, a flipped bit refused.
 * X25519MLKEM768 is tested in its two parts; the library has no way to it outside of TLS.
 *
 * It takes two to four milliseconds of one processor.  Before that it seeds the random generator,
 * which takes the library tens of milliseconds once, in every program that makes a key. */
#ifndef PQI_CRYPTO_SELF_TEST_H
#define PQI_CRYPTO_SELF_TEST_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

/* Texts are lower-case hex; those that end in _sha256 are of outputs too long to keep. */
typedef struct pqi_kem_answer {
    const char *name;
    int nid;
    const char *public_sha256;     /* of the key from the seed 00 01 .. 3f (d, then z) */
    const char *secret_sha256;     /* in the expanded form */
    const char *ciphertext_sha256; /* from the 32 bytes 80 81 .. 9f */
    const char *shared;
    const char *rejected; /* what the ciphertext with its first bit flipped gives */
} pqi_kem_answer;

typedef struct pqi_dsa_answer {
    const char *name;
    int nid;
    const char *public_sha256; /* of the key from the seed 00 01 .. 1f */
    const uint8_t *signature;  /* of "pqlink known answer", empty context */
    const size_t *signature_len;
} pqi_dsa_answer;

#define PQI_SELF_TEST_KEMS 2
#define PQI_SELF_TEST_DSAS 3

typedef struct pqi_self_test_answers {
    pqi_kem_answer kems[PQI_SELF_TEST_KEMS];
    pqi_dsa_answer dsas[PQI_SELF_TEST_DSAS];
    const char *x25519_shared; /* RFC 7748, section 6.1 */
    const char *gcm_sealed;    /* test case 16 of the GCM specification: ciphertext and tag */
} pqi_self_test_answers;

/* The right ones. */
extern const pqi_self_test_answers pqi_self_test_known;

/* What was tested, for people. */
extern const char pqi_self_test_algorithms[];

/* Asks everything and compares with |answers|.  *took_ns (may be NULL), without the
 * seeding, is set on success.
 * PQL_E_CRYPTO with a sentence that names the first algorithm that answered wrong.  Any thread. */
pql_status pqi_self_test(const pqi_self_test_answers *answers, uint64_t *took_ns, pql_error *err);

#endif
