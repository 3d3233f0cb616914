#include "signer/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Landlock knows them from its first version on. */
#define ACCESS_READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define ACCESS_ALL                                                                                 \
    (ACCESS_READ | LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE |                    \
     LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |                              \
     LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |    \
     LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK | \
     LANDLOCK_ACCESS_FS_MAKE_SYM)

/* ---- files ---- */

/* The C library has no functions for these. */
static int make_ruleset(void)
{
    const struct landlock_ruleset_attr attr = {.handled_access_fs = ACCESS_ALL};
    return (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr.handled_access_fs), 0);
}

static bool allow_reading(int ruleset, const char *path, uint64_t access)
{
    struct landlock_path_beneath_attr attr = {.allowed_access = access};
    attr.parent_fd = open(path, O_PATH | O_CLOEXEC);
    if (attr.parent_fd < 0) {
        return false;
    }
    const bool ok =
        syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &attr, 0) == 0;
    (void)close(attr.parent_fd);
    return ok;
}

pql_status pqi_sandbox_files(const char *dir, const char *file, bool *done, pql_error *err)
{
    const int ruleset = make_ruleset();
    *done = false;
    if (ruleset < 0 && (errno == ENOSYS || errno == EOPNOTSUPP || errno == EPERM)) {
        return PQL_OK;
    }
    *done = ruleset >= 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
            allow_reading(ruleset, dir, ACCESS_READ) &&
            (file == NULL || allow_reading(ruleset, file, LANDLOCK_ACCESS_FS_READ_FILE)) &&
            syscall(SYS_landlock_restrict_self, ruleset, 0) == 0;
    const int saved = errno;
    if (ruleset >= 0) {
        (void)close(ruleset);
    }
    return *done ? PQL_OK
                 : pqi_fail_errno(err, PQL_E_STATE, saved,
                                  "The key process cannot give up the files outside %s (Landlock)",
                                  dir);
}

/* ---- system calls ---- */

/* What threads, memory, signals, reading and answering need.  malloc() asks for the processors, by
 * sched_getaffinity or from a file, once there are more than a few threads. */
static const int allowed[] = {
    SCMP_SYS(read), SCMP_SYS(pread64), SCMP_SYS(lseek), SCMP_SYS(close), SCMP_SYS(fstat),
    SCMP_SYS(stat), SCMP_SYS(lstat), SCMP_SYS(newfstatat), SCMP_SYS(statx), SCMP_SYS(getdents64),
    SCMP_SYS(flock), SCMP_SYS(fcntl), SCMP_SYS(access), SCMP_SYS(faccessat), SCMP_SYS(faccessat2),
    SCMP_SYS(write), SCMP_SYS(writev), SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(recvfrom),
    SCMP_SYS(recvmsg), SCMP_SYS(sendto), SCMP_SYS(sendmsg), SCMP_SYS(mmap), SCMP_SYS(munmap),
    SCMP_SYS(mremap), SCMP_SYS(mprotect), SCMP_SYS(madvise), SCMP_SYS(brk), SCMP_SYS(futex),
    SCMP_SYS(getrandom), SCMP_SYS(clock_gettime), SCMP_SYS(gettimeofday), SCMP_SYS(time),
    SCMP_SYS(clock_nanosleep), SCMP_SYS(nanosleep), SCMP_SYS(restart_syscall),
    SCMP_SYS(sched_yield), SCMP_SYS(sched_getaffinity),
    /* What the C library does first in a thread.  Ours are through with
     * it by now; those of a sanitizer may not be. */
    SCMP_SYS(rseq), SCMP_SYS(set_robust_list), SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(getuid),
    SCMP_SYS(geteuid), SCMP_SYS(tgkill), SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn), SCMP_SYS(sigaltstack), SCMP_SYS(exit), SCMP_SYS(exit_group)};

/* What nobody but an intruder tries. */
static const int deadly[] = {SCMP_SYS(execve),
                             SCMP_SYS(execveat),
                             SCMP_SYS(fork),
                             SCMP_SYS(vfork),
                             SCMP_SYS(clone),
                             SCMP_SYS(clone3),
                             SCMP_SYS(ptrace),
                             SCMP_SYS(process_vm_readv),
                             SCMP_SYS(process_vm_writev),
                             SCMP_SYS(socket),
                             SCMP_SYS(connect),
                             SCMP_SYS(bind)};

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* All ways of open() that can make or change a file. */
#define OPEN_CHANGES ((uint64_t)(O_ACCMODE | O_CREAT | O_TRUNC | O_APPEND))

static int add_opening(scmp_filter_ctx filter)
{
    int rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(openat), 1,
                              SCMP_A2(SCMP_CMP_MASKED_EQ, OPEN_CHANGES, O_RDONLY));
    if (rc == 0) {
        rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(open), 1,
                              SCMP_A1(SCMP_CMP_MASKED_EQ, OPEN_CHANGES, O_RDONLY));
    }
    return rc;
}

static int fill(scmp_filter_ctx filter)
{
    int rc = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
    for (size_t i = 0; rc == 0 && i < COUNT(allowed); i++) {
        rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);
    }
    for (size_t i = 0; rc == 0 && i < COUNT(deadly); i++) {
        rc = seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, deadly[i], 0);
    }
    return rc == 0 ? add_opening(filter) : rc;
}

pql_status pqi_sandbox_calls(pql_error *err)
{
    /* Another C library may try what this one does not, and has a way without it. */
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    int rc = filter == NULL ? -ENOMEM : fill(filter);
    if (rc == 0) {
        rc = seccomp_load(filter);
    }
    seccomp_release(filter);
    return rc == 0 ? PQL_OK
                   : pqi_fail_errno(err, PQL_E_STATE, -rc,
                                    "The key process cannot give up system calls (seccomp). Let "
                                    "the service manager or the container allow seccomp(2)");
}

pql_status pqi_sandbox_no_rings(pql_error *err)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    int rc = filter == NULL ? -ENOMEM : 0;
    if (rc == 0) {
        rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(io_uring_setup), 0);
    }
    if (rc == 0) {
        rc = seccomp_load(filter);
    }
    seccomp_release(filter);
    return rc == 0 ? PQL_OK
                   : pqi_fail_errno(err, PQL_E_STATE, -rc, "io_uring cannot be given up (seccomp)");
}
