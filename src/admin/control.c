#include "admin/control.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 4
#define SOCKET_MODE 0600
/* Two descriptors before those of the connections: the pipe that stops the thread, the listener. */
#define POLL_STOP 0
#define POLL_LISTENER 1
#define POLL_FIRST 2
#define NOBODY (-1)
/* How long nobody new is let in when that fails, for want of descriptors: the listener stays
 * readable, and asking again at once would keep a processor busy. */
#define REST_MS 500
#define OVERRIDE_MEMBERS 3 /* do, policy, seconds */

typedef struct connection {
    int fd; /* -1: free */
    struct ucred who;
    char line[PQI_CONTROL_LINE_MAX];
    size_t have;
    bool overrides; /* it began the override that holds */
} connection;

struct pqi_control {
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
    void (*wake)(void *user);
    void *user;
    int listener;
    int stop[2]; /* a pipe: readable when the thread is to end */
    pthread_t thread;
    bool runs;
    connection connections[PQI_CONTROL_CONNECTIONS_MAX];
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t change;
    bool waiting, taken, answered, stopping;
    pqi_control_request request;
    char *answer; /* owned; NULL: out of memory */
};

/* ---- One line ---- */

static pql_status parse_override(pqi_control_request *out, json_t *root, pql_error *err)
{
    const char *name = json_string_value(json_object_get(root, "policy"));
    const json_t *time = json_object_get(root, "seconds");
    const json_int_t seconds = json_integer_value(time);
    if (name == NULL || !json_is_integer(time) || json_object_size(root) != OVERRIDE_MEMBERS) {
        return pqi_fail(err, PQL_E_USAGE, "An override has a policy and a number of seconds.");
    }
    if (seconds < 1 || seconds > PQI_CONTROL_SECONDS_MAX) {
        return pqi_fail(err, PQL_E_USAGE, "An override lasts from 1 to %d seconds, not %lld.",
                        PQI_CONTROL_SECONDS_MAX, (long long)seconds);
    }
    out->kind = PQI_CONTROL_OVERRIDE;
    out->seconds = (unsigned)seconds;
    return pql_policy_parse(&out->policy, name, err);
}

static pql_status parse_root(pqi_control_request *out, json_t *root, pql_error *err)
{
    const char *what = json_string_value(json_object_get(root, "do"));
    if (what != NULL && strcmp(what, "override") == 0) {
        return parse_override(out, root, err);
    }
    if (what != NULL && json_object_size(root) == 1 && strcmp(what, "status") == 0) {
        out->kind = PQI_CONTROL_STATUS;
        return PQL_OK;
    }
    if (what != NULL && json_object_size(root) == 1 && strcmp(what, "end") == 0) {
        out->kind = PQI_CONTROL_END;
        return PQL_OK;
    }
    return pqi_fail(err, PQL_E_USAGE, "A request is one of status, override and end.");
}

pql_status pqi_control_parse(pqi_control_request *out, const char *line, size_t len, pql_error *err)
{
    *out = (pqi_control_request){.kind = PQI_CONTROL_STATUS};
    json_t *root = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(root)) {
        json_decref(root);
        return pqi_fail(err, PQL_E_USAGE, "A request is one JSON object on a line.");
    }
    const pql_status status = parse_root(out, root, err);
    json_decref(root);
    return status;
}

/* ---- Between the two threads ---- */

static char *answer_text(pql_status status, const pql_error *err, json_t *facts)
{
    json_t *root = status == PQL_OK
                       ? json_pack("{s:b}", "ok", 1)
                       : json_pack("{s:b, s:s, s:s}", "ok", 0, "status", pql_status_name(status),
                                   "error", err != NULL ? err->message : "");
    if (root != NULL && facts != NULL) {
        (void)json_object_update(root, facts);
    }
    char *text = root == NULL ? NULL : json_dumps(root, JSON_COMPACT);
    json_decref(root);
    json_decref(facts);
    return text;
}

bool pqi_control_take(pqi_control *c, pqi_control_request *out)
{
    if (c == NULL) {
        return false;
    }
    (void)pthread_mutex_lock(&c->lock);
    const bool takes = c->waiting && !c->taken;
    if (takes) {
        c->taken = true;
        *out = c->request;
    }
    (void)pthread_mutex_unlock(&c->lock);
    return takes;
}

void pqi_control_answer(pqi_control *c, pql_status status, const pql_error *err, json_t *facts)
{
    char *text = answer_text(status, err, facts);
    (void)pthread_mutex_lock(&c->lock);
    c->answer = text;
    c->answered = true;
    (void)pthread_cond_broadcast(&c->change);
    (void)pthread_mutex_unlock(&c->lock);
}

/* Lets the main thread carry |request| out; its answer, to be freed, or NULL when there is none
 * because we are stopping or out of memory. */
