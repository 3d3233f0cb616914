#include "signer/signer.h"

#include "identity/elsewhere.h"
#include "signer/process.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

/* Until it has made or read its keys. */
#define HELLO_SECONDS 60
/* For one signature; a machine that takes longer serves nobody anyway. */
#define ANSWER_SECONDS 5

typedef struct channel {
    pthread_mutex_t lock; /* one question at a time */
    int fd;               /* -1: not open */
    uint64_t next_id;
} channel;

struct pqi_signer {
    pid_t pid; /* 0: it has ended and was waited for */
    int end_status;
    unsigned count;
    atomic_uint next; /* channel that is tried first */
    pqi_key_holder holder;
    channel channels[PQI_SIGNER_CHANNELS_MAX];
};

/* ---- one question ---- */

/* How long recv() on |fd| waits from now on. */
static bool set_patience(int fd, unsigned seconds)
{
    const struct timeval patience = {.tv_sec = seconds};
    return setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) == 0;
}

static ssize_t receive_packet(int fd, uint8_t *data, size_t size)
{
    ssize_t n;
    do {
        n = recv(fd, data, size, 0);
    } while (n < 0 && errno == EINTR);
    return n;
}

/* The answer to |id|; an older one, which nobody waited for any longer, is passed over. */
static bool receive(const channel *c, uint64_t id, uint8_t *data, size_t size,
                    pqi_signer_answer *answer)
{
    for (;;) {
        const ssize_t n = receive_packet(c->fd, data, size);
        if (n <= 0 || !pqi_signer_answer_read(answer, data, (size_t)n)) {
            return false;
        }
        if (answer->id == id) {
            return true;
        }
    }
}

/* A channel that nobody uses, or the next in turn when all are in use; locked. */
static channel *take_channel(pqi_signer *signer)
{
    const unsigned first = atomic_fetch_add(&signer->next, 1) % signer->count;
    for (unsigned i = 0; i < signer->count; i++) {
        channel *c = &signer->channels[(first + i) % signer->count];
        if (pthread_mutex_trylock(&c->lock) == 0) {
            return c;
        }
    }
    (void)pthread_mutex_lock(&signer->channels[first].lock);
    return &signer->channels[first];
}

static bool ask(channel *c, pqi_signer_request *request, uint8_t *data, size_t size,
                pqi_signer_answer *answer)
{
    uint8_t packet[PQI_SIGNER_REQUEST_MAX];
    request->id = ++c->next_id;
    const size_t len = pqi_signer_request_write(packet, sizeof(packet), request);
    return len > 0 && send(c->fd, packet, len, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)len &&
           receive(c, request->id, data, size, answer);
}

bool pqi_signer_sign(pqi_signer *signer, const uint8_t cert[PQI_SIGNER_CERT_LEN], uint16_t scheme,
                     const uint8_t *in, size_t in_len, uint8_t *out, size_t *out_len, size_t size,
                     pqi_signer_verdict *verdict)
{
    uint8_t data[PQI_SIGNER_ANSWER_MAX];
    pqi_signer_answer answer = {.verdict = PQI_SIGNER_FAILED};
    pqi_signer_request request = {.scheme = scheme, .input = in, .input_len = in_len};
    memcpy(request.cert, cert, sizeof(request.cert));
    channel *c = take_channel(signer);
    const bool answered = ask(c, &request, data, sizeof(data), &answer);
    (void)pthread_mutex_unlock(&c->lock);
    if (verdict != NULL) {
        *verdict = answered ? answer.verdict : PQI_SIGNER_FAILED;
    }
    if (!answered || answer.verdict != PQI_SIGNER_SIGNED || answer.signature_len > size) {
        return false;
    }
    memcpy(out, answer.signature, answer.signature_len);
    *out_len = answer.signature_len;
    return true;
}

static bool sign_for_tls(void *user, const uint8_t cert[PQI_SIGNER_CERT_LEN], uint16_t scheme,
                         const uint8_t *in, size_t in_len, uint8_t *out, size_t *out_len,
                         size_t size)
{
    return pqi_signer_sign(user, cert, scheme, in, in_len, out, out_len, size, NULL);
}

/* ---- life and death ---- */

static void close_channels(pqi_signer *signer)
{
    for (unsigned i = 0; i < signer->count; i++) {
        if (signer->channels[i].fd >= 0) {
            (void)close(signer->channels[i].fd);
            signer->channels[i].fd = -1;
        }
    }
}

static pql_status make_channels(pqi_signer *signer, int *far, pql_error *err)
{
    for (unsigned i = 0; i < signer->count; i++) {
        signer->channels[i].fd = far[i] = -1;
    }
    for (unsigned i = 0; i < signer->count; i++) {
        int pair[2];
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
            return pqi_fail_errno(err, PQL_E_IO, errno, "Cannot make a socket to the key process");
        }
        signer->channels[i].fd = pair[0];
        far[i] = pair[1];
    }
    return PQL_OK;
}

