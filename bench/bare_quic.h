/* ngtcp2 and the crypto library as they come, client and server handing each other datagrams in
 * memory: what a QUIC handshake costs without an endpoint, links, postures and maps around it. */
#ifndef PQI_BENCH_BARE_QUIC_H
#define PQI_BENCH_BARE_QUIC_H

#include <openssl/ssl.h>

#include <stdint.h>

/* Sets |ctx| up for QUIC with the one protocol name |alpn| (at most 255 bytes; it must outlive the
 * context). */
void bare_quic_setup(SSL_CTX *ctx, const char *alpn, int server);

/* One full handshake, its end included; the nanoseconds of CPU time of the server's calls. |copies|
 * is how often each datagram of the client's first flight arrives: 2 is what our client does.  Ends
 * the program when the handshake fails. */
uint64_t bare_quic_handshake(SSL_CTX *server, SSL_CTX *client, const char *alpn, unsigned copies);

#endif
