#include "cmd/child.h"

#include "base/clock.h"
#include "base/text.h"
#include "cmd/command.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- Start ---- */

/* What it has open: nothing of ours but the far end of the pipe. */
static int set_files(posix_spawn_file_actions_t *files, int said)
{
    /* First, as |said| may be 0 or 1 itself. */
    int code = posix_spawn_file_actions_adddup2(files, said, STDERR_FILENO);
    if (code == 0) {
        code = posix_spawn_file_actions_addopen(files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    }
    if (code == 0) {
        code = posix_spawn_file_actions_addopen(files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    }
    return code != 0 ? code : posix_spawn_file_actions_addclosefrom_np(files, STDERR_FILENO + 1);
}

/* Signals that we block or ignore are ours alone. */
static int set_signals(posix_spawnattr_t *attr)
{
    sigset_t none;
    sigset_t all;
    (void)sigemptyset(&none);
    (void)sigfillset(&all);
    int code = posix_spawnattr_setsigmask(attr, &none);
    if (code == 0) {
        code = posix_spawnattr_setsigdefault(attr, &all);
    }
    return code != 0
               ? code
               : posix_spawnattr_setflags(attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
}

/* 0, or what errno would be. */
static int spawn(pid_t *pid, const char *program, const char *const *argv, int said)
{
    char *const environment[] = {NULL};
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    int code = posix_spawn_file_actions_init(&files);
    if (code != 0) {
        return code;
    }
    code = posix_spawnattr_init(&attr);
    if (code == 0) {
        code = set_files(&files, said);
        if (code == 0) {
            code = set_signals(&attr);
        }
        if (code == 0) {
            /* It changes none of the words; its type is older than const. */
            code = posix_spawn(pid, program, &files, &attr, (char *const *)argv, environment);
        }
        (void)posix_spawnattr_destroy(&attr);
    }
    (void)posix_spawn_file_actions_destroy(&files);
    return code;
}

pql_status pqi_child_start(pqi_child *child, const char *program, const char *const *argv,
                           uint64_t now, uint64_t limit, pql_error *err)
{
    int ends[2];
    if (child->pid != 0) {
        return pqi_fail(err, PQL_E_STATE, "Such a process runs already.");
    }
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) {
        return pqi_fail_errno(err, PQL_E_IO, errno, "Cannot make a pipe to another process");
    }
    *child = (pqi_child){.said_fd = ends[0], .deadline = now + limit};
    const int code = spawn(&child->pid, program, argv, ends[1]);
    (void)close(ends[1]);
    if (code != 0) {
        (void)close(ends[0]);
        *child = (pqi_child){0};
        return pqi_fail_errno(err, code == ENOMEM || code == EAGAIN ? PQL_E_NOMEM : PQL_E_IO, code,
                              "Cannot start another process");
    }
    return PQL_OK;
}

/* ---- End ---- */

/* Reads what it said; of too much the beginning is kept. */
static void listen_to(pqi_child *child)
{
    char more[PQI_CHILD_SAID_MAX];
    ssize_t n = 0;
    while ((n = read(child->said_fd, more, sizeof(more))) > 0) {
        const size_t room = PQI_CHILD_SAID_MAX - child->said_len;
        const size_t len = (size_t)n < room ? (size_t)n : room;
        memcpy(child->said + child->said_len, more, len);
        child->said_len += len;
    }
    child->said[child->said_len] = '\0';
}

/* Its first line, without the name of the program before it. */
static const char *sentence_of(pqi_child *child)
{
    static const char name[] = PQI_PROGRAM ": ";
    child->said[strcspn(child->said, "\n")] = '\0';
    pqi_text_clean(child->said);
    const bool named = strncmp(child->said, name, sizeof(name) - 1) == 0;
    const char *said = child->said + (named ? sizeof(name) - 1 : 0);
    return *said != '\0' ? said : "It said nothing.";
}

static void forget(pqi_child *child)
{
    (void)close(child->said_fd);
    child->said_fd = -1;
    child->pid = 0;
}

/* |status| as of waitpid. */
static pqi_child_state tell(pqi_child *child, int status, pql_error *err)
{
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0 && !child->overdue) {
        return PQI_CHILD_DONE;
    }
    if (child->overdue) {
        (void)pqi_fail(err, PQL_E_TIMEOUT, "it took too long and was ended. %s",
                       sentence_of(child));
    } else {
        const bool killed = WIFSIGNALED(status);
        (void)pqi_fail(err, PQL_E_FAILED, "%s %d. %s", killed ? "signal" : "status",
                       killed ? WTERMSIG(status) : WEXITSTATUS(status), sentence_of(child));
    }
    return PQI_CHILD_FAILED;
}

pqi_child_state pqi_child_look(pqi_child *child, uint64_t now, pql_error *err)
{
    int status = 0;
    if (child->pid == 0) {
        return PQI_CHILD_NONE;
    }
    const pid_t pid = waitpid(child->pid, &status, WNOHANG);
    listen_to(child); /* also while it runs, so that it never waits for us */
    if (pid == 0) {
        if (now >= child->deadline && !child->overdue) {
            child->overdue = kill(child->pid, SIGKILL) == 0;
        }
        return PQI_CHILD_RUNS;
    }
    if (pid < 0 && errno == EINTR) {
        return PQI_CHILD_RUNS;
    }
    forget(child);
    if (pid < 0) { /* whoever started us has SIGCHLD ignored */
        (void)pqi_fail_errno(err, PQL_E_FAILED, errno, "how it ended could not be found out");
        return PQI_CHILD_FAILED;
    }
    return tell(child, status, err);
}

bool pqi_child_runs(const pqi_child *child)
{
    return child->pid != 0;
}

void pqi_child_stop(pqi_child *child)
{
    if (child->pid == 0) {
        return;
    }
    /* Looked at first: where SIGCHLD is ignored its number may be another one's by now. */
    if (waitpid(child->pid, NULL, WNOHANG) == 0) {
        (void)kill(child->pid, SIGKILL);
        while (waitpid(child->pid, NULL, 0) < 0 && errno == EINTR) {
        }
    }
    forget(child);
}
