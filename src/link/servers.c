#include "link/servers.h"

#include "base/secret.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS 256 /* a power of two */

typedef struct server {
    struct server *next;          /* of the bucket */
    struct server *newer, *older; /* by when it was asked for */
    unsigned copies;
    size_t token_len;
    uint8_t token[PQI_QUIC_TOKEN_MAX];
    char host_port[]; /* with its NUL */
} server;

struct pqi_servers {
    pthread_mutex_t lock;
    server *buckets[BUCKETS];
    server *newest, *oldest;
    size_t count;
};

pqi_servers *pqi_servers_new(void)
{
    pqi_servers *servers = calloc(1, sizeof(*servers));
    if (servers != NULL) {
        (void)pthread_mutex_init(&servers->lock, NULL);
    }
    return servers;
}

/* FNV-1a: the names are the user's own, nobody aims at them. */
static size_t bucket_of(const char *host_port)
{
    uint32_t hash = UINT32_C(2166136261);
    for (const char *c = host_port; *c != '\0'; c++) {
        hash = (hash ^ (uint8_t)*c) * UINT32_C(16777619);
    }
    return hash & (BUCKETS - 1);
}

static void leave_order(pqi_servers *servers, server *s)
{
    *(s->newer != NULL ? &s->newer->older : &servers->newest) = s->older;
    *(s->older != NULL ? &s->older->newer : &servers->oldest) = s->newer;
}

static void become_newest(pqi_servers *servers, server *s)
{
    s->newer = NULL;
    s->older = servers->newest;
    *(s->older != NULL ? &s->older->newer : &servers->oldest) = s;
    servers->newest = s;
}

static void forget(pqi_servers *servers, server *s)
{
    server **at = &servers->buckets[bucket_of(s->host_port)];
    while (*at != s) {
        at = &(*at)->next;
    }
    *at = s->next;
    leave_order(servers, s);
    servers->count--;
    pqi_secret_wipe(s, sizeof(*s));
    free(s);
}

/* The entry, now the newest; NULL when there is none. */
static server *find(pqi_servers *servers, const char *host_port)
{
    for (server *s = servers->buckets[bucket_of(host_port)]; s != NULL; s = s->next) {
        if (strcmp(s->host_port, host_port) == 0) {
            leave_order(servers, s);
            become_newest(servers, s);
            return s;
        }
    }
    return NULL;
}

/* The entry, made when there is none; NULL without memory. */
static server *find_or_add(pqi_servers *servers, const char *host_port)
{
    server *s = find(servers, host_port);
    const size_t size = strlen(host_port) + 1;
    if (s != NULL) {
        return s;
    }
    s = calloc(1, sizeof(*s) + size);
    if (s == NULL) {
        return NULL;
    }
    if (servers->count == PQI_SERVERS_MAX) {
        forget(servers, servers->oldest);
    }
    memcpy(s->host_port, host_port, size);
    server **bucket = &servers->buckets[bucket_of(host_port)];
    s->next = *bucket;
    *bucket = s;
    become_newest(servers, s);
    servers->count++;
    return s;
}

void pqi_servers_free(pqi_servers *servers)
{
    if (servers == NULL) {
        return;
    }
    while (servers->oldest != NULL) {
        forget(servers, servers->oldest);
    }
    (void)pthread_mutex_destroy(&servers->lock);
    free(servers);
}

void pqi_servers_keep_token(pqi_servers *servers, const char *host_port, const uint8_t *token,
                            size_t len)
{
    if (servers == NULL || len == 0 || len > PQI_QUIC_TOKEN_MAX) {
        return;
    }
    (void)pthread_mutex_lock(&servers->lock);
    server *s = find_or_add(servers, host_port);
    if (s != NULL) {
        memcpy(s->token, token, len);
        s->token_len = len;
    }
    (void)pthread_mutex_unlock(&servers->lock);
}

size_t pqi_servers_take_token(pqi_servers *servers, const char *host_port,
                              uint8_t out[PQI_QUIC_TOKEN_MAX])
{
    size_t len = 0;
    if (servers == NULL) {
        return 0;
    }
    (void)pthread_mutex_lock(&servers->lock);
    server *s = find(servers, host_port);
    if (s != NULL) {
        len = s->token_len;
        memcpy(out, s->token, len);
        pqi_secret_wipe(s->token, sizeof(s->token));
        s->token_len = 0;
    }
    (void)pthread_mutex_unlock(&servers->lock);
    return len;
}

void pqi_servers_held_up(pqi_servers *servers, const char *host_port, unsigned copies)
{
    if (servers == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&servers->lock);
    server *s = find_or_add(servers, host_port);
    if (s != NULL && copies >= s->copies && copies < PQI_QUIC_COPIES_MAX) {
        s->copies = copies + 1;
    }
    (void)pthread_mutex_unlock(&servers->lock);
}

unsigned pqi_servers_copies(pqi_servers *servers, const char *host_port)
{
    unsigned copies = 0;
    if (servers == NULL) {
        return 0;
    }
    (void)pthread_mutex_lock(&servers->lock);
    const server *s = find(servers, host_port);
    copies = s != NULL ? s->copies : 0;
    (void)pthread_mutex_unlock(&servers->lock);
    return copies;
}
