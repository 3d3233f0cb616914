/* How long the public-key operations of a handshake took, as the TLS library shows it.
 *
 * The library does each of them in a step of its handshake of its own, and tells when a message is
 * taken up and when a step is done.  What is measured is such a step: the operation, and with it
 * some microseconds of parsing, hashing and key schedule.  It costs two dozen readings of the clock
 * in a handshake.  Steps that wait (for bytes of the peer) begin when the message is there; signing
 * in another process counts as long as it is waited for. */
#ifndef PQI_QUIC_TLS_TIMES_H
#define PQI_QUIC_TLS_TIMES_H

#include <openssl/ssl.h>

#include <stdint.h>

/* Nanoseconds; 0: it did not happen. */
typedef struct pqi_tls_times {
    uint64_t kex;     /* server: our share made and the secret found; client: the secret found */
    uint64_t sign;    /* our CertificateVerify */
    uint64_t verify;  /* the peer's CertificateVerify */
    uint64_t since;   /* when the present step began; CLOCK_MONOTONIC */
    const char *step; /* its name in the library; static */
} pqi_tls_times;

/* Makes the sessions of |ctx| measure; each needs a pqi_quic_tls_peer. */
void pqi_tls_times_setup(SSL_CTX *ctx);

#endif
