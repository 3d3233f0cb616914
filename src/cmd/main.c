/* pqlink: the program.  What it can do stands in commands.c. */
#include "cmd/facts.h"
#include "cmd/program.h"

#include "pqlink_commit.h"

#include <stdlib.h>

static const char *environment(const char *name)
{
    return getenv(name);
}

int main(int argc, char *argv[])
{
    pqi_build_commit = PQLINK_COMMIT;
    return pqi_program_run(argc > 0 ? argc - 1 : 0, argv + (argc > 0 ? 1 : 0), environment);
}
