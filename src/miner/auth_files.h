/* The two files that an official miner is started with, named and written as the official node does
 * (quantus.md section 2.5), so that its documents and scripts fit ours:
 *
 *   DIR/miner-auth-token        0600  64 hex digits and LF; made at the first start
 *   DIR/miner-tls-cert-sha256   0644  SHA-256 of the classical leaf's DER as 64 hex digits and LF
 *
 * A token that somebody put there by hand is taken as it is, white space at both ends cut off. */
#ifndef PQI_MINER_AUTH_FILES_H
#define PQI_MINER_AUTH_FILES_H

#include "crypto/hash.h"
#include "miner/session.h"

#define PQI_AUTH_TOKEN_FILE "miner-auth-token"
#define PQI_AUTH_FINGERPRINT_FILE "miner-tls-cert-sha256"

typedef struct pqi_auth_token {
    char text[PQI_MINER_TOKEN_MAX + 1]; /* secret: wipe it */
    bool created;                       /* the file was made now */
    bool repaired; /* others could read it; its mode is 0600 now, and they may know it */
} pqi_auth_token;

/* Reads the token in |dir|, which must exist, or makes one.  PQL_E_IDENTITY: the file is empty, too
 * long for a frame, or has control characters; PQL_E_IO.  *out is zeroed after a failure. */
pql_status pqi_auth_token_open(pqi_auth_token *out, const char *dir, pql_error *err);

/* Copies the token of |from|, the chain directory of an official node, to |dir|, which must exist.
 * *imported: there was one.  PQL_E_EXISTS: |dir| has another token already, which stays;
 * PQL_E_IDENTITY as above; PQL_E_IO. */
pql_status pqi_auth_token_import(const char *dir, const char *from, bool *imported, pql_error *err);

/* Writes the fingerprint to |dir| where it is missing or another one.  PQL_E_IO. */
pql_status pqi_auth_fingerprint_write(const char *dir, const uint8_t sha256[PQI_SHA256_SIZE],
                                      pql_error *err);

#endif
