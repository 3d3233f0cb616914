/* Identity: the long-term keys and certificates of this endpoint.
 *
 * One directory DIR/identity holds an ML-DSA leaf and an ECDSA P-256 leaf for classical peers, each
 * with a fingerprint that stays the same after every restart, crash and upgrade. */
#ifndef PQLINK_IDENTITY_H
#define PQLINK_IDENTITY_H

#include <pqlink/error.h>

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pql_identity pql_identity;

/* FIPS 204 parameter sets.  ML-DSA-87 is the default. */
typedef enum pql_sign { PQL_ML_DSA_87 = 0, PQL_ML_DSA_65, PQL_ML_DSA_44 } pql_sign;

/* Which of the two certificates of an identity. */
typedef enum pql_leaf { PQL_LEAF_PQ = 0, PQL_LEAF_CLASSICAL } pql_leaf;

#define PQL_SHA256_SIZE 32
/* "spki-sha256:" + 64 digits + NUL is the longest text of a fingerprint. */
#define PQL_FINGERPRINT_SIZE 80

/* A fingerprint: SHA-256 over the leaf certificate's DER (text "sha256:<64 hex>") or over its
 * SubjectPublicKeyInfo (text "spki-sha256:<64 hex>"). */
typedef enum pql_fingerprint_form {
    PQL_FINGERPRINT_CERT = 0,
    PQL_FINGERPRINT_SPKI
} pql_fingerprint_form;
typedef struct pql_fingerprint {
    pql_fingerprint_form form;
    uint8_t sha256[PQL_SHA256_SIZE];
} pql_fingerprint;

/* Reads "sha256:<hex>", "spki-sha256:<hex>" or 64 bare hex digits (a certificate fingerprint, as
 * official miners print it).  Any case, of digits and prefix; ':' and white space between digits
 * are skipped.  Anything else: PQL_E_USAGE with a sentence, *out zeroed. */
PQL_API pql_status pql_fingerprint_parse(pql_fingerprint *out, const char *text, pql_error *err);
PQL_API void pql_fingerprint_format(const pql_fingerprint *fp, char out[PQL_FINGERPRINT_SIZE]);

typedef struct pql_identity_opts {
    pql_sign sign;    /* parameter set of a new identity; an existing one keeps its own */
    bool must_exist;  /* do not create; PQL_E_IDENTITY when there is none */
    bool must_create; /* PQL_E_EXISTS when there is one already */
    bool self_signed; /* new ML-DSA leaf signed by itself (7.4 kB) instead of compact (2.8 kB) */
    /* Chain directory of an official quantus-node whose miner-tls-cert.der and miner-tls-key.der
     * become the classical leaf of a new identity (ECDSA P-256 or P-384, Ed25519, RSA of 2048 bits
     * or more; copied, not moved); NULL: a new ECDSA P-256 leaf.  Neither file there:
     * PQL_E_NOT_FOUND; one of them, or not fit for each other: PQL_E_IDENTITY. */
    const char *classical_from;
    /* A file with one line, the passphrase that the keys are encrypted with (PKCS#8, PBES2), both
     * of an existing and of a new identity; NULL: they are not encrypted.  Nobody but its owner
     * and group may read it.  It is read when the identity is opened, and wiped from memory.
     * pql_identity_ephemeral does not look at it. */
    const char *passphrase_file;
} pql_identity_opts;

/* Opens DIR/identity, the current one whatever 'pqlink rotate' prepared or keeps, creating it when
 * it is not there (see opts; NULL: all defaults). A key without its certificate, the reverse, a key
 * that does not fit its certificate, a wrong or missing passphrase, or a file that others can read,
 * is PQL_E_IDENTITY with a
 * sentence; nothing is ever made anew silently. A crash while it is made leaves all or nothing; of
 * processes that make one at once, one wins and the others open the winner's.  PQL_E_IO: DIR cannot
 * be read, written, locked or synced. On success *out is owned by the caller (pql_identity_free);
 * it is immutable and may be shared by threads. */
PQL_API pql_status pql_identity_open(pql_identity **out, const char *dir,
                                     const pql_identity_opts *opts, pql_error *err);

/* An identity that lives in memory only. */
PQL_API pql_status pql_identity_ephemeral(pql_identity **out, const pql_identity_opts *opts,
                                          pql_error *err);

/* Wipes the keys and frees.  NULL is a no-op. */
PQL_API void pql_identity_free(pql_identity *id);

PQL_API void pql_identity_fingerprint(const pql_identity *id, pql_leaf leaf,
                                      pql_fingerprint_form form, pql_fingerprint *out);

/* "ML-DSA-87", "ECDSA-P256", ...; static string.  Imported: also "ECDSA-P384", "Ed25519", "RSA". */
PQL_API const char *pql_identity_algorithm(const pql_identity *id, pql_leaf leaf);

/* True when pql_identity_open made the identity just now. */
PQL_API bool pql_identity_created(const pql_identity *id);

#ifdef __cplusplus
}
#endif
#endif
