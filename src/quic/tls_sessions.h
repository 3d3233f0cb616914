/* Sessions that a client may resume: a bounded memory, each used once.  Any thread. */
#ifndef PQI_QUIC_TLS_SESSIONS_H
#define PQI_QUIC_TLS_SESSIONS_H

#include <openssl/ssl.h>

#define PQI_SESSION_KEY_LEN 32
/* Sessions that are kept at most, about 4 kB each; then the oldest goes.  Of one key: as many as a
 * server gives in one handshake. */
#define PQI_SESSIONS_MAX 256
#define PQI_SESSIONS_PER_KEY 2

typedef struct pqi_tls_sessions pqi_tls_sessions;

/* Owned by the caller; NULL without memory. */
pqi_tls_sessions *pqi_tls_sessions_new(void);
/* NULL is a no-op. */
void pqi_tls_sessions_free(pqi_tls_sessions *sessions);

/* Keeps |session|, whose reference is taken over. */
void pqi_tls_sessions_put(pqi_tls_sessions *sessions, const uint8_t key[PQI_SESSION_KEY_LEN],
                          SSL_SESSION *session);
/* The newest of |key|, which is forgotten here; the caller frees it.  NULL: there is none. */
SSL_SESSION *pqi_tls_sessions_take(pqi_tls_sessions *sessions,
                                   const uint8_t key[PQI_SESSION_KEY_LEN]);

#endif
