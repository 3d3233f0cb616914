#include "quic/tls_times.h"

#include "base/clock.h"
#include "quic/tls_internal.h"

#include <stddef.h>
#include <string.h>

/* AWS-LC's names of the steps (SSL_state_string_long) that hold one operation each.  A server that
 * had to ask for another ClientHello exchanges keys in the step that reads it, and the time of the
 * step before, which found that out, is replaced. */
static const struct {
    const char *step;
    size_t time; /* place in pqi_tls_times */
} operations[] = {
    {"TLS 1.3 client read_server_hello", offsetof(pqi_tls_times, kex)},
    {"TLS 1.3 client read_server_certificate_verify", offsetof(pqi_tls_times, verify)},
    {"TLS 1.3 client send_client_certificate_verify", offsetof(pqi_tls_times, sign)},
    {"TLS 1.3 server select_session", offsetof(pqi_tls_times, kex)},
    {"TLS 1.3 server read_second_client_hello", offsetof(pqi_tls_times, kex)},
    {"TLS 1.3 server send_server_certificate_verify", offsetof(pqi_tls_times, sign)},
    {"TLS 1.3 server read_client_certificate_verify", offsetof(pqi_tls_times, verify)},
};

static void note(pqi_tls_times *times, uint64_t now)
{
    for (size_t i = 0; times->step != NULL && i < sizeof(operations) / sizeof(operations[0]); i++) {
        if (strcmp(times->step, operations[i].step) == 0) {
            const uint64_t duration = now - times->since;
            memcpy((char *)times + operations[i].time, &duration, sizeof(duration));
        }
    }
}

/* A step is done, and SSL_state_string_long names the next one. */
static void on_step(const SSL *ssl, int type, int value)
{
    pqi_quic_tls_peer *peer = pqi_tls_peer_of(ssl);
    (void)value;
    if (peer != NULL && (type == SSL_CB_CONNECT_LOOP || type == SSL_CB_ACCEPT_LOOP)) {
        const uint64_t now = pqi_clock_monotonic();
        note(&peer->times, now);
        peer->times.since = now;
        peer->times.step = SSL_state_string_long(ssl);
    }
}

/* A message is taken up: the time that its step waited for it does not count. */
static void on_message(int is_write, int version, int content_type, const void *buf, size_t len,
                       SSL *ssl, void *arg)
{
    pqi_quic_tls_peer *peer = pqi_tls_peer_of(ssl);
    (void)version;
    (void)buf;
    (void)len;
    (void)arg;
    if (peer != NULL && is_write == 0 && content_type == SSL3_RT_HANDSHAKE) {
        peer->times.since = pqi_clock_monotonic();
    }
}

void pqi_tls_times_setup(SSL_CTX *ctx)
{
    SSL_CTX_set_info_callback(ctx, on_step);
    SSL_CTX_set_msg_callback(ctx, on_message);
}
