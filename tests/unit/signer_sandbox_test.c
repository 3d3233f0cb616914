/* What a process in the cage can still do.  Each case is a child process: there is no way out. */
#include "test.h"

#include "identity_directory.h"
#include "signer/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define NO_LANDLOCK 77
#define NO_CAGE 78

/* How a child ends that runs |body| in the cage; |body| gets the path of a file that it may read,
 * and answers 0 when all is as it should be. */
static int in_the_cage(const char *dir, int (*body)(const char *inside))
{
    char inside[PATH_MAX];
    (void)snprintf(inside, sizeof(inside), "%s/file", dir);
    const int fd = open(inside, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    (void)close(fd);
    (void)fflush(NULL);
    const pid_t pid = fork();
    if (pid == 0) {
        bool files = false;
        if (pqi_sandbox_files(dir, NULL, &files, NULL) != PQL_OK ||
            pqi_sandbox_calls(NULL) != PQL_OK) {
            _exit(NO_CAGE);
        }
        _exit(files ? body(inside) : NO_LANDLOCK);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == NO_LANDLOCK) {
        print_message("SKIPPED: this kernel has no Landlock for us.\n");
        skip();
    }
    return status;
}

/* 0 when open() fails with |expected|, or succeeds for 0. */
static int open_gives(const char *path, int flags, int expected)
{
    errno = 0;
    const int fd = open(path, flags | O_CLOEXEC, 0600);
    return fd >= 0 ? expected : errno != expected;
}

static int read_inside(const char *inside)
{
    return open_gives(inside, O_RDONLY, 0) != 0 ? 1 : 0;
}

static void a_file_in_the_directory_can_be_read(void **state)
{
    assert_int_equal(in_the_cage(*state, read_inside), 0);
}

static int read_outside(const char *inside)
{
    (void)inside;
    return open_gives("/etc/passwd", O_RDONLY, EACCES);
}

static void a_file_elsewhere_cannot(void **state)
{
    assert_int_equal(in_the_cage(*state, read_outside), 0);
}

static int write_inside(const char *inside)
{
    static const int ways[] = {O_WRONLY, O_RDWR, O_CREAT, O_TRUNC, O_WRONLY | O_APPEND};
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        if (open_gives(inside, ways[i], EPERM) != 0) {
            return (int)i + 1;
        }
    }
    return unlink(inside) == -1 && rename(inside, "x") == -1 && mkdir("x", 0700) == -1 &&
                   chmod(inside, 0644) == -1
               ? 0
               : 10;
}

static void nothing_can_be_written_made_or_removed(void **state)
{
    assert_int_equal(in_the_cage(*state, write_inside), 0);
}

static int make_socket(const char *inside)
{
    (void)inside;
    (void)socket(AF_INET, SOCK_STREAM, 0);
    return 1;
}

static int run_program(const char *inside)
{
    char *const words[] = {(char *)inside, NULL};
    (void)execve("/bin/true", words, words);
    return 1;
}

static int make_process(const char *inside)
{
    (void)inside;
    (void)fork();
    return 1;
}

static void a_socket_a_program_or_a_process_ends_it_at_once(void **state)
{
    int (*const bodies[])(const char *) = {make_socket, run_program, make_process};
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        const int status = in_the_cage(*state, bodies[i]);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), SIGSYS);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DIR_TEST(a_file_in_the_directory_can_be_read),
        DIR_TEST(a_file_elsewhere_cannot),
        DIR_TEST(nothing_can_be_written_made_or_removed),
        DIR_TEST(a_socket_a_program_or_a_process_ends_it_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