static char *ask_main(pqi_control *c, const pqi_control_request *request)
{
    (void)pthread_mutex_lock(&c->lock);
    c->request = *request;
    c->waiting = true;
    c->taken = c->answered = false;
    c->answer = NULL;
    (void)pthread_mutex_unlock(&c->lock);
    c->wake(c->user);
    (void)pthread_mutex_lock(&c->lock);
    while (!c->answered && !c->stopping) {
        (void)pthread_cond_wait(&c->change, &c->lock);
    }
    char *text = c->answer;
    c->answer = NULL;
    c->waiting = false;
    (void)pthread_mutex_unlock(&c->lock);
    return text;
}

/* ---- Connections ---- */

static void send_line(const connection *one, const char *text)
{
    /* A peer that does not read a line of its own request is not waited for. */
    struct iovec pieces[] = {{.iov_base = (void *)(uintptr_t)text, .iov_len = strlen(text)},
                             {.iov_base = (char[]){'\n'}, .iov_len = 1}};
    const struct msghdr line = {.msg_iov = pieces, .msg_iovlen = 2};
    (void)sendmsg(one->fd, &line, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void hang_up(pqi_control *c, connection *one)
{
    const pqi_control_request end = {
        .kind = PQI_CONTROL_END, .hung_up = true, .pid = one->who.pid, .uid = one->who.uid};
    (void)close(one->fd);
    one->fd = NOBODY;
    one->have = 0;
    if (one->overrides) {
        one->overrides = false;
        free(ask_main(c, &end));
    }
}

static bool answered_ok(const char *text)
{
    return strncmp(text, "{\"ok\":true", sizeof("{\"ok\":true") - 1) == 0;
}

static void note_override(pqi_control *c, connection *one, const pqi_control_request *request)
{
    if (request->kind == PQI_CONTROL_STATUS) {
        return;
    }
    for (unsigned i = 0; i < PQI_CONTROL_CONNECTIONS_MAX; i++) {
        c->connections[i].overrides = false;
    }
    one->overrides = request->kind == PQI_CONTROL_OVERRIDE;
}

static void carry_out(pqi_control *c, connection *one, size_t len)
{
    pqi_control_request request;
    pql_error err = {0};
    const pql_status status = pqi_control_parse(&request, one->line, len, &err);
    request.pid = one->who.pid;
    request.uid = one->who.uid;
    char *text = status == PQL_OK ? ask_main(c, &request) : answer_text(status, &err, NULL);
    /* Without memory for an answer it may have begun all the same. */
    if (status == PQL_OK && (text == NULL || answered_ok(text))) {
        note_override(c, one, &request);
    }
    if (text != NULL) {
        send_line(one, text);
    }
    free(text);
}

static void take_lines(pqi_control *c, connection *one)
{
    for (;;) {
        const char *end = memchr(one->line, '\n', one->have);
        if (end == NULL) {
            break;
        }
        const size_t len = (size_t)(end - one->line);
        carry_out(c, one, len);
        one->have -= len + 1;
        memmove(one->line, one->line + len + 1, one->have);
    }
    if (one->have == sizeof(one->line)) {
        send_line(one, "{\"ok\":false,\"error\":\"The line is too long.\"}");
        hang_up(c, one);
    }
}

static void serve(pqi_control *c, connection *one)
{
    const ssize_t got = recv(one->fd, one->line + one->have, sizeof(one->line) - one->have, 0);
    if (got <= 0) {
        if (got == 0 || errno != EINTR) {
            hang_up(c, one);
        }
        return;
    }
    one->have += (size_t)got;
    take_lines(c, one);
}

static connection *free_place(pqi_control *c)
{
    for (unsigned i = 0; i < PQI_CONTROL_CONNECTIONS_MAX; i++) {
        if (c->connections[i].fd == NOBODY) {
            return &c->connections[i];
        }
    }
    return NULL;
}

/* The mode of the socket keeps others out already, unless somebody changed it. */
static bool may_ask(int fd, struct ucred *who)
{
    socklen_t len = sizeof(*who);
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, who, &len) == 0 &&
           (who->uid == 0 || who->uid == geteuid());
}

/* False when nobody can be let in now. */
static bool take_connection(pqi_control *c)
{
    struct ucred who;
    const int fd = accept4(c->listener, NULL, NULL, SOCK_CLOEXEC);
    connection *place = free_place(c);
    if (fd < 0) {
        return false;
    }
    if (place == NULL || !may_ask(fd, &who)) {
        (void)close(fd);
        return true;
    }
    *place = (connection){.fd = fd, .who = who};
    return true;
}

static void *thread_main(void *arg)
{
    pqi_control *c = arg;
    bool rests = false;
    for (;;) {
        struct pollfd fds[POLL_FIRST + PQI_CONTROL_CONNECTIONS_MAX] = {
            {.fd = c->stop[0], .events = POLLIN},
            {.fd = rests ? NOBODY : c->listener, .events = POLLIN}};
        for (unsigned i = 0; i < PQI_CONTROL_CONNECTIONS_MAX; i++) {
            fds[POLL_FIRST + i] = (struct pollfd){.fd = c->connections[i].fd, .events = POLLIN};
        }
        const int ready = poll(fds, sizeof(fds) / sizeof(fds[0]), rests ? REST_MS : -1);
        rests = rests && ready > 0;
        if (ready < 0) {
            continue; /* EINTR; what else poll can answer here is a want of memory that passes */
        }
        if (fds[POLL_STOP].revents != 0) {
            return NULL;
        }
        for (unsigned i = 0; i < PQI_CONTROL_CONNECTIONS_MAX; i++) {
            if (fds[POLL_FIRST + i].revents != 0) {
                serve(c, &c->connections[i]);
            }
        }
        if (fds[POLL_LISTENER].revents != 0) {
            rests = !take_connection(c);
        }
    }
}

/* ---- Start and end ---- */

static bool somebody_answers(const struct sockaddr_un *address)
{
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    /* EAGAIN: it is there, and so many wait that it takes no more. */
    const bool answers =
        fd >= 0 &&
        (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 || errno == EAGAIN);
    if (fd >= 0) {
        (void)close(fd);
    }
    return answers;
}

static pql_status bind_socket(pqi_control *c, pql_error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", c->path);
    if (somebody_answers(&address)) {
        c->path[0] = '\0'; /* it is not ours to remove */
        return pqi_fail(err, PQL_E_EXISTS, "Another program answers at %s.", address.sun_path);
    }
    (void)unlink(c->path);
    c->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    /* Nobody can connect between bind and chmod: it does not listen yet. */
    if (c->listener < 0 ||
        bind(c->listener, (const struct sockaddr *)&address, sizeof(address)) != 0 ||
        chmod(c->path, SOCKET_MODE) != 0 || listen(c->listener, BACKLOG) != 0) {
        return pqi_fail_errno(err, PQL_E_IO, errno, "Cannot make the control socket %s",
                              address.sun_path);
    }
    return PQL_OK;
}

static pql_status start_thread(pqi_control *c, pql_error *err)
{
    sigset_t all;
    sigset_t before;
    if (pipe2(c->stop, O_CLOEXEC) != 0) {
        return pqi_fail_errno(err, PQL_E_FAILED, errno, "The control socket cannot be served");
    }
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    const int failure = pthread_create(&c->thread, NULL, thread_main, c);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    c->runs = failure == 0;
    return failure == 0 ? PQL_OK
                        : pqi_fail_errno(err, PQL_E_FAILED, failure,
                                         "The thread of the control socket cannot be started");
}

pql_status pqi_control_open(pqi_control **out, const char *path, void (*wake)(void *user),
                            void *user, pql_error *err)
{
    *out = NULL;
    pqi_control *c = calloc(1, sizeof(*c));
    if (c == NULL) {
        return pqi_fail(err, PQL_E_NOMEM, "Out of memory making the control socket.");
    }
    c->wake = wake;
    c->user = user;
    c->listener = c->stop[0] = c->stop[1] = NOBODY;
    for (unsigned i = 0; i < PQI_CONTROL_CONNECTIONS_MAX; i++) {
        c->connections[i].fd = NOBODY;
    }
    (void)pthread_mutex_init(&c->lock, NULL);
    (void)pthread_cond_init(&c->change, NULL);
    pql_status status = PQL_OK;
    if (strlen(path) >= sizeof(c->path)) {
        status = pqi_fail(err, PQL_E_IO, "%s is too long for a socket: at most %zu characters.",
                          path, sizeof(c->path) - 1);
    } else {
        (void)snprintf(c->path, sizeof(c->path), "%s", path);
        status = bind_socket(c, err);
    }
    status = status == PQL_OK ? start_thread(c, err) : status;
    if (status != PQL_OK) {
        pqi_control_close(c);
        return status;
    }
    *out = c;
    return PQL_OK;
}

static void close_fd(int fd)
{
    if (fd >= 0) {
        (void)close(fd);
    }
}

static void stop_thread(pqi_control *c)
{
    (void)pthread_mutex_lock(&c->lock);
    c->stopping = true;
    (void)pthread_cond_broadcast(&c->change);
    (void)pthread_mutex_unlock(&c->lock);
    (void)!write(c->stop[1], "", 1);
    (void)pthread_join(c->thread, NULL);
}

void pqi_control_close(pqi_control *c)
{
    if (c == NULL) {
        return;
    }
    if (c->runs) {
        stop_thread(c);
    }
    for (unsigned i = 0; i < PQI_CONTROL_CONNECTIONS_MAX; i++) {
        close_fd(c->connections[i].fd);
    }
    if (c->listener >= 0 && c->path[0] != '\0') {
        (void)unlink(c->path);
    }
    close_fd(c->listener);
    close_fd(c->stop[0]);
    close_fd(c->stop[1]);
    free(c->answer);
    (void)pthread_mutex_destroy(&c->lock);
    (void)pthread_cond_destroy(&c->change);
    free(c);
}
