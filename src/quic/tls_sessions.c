#include "quic/tls_sessions.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

typedef struct entry {
    uint8_t key[PQI_SESSION_KEY_LEN];
    SSL_SESSION *session; /* owned; NULL: a free place */
    uint64_t put;         /* grows with each put */
} entry;

struct pqi_tls_sessions {
    pthread_mutex_t lock;
    uint64_t puts;
    entry entries[PQI_SESSIONS_MAX];
};

pqi_tls_sessions *pqi_tls_sessions_new(void)
{
    pqi_tls_sessions *sessions = calloc(1, sizeof(*sessions));
    if (sessions != NULL) {
        (void)pthread_mutex_init(&sessions->lock, NULL);
    }
    return sessions;
}

void pqi_tls_sessions_free(pqi_tls_sessions *sessions)
{
    if (sessions == NULL) {
        return;
    }
    for (size_t i = 0; i < PQI_SESSIONS_MAX; i++) {
        SSL_SESSION_free(sessions->entries[i].session);
    }
    (void)pthread_mutex_destroy(&sessions->lock);
    free(sessions);
}

static bool is_of(const entry *e, const uint8_t *key)
{
    return e->session != NULL && memcmp(e->key, key, sizeof(e->key)) == 0;
}

/* Where a new session of |key| goes: in the place of the oldest of that key when there are enough
 * of them, else into a free place, else into that of the oldest of all. */
static entry *place_for(pqi_tls_sessions *sessions, const uint8_t *key)
{
    entry *oldest = &sessions->entries[0]; /* a free place is older than any: its |put| is 0 */
    entry *oldest_of_key = NULL;
    unsigned of_key = 0;
    for (size_t i = 0; i < PQI_SESSIONS_MAX; i++) {
        entry *e = &sessions->entries[i];
        if (e->put < oldest->put) {
            oldest = e;
        }
        if (is_of(e, key)) {
            of_key++;
            oldest_of_key =
                oldest_of_key == NULL || e->put < oldest_of_key->put ? e : oldest_of_key;
        }
    }
    return of_key >= PQI_SESSIONS_PER_KEY ? oldest_of_key : oldest;
}

void pqi_tls_sessions_put(pqi_tls_sessions *sessions, const uint8_t key[PQI_SESSION_KEY_LEN],
                          SSL_SESSION *session)
{
    (void)pthread_mutex_lock(&sessions->lock);
    entry *e = place_for(sessions, key);
    SSL_SESSION *gone = e->session;
    memcpy(e->key, key, sizeof(e->key));
    e->session = session;
    e->put = ++sessions->puts;
    (void)pthread_mutex_unlock(&sessions->lock);
    SSL_SESSION_free(gone);
}

SSL_SESSION *pqi_tls_sessions_take(pqi_tls_sessions *sessions,
                                   const uint8_t key[PQI_SESSION_KEY_LEN])
{
    entry *newest = NULL;
    SSL_SESSION *session = NULL;
    (void)pthread_mutex_lock(&sessions->lock);
    for (size_t i = 0; i < PQI_SESSIONS_MAX; i++) {
        entry *e = &sessions->entries[i];
        if (is_of(e, key) && (newest == NULL || e->put > newest->put)) {
            newest = e;
        }
    }
    if (newest != NULL) {
        session = newest->session;
        *newest = (entry){.session = NULL};
    }
    (void)pthread_mutex_unlock(&sessions->lock);
    return session;
}
