#include "signer/process.h"

#include "base/lockdown.h"
#include "base/log.h"
#include "signer/keys.h"
#include "signer/sandbox.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SERVICE "keys"
#define NAME "pqlink-keys"
#define FIRST_OWN_FD 3
/* How often it looks whether a key is gone or new, unasked. */
#define LOOK_SECONDS 10

typedef struct channel {
    pqi_signer_keys *keys;
    pthread_barrier_t *started;
    int fd;
} channel;

/* The other side has gone: there is nobody to sign for. */
static _Noreturn void end(int status)
{
    _exit(status);
}

static void *serve(void *arg)
{
    const channel *c = arg;
    uint8_t request[PQI_SIGNER_REQUEST_MAX];
    uint8_t answer[PQI_SIGNER_ANSWER_MAX];
    (void)pthread_barrier_wait(c->started);
    for (;;) {
        /* With MSG_TRUNC the length is that of the packet, also when it does not fit. */
        const ssize_t n = recv(c->fd, request, sizeof(request), MSG_TRUNC);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            end(EXIT_SUCCESS);
        }
        const size_t len = (size_t)n <= sizeof(request) ? (size_t)n : 0;
        const size_t answer_len = pqi_signer_keys_answer(c->keys, request, len, answer);
        if (send(c->fd, answer, answer_len, MSG_NOSIGNAL) < 0) {
            end(EXIT_SUCCESS);
        }
    }
}

static int compare_fds(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

/* Whatever the other side had open is none of ours. */
static void close_others(const int *channels, unsigned count)
{
    int sorted[PQI_SIGNER_CHANNELS_MAX];
    unsigned next = FIRST_OWN_FD;
    memcpy(sorted, channels, count * sizeof(sorted[0]));
    qsort(sorted, count, sizeof(sorted[0]), compare_fds);
    for (unsigned i = 0; i < count; i++) {
        const unsigned fd = (unsigned)sorted[i];
        if (fd > next) {
            (void)close_range(next, fd - 1, 0);
        }
        next = fd + 1;
    }
    (void)close_range(next, ~0U, 0);
}

static pql_status begin(long parent, pql_error *err)
{
    (void)prctl(PR_SET_NAME, NAME, 0, 0, 0);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) {
        return pqi_fail_errno(err, PQL_E_STATE, errno, "The key process cannot follow its node");
    }
    if (getppid() != parent) { /* it died before it could be followed */
        end(EXIT_FAILURE);
    }
    const pql_status status = pqi_lockdown_dumps(err);
    pql_error why = {0};
    if (status == PQL_OK && pqi_lockdown_memory(&why) != PQL_OK) {
        pqi_log(PQI_LOG_WARN, SERVICE, "keys_not_locked", PQI_STR("reason", why.message));
    }
    return status;
}

static pql_status make_identity(const pqi_signer_opts *opts, pql_error *err)
{
    const pql_identity_opts how = {.must_exist = opts->must_exist,
                                   .passphrase_file = opts->passphrase_file};
    pql_identity *id = NULL;
    const pql_status status = pql_identity_open(&id, opts->dir, &how, err);
    if (status == PQL_OK && pql_identity_created(id)) {
        pqi_log(PQI_LOG_INFO, SERVICE, "identity_created", PQI_STR("dir", opts->dir));
    }
    pql_identity_free(id);
    return status;
}

/* All of them run when it returns: what a thread does before its first line may not be done in the
 * cage. */
static pql_status start_threads(channel *channels, unsigned count, pql_error *err)
{
    static pthread_barrier_t started;
    (void)pthread_barrier_init(&started, NULL, count + 1);
    for (unsigned i = 0; i < count; i++) {
        pthread_t thread;
        channels[i].started = &started;
        const int rc = pthread_create(&thread, NULL, serve, &channels[i]);
        if (rc != 0) {
            return pqi_fail_errno(err, PQL_E_NOMEM, rc, "The key process cannot start its threads");
        }
        (void)pthread_detach(thread);
    }
    (void)pthread_barrier_wait(&started);
    return PQL_OK;
}

/* The order matters: what needs files comes before they are given up, threads inherit Landlock
 * from the one that starts them, and seccomp reaches all that are there. */
static pql_status lock_in(const pqi_signer_opts *opts, channel *channels, unsigned count,
                          pql_error *err)
{
    bool files = false;
    pql_status status = pqi_sandbox_files(opts->dir, opts->passphrase_file, &files, err);
    if (status == PQL_OK && !files) {
        pqi_log(PQI_LOG_WARN, SERVICE, "landlock_missing",
                PQI_STR("reason", "The kernel has no Landlock for us, so the key process could "
                                  "read files outside its directory; it can write none."));
    }
    if (status == PQL_OK) {
        status = start_threads(channels, count, err);
    }
    return status == PQL_OK ? pqi_sandbox_calls(err) : status;
}

static pql_status open_all(const pqi_signer_opts *opts, channel *channels, unsigned count,
                           long parent, pqi_signer_keys **keys, pql_error *err)
{
    pql_status status = begin(parent, err);
    if (status == PQL_OK) {
        status = make_identity(opts, err);
    }
    if (status == PQL_OK) {
        status = pqi_signer_keys_open(keys, opts->dir, opts->passphrase_file, opts->roles, err);
    }
    for (unsigned i = 0; i < count; i++) {
        channels[i].keys = *keys;
    }
    return status == PQL_OK ? lock_in(opts, channels, count, err) : status;
}

void pqi_signer_process(const pqi_signer_opts *opts, const int *channels, unsigned count,
                        long parent)
{
    static channel all[PQI_SIGNER_CHANNELS_MAX];
    const struct timespec look = {.tv_sec = LOOK_SECONDS};
    uint8_t hello[PQI_SIGNER_HELLO_MAX];
    pqi_signer_keys *keys = NULL;
    pql_error err = {0};
    close_others(channels, count);
    for (unsigned i = 0; i < count; i++) {
        all[i].fd = channels[i];
    }
    const pql_status status = open_all(opts, all, count, parent, &keys, &err);
    const size_t len = pqi_signer_hello_write(hello, sizeof(hello), status, err.message);
    if (send(channels[0], hello, len, MSG_NOSIGNAL) < 0 || status != PQL_OK) {
        pqi_signer_keys_free(keys);
        end(EXIT_FAILURE);
    }
    for (;;) { /* the threads end the process */
        (void)nanosleep(&look, NULL);
        pqi_signer_keys_follow(keys);
    }
}
