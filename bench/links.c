#include "links.h"

#include "bench.h"
#include "signer/signer.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define TIMEOUT_MS 10000

pid_t bench_fork(void)
{
    const pid_t child = fork();
    check(child >= 0, "fork");
    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    }
    return child;
}

/* ---- The server ---- */

/* An identity of which this process has the certificates alone. */
static pql_identity *identity_elsewhere(bench_server *self)
{
    pql_identity *identity = NULL;
    pqi_signer *signer = NULL;
    (void)snprintf(self->dir, sizeof(self->dir), "/tmp/pqlink-bench-XXXXXX");
    check(mkdtemp(self->dir) != NULL, "directory");
    const pqi_signer_opts opts = {.dir = self->dir, .roles = PQI_SIGNER_SERVER, .channels = 1};
    check(pqi_signer_start(&signer, &opts, NULL) == PQL_OK, "key process");
    self->keys = (pid_t)pqi_signer_pid(signer);
    check(pql_identity_open(&identity, self->dir, NULL, NULL) == PQL_OK, "identity");
    return identity;
}

static void remove_dir(const char *dir)
{
    static const char *const names[] = {"identity/pq-key.pem",
                                        "identity/pq-cert.pem",
                                        "identity/classical-key.pem",
                                        "identity/classical-cert.pem",
                                        "identity",
                                        ""};
    char path[128];
    for (size_t i = 0; dir[0] != '\0' && i < sizeof(names) / sizeof(names[0]); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
        (void)remove(path);
    }
}

static void serve(int answer, const pql_identity *client, bool key_process)
{
    static const pql_alpn alpn = {BENCH_ALPN, PQL_LEAF_PQ};
    static const pql_handlers silent;
    pql_identity *identity = NULL;
    pql_context *ctx = NULL;
    pql_listener *listener = NULL;
    bench_server self;
    pql_fingerprint pin;
    memset(&self, 0, sizeof(self));
    if (client != NULL) {
        pql_identity_fingerprint(client, PQL_LEAF_PQ, PQL_FINGERPRINT_CERT, &pin);
    }
    const pql_peer clients = {.pins = &pin, .pin_count = 1};
    if (key_process) {
        identity = identity_elsewhere(&self);
    } else {
        check(pql_identity_ephemeral(&identity, NULL, NULL) == PQL_OK, "identity");
    }
    const pql_context_opts opts = {.identity = identity, .workers = 1};
    const pql_listen_opts listen = {.alpn = &alpn,
                                    .alpn_count = 1,
                                    .handlers = &silent,
                                    .clients = client != NULL ? &clients : NULL};
    check(pql_context_new(&ctx, &opts, NULL) == PQL_OK, "context");
    check(pql_listen(ctx, "quic://127.0.0.1:0", &listen, &listener, NULL) == PQL_OK, "listen");
    self.port = pql_listener_port(listener);
    pql_identity_fingerprint(identity, PQL_LEAF_PQ, PQL_FINGERPRINT_CERT, &self.pin);
    check(write(answer, &self, sizeof(self)) == (ssize_t)sizeof(self), "answer");
    for (;;) {
        (void)pause();
    }
}

bench_server bench_server_start(const pql_identity *client, bool key_process)
{
    int answer[2];
    bench_server server;
    check(pipe(answer) == 0, "pipe");
    const pid_t child = bench_fork();
    if (child == 0) {
        serve(answer[1], client, key_process);
    }
    check(read(answer[0], &server, sizeof(server)) == (ssize_t)sizeof(server), "no server");
    (void)close(answer[0]);
    (void)close(answer[1]);
    server.pid = child;
    return server;
}

void bench_server_stop(const bench_server *server)
{
    (void)kill(server->pid, SIGKILL);
    (void)waitpid(server->pid, NULL, 0);
    remove_dir(server->dir);
}

/* ---- The links ---- */

/* One link under way, with a context of its own. */
typedef struct slot {
    bench_links *out;
    pthread_mutex_t *lock; /* guards *out */
    pql_context *ctx;      /* NULL: not in use */
    bool opened;
    sem_t ended;
} slot;

static void on_open(pql_link *link, void *user)
{
    slot *s = user;
    const pql_posture *posture = pql_link_posture(link);
    const unsigned trips =
        posture->round_trips < BENCH_ROUND_TRIPS_MAX ? posture->round_trips : BENCH_ROUND_TRIPS_MAX;
    check(!posture->resumed, "a session was resumed");
    pthread_mutex_lock(s->lock);
    s->out->ms[s->out->opened++] = (double)posture->handshake_ns / (double)PQI_NS_PER_MS;
    s->out->round_trips[trips]++;
    pthread_mutex_unlock(s->lock);
    s->opened = true;
    pql_link_close(link, 0, "");
}

static void on_close(pql_link *link, const pql_close *why, void *user)
{
    slot *s = user;
    (void)link;
    if (!s->opened) {
        pthread_mutex_lock(s->lock);
        s->out->failed++;
        (void)snprintf(s->out->why, sizeof(s->out->why), "%s", why->reason);
        pthread_mutex_unlock(s->lock);
    }
    (void)sem_post(&s->ended);
}

static const pql_handlers handlers = {.link_open = on_open, .link_close = on_close};

static void wait_ended(slot *s)
{
    while (s->ctx != NULL && sem_wait(&s->ended) != 0) {
        check(errno == EINTR, "semaphore");
    }
    pql_context_free(s->ctx);
    s->ctx = NULL;
}

static void start(slot *s, const bench_links_opts *o)
{
    char url[64];
    const pql_peer peer = {
        .pins = o->pin, .pin_count = o->pin == NULL ? 0 : 1, .insecure = o->pin == NULL};
    const pql_connect_opts opts = {.alpn = o->alpn,
                                   .identity = o->identity,
                                   .no_token = true, /* each is a first contact */
                                   .handlers = &handlers,
                                   .user = s,
                                   .connect_timeout_ms = TIMEOUT_MS};
    (void)snprintf(url, sizeof(url), "quic://127.0.0.1:%u", o->port);
    s->opened = false;
    check(pql_context_new(&s->ctx, &(pql_context_opts){.workers = 1}, NULL) == PQL_OK, "context");
    check(pql_connect(s->ctx, url, &peer, &opts, NULL, NULL) == PQL_OK, "connect");
}

void bench_links_run(const bench_links_opts *o, bench_links *out)
{
    const struct timespec pause = {.tv_nsec = (long)(o->every_ms * PQI_NS_PER_MS)};
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    slot *slots = calloc(o->at_once, sizeof(*slots));
    *out = (bench_links){.ms = calloc(o->count, sizeof(double))};
    check(out->ms != NULL && slots != NULL, "memory");
    for (unsigned i = 0; i < o->at_once; i++) {
        slots[i].out = out;
        slots[i].lock = &lock;
        (void)sem_init(&slots[i].ended, 0, 0);
    }
    for (unsigned i = 0; i < o->count; i++) {
        slot *s = &slots[i % o->at_once];
        wait_ended(s);
        start(s, o);
        if (o->every_ms != 0) {
            (void)nanosleep(&pause, NULL);
        }
    }
    for (unsigned i = 0; i < o->at_once; i++) {
        wait_ended(&slots[i]);
        (void)sem_destroy(&slots[i].ended);
    }
    free(slots);
}