static pql_status start_process(pqi_signer *signer, const pqi_signer_opts *opts, pql_error *err)
{
    int far[PQI_SIGNER_CHANNELS_MAX];
    const long parent = getpid();
    pql_status status = make_channels(signer, far, err);
    if (status == PQL_OK) {
        signer->pid = fork();
        if (signer->pid == 0) {
            pqi_signer_process(opts, far, signer->count, parent);
        }
        if (signer->pid < 0) {
            signer->pid = 0;
            status = pqi_fail_errno(err, PQL_E_NOMEM, errno, "Cannot start the key process");
        }
    }
    for (unsigned i = 0; i < signer->count; i++) {
        if (far[i] >= 0) {
            (void)close(far[i]);
        }
    }
    return status;
}

static pql_status set_all_patience(const pqi_signer *signer, unsigned seconds, pql_error *err)
{
    for (unsigned i = 0; i < signer->count; i++) {
        if (!set_patience(signer->channels[i].fd, seconds)) {
            return pqi_fail_errno(err, PQL_E_IO, errno, "Cannot set up the key process' sockets");
        }
    }
    return PQL_OK;
}

static pql_status wait_hello(const pqi_signer *signer, pql_error *err)
{
    uint8_t data[PQI_SIGNER_HELLO_MAX];
    const ssize_t n = receive_packet(signer->channels[0].fd, data, sizeof(data));
    if (n < 0 && errno == EAGAIN) {
        return pqi_fail(err, PQL_E_TIMEOUT, "The key process did not get ready in a minute.");
    }
    if (n <= 0) {
        return pqi_fail(err, PQL_E_STATE,
                        "The key process ended before it was ready. If a system call was the "
                        "reason, the kernel's log names it (seccomp).");
    }
    return pqi_signer_hello_read(data, (size_t)n, err);
}

pql_status pqi_signer_start(pqi_signer **out, const pqi_signer_opts *opts, pql_error *err)
{
    *out = NULL;
    if (opts->channels == 0 || opts->channels > PQI_SIGNER_CHANNELS_MAX || opts->roles == 0) {
        return pqi_fail(err, PQL_E_USAGE, "A key process needs 1 to %d channels, and a role.",
                        PQI_SIGNER_CHANNELS_MAX);
    }
    pqi_signer *signer = calloc(1, sizeof(*signer));
    if (signer == NULL) {
        return pqi_fail(err, PQL_E_NOMEM, "Out of memory starting the key process.");
    }
    signer->count = opts->channels;
    for (unsigned i = 0; i < signer->count; i++) {
        (void)pthread_mutex_init(&signer->channels[i].lock, NULL);
    }
    pql_status status = start_process(signer, opts, err);
    if (status == PQL_OK) {
        status = set_all_patience(signer, HELLO_SECONDS, err);
    }
    if (status == PQL_OK) {
        status = wait_hello(signer, err);
    }
    if (status == PQL_OK) {
        status = set_all_patience(signer, ANSWER_SECONDS, err);
    }
    if (status != PQL_OK) {
        pqi_signer_stop(signer);
        return status;
    }
    signer->holder = (pqi_key_holder){.sign = sign_for_tls, .user = signer};
    pqi_keys_move_out(&signer->holder);
    *out = signer;
    return PQL_OK;
}

/* True when it has ended. */
static bool reap(pqi_signer *signer, int flags)
{
    while (signer->pid > 0) {
        const pid_t pid = waitpid(signer->pid, &signer->end_status, flags);
        if (pid < 0 && errno == EINTR) {
            continue;
        }
        if (pid == 0) {
            return false;
        }
        signer->pid = 0;
    }
    return true;
}

pql_status pqi_signer_check(pqi_signer *signer, pql_error *err)
{
    if (!reap(signer, WNOHANG)) {
        return PQL_OK;
    }
    const bool killed = WIFSIGNALED(signer->end_status);
    return pqi_fail(err, PQL_E_STATE,
                    "The key process has ended (%s %d), so no handshake can be signed any more. "
                    "The node stops; start it again.",
                    killed ? "signal" : "status",
                    killed ? WTERMSIG(signer->end_status) : WEXITSTATUS(signer->end_status));
}

long pqi_signer_pid(const pqi_signer *signer)
{
    return signer->pid;
}

void pqi_signer_stop(pqi_signer *signer)
{
    if (signer == NULL) {
        return;
    }
    if (pqi_keys_holder() == &signer->holder) {
        pqi_keys_move_out(NULL);
    }
    if (signer->pid > 0) {
        (void)kill(signer->pid, SIGKILL); /* it has nothing to tidy up */
    }
    (void)reap(signer, 0);
    close_channels(signer);
    for (unsigned i = 0; i < signer->count; i++) {
        (void)pthread_mutex_destroy(&signer->channels[i].lock);
    }
    free(signer);
}
