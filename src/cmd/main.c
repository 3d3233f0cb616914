/* pqlink: the program.  What it can do stands in commands.c. */
#include "cmd/facts.h"
#include "cmd/program.h"

#include "pqlink_commit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

static const char *environment(const char *name)
{
    return getenv(name);
}

/* What is printed or logged must not go into a file or socket of ours that took the number of a
 * standard stream which whoever started us had closed. */
static bool hold_standard_streams(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF && open("/dev/null", O_RDWR) != fd) {
            return false;
        }
    }
    return true;
}

int main(int argc, char *argv[])
{
    if (!hold_standard_streams()) {
        return EXIT_FAILURE; /* and nobody could be told why */
    }
    pqi_build_commit = PQLINK_COMMIT;
    return pqi_program_run(argc > 0 ? argc - 1 : 0, argv + (argc > 0 ? 1 : 0), environment);
}
