/* What is remembered of peers: for trust on first use, and against downgrades. */
#ifndef PQLINK_TRUST_H
#define PQLINK_TRUST_H

#include <pqlink/error.h>
#include <pqlink/identity.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What is remembered of one peer. */
typedef struct pql_known_peer {
    uint8_t cert_sha256[PQL_SHA256_SIZE]; /* over the leaf's DER */
    bool was_hybrid;                      /* it once negotiated ML-KEM: it may never fall back */
} pql_known_peer;

/* A memory of peers by name ("host:port").  Calls come from any worker thread, one at a time per
 * connection; |get| answers PQL_E_NOT_FOUND for a stranger; |put| is durable when it returns
 * PQL_OK, and a first contact whose |put| fails is refused.  |put| is called only once the peer has
 * proven its key and the handshake is complete, before link_open. */
typedef struct pql_tofu {
    pql_status (*get)(void *user, const char *name, pql_known_peer *out);
    pql_status (*put)(void *user, const char *name, const pql_known_peer *peer);
    void *user;
} pql_tofu;

/* A memory of pinned peers that had ML-KEM once, by the SHA-256 that their pin has: of the leaf's
 * DER, or of its SubjectPublicKeyInfo where the key is pinned, so that a renewed certificate of
 * that key is no stranger.  One that comes back classical under a policy that would have had ML-KEM
 * is refused, until the operator forgets it.  |has| is asked for both.  Calls come from any worker
 * thread.  |has| answers PQL_OK, PQL_E_NOT_FOUND, or another failure, which refuses a classical
 * session.  |add| is called when the peer has proven its key, each time; it keeps what it can, and
 * says itself where it could not: the link of a pinned peer opens all the same. */
typedef struct pql_hybrid_memory {
    pql_status (*has)(void *user, const uint8_t sha256[PQL_SHA256_SIZE]);
    void (*add)(void *user, const uint8_t sha256[PQL_SHA256_SIZE]);
    void *user;
} pql_hybrid_memory;

#ifdef __cplusplus
}
#endif
#endif
