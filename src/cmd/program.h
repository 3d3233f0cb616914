/* The program's frame: finds the subcommand, parses its options, runs it, reports the outcome. */
#ifndef PQI_CMD_PROGRAM_H
#define PQI_CMD_PROGRAM_H

#include "cmd/options.h"

/* Runs the program on |argc| words at |argv| (the program's own name left out) and returns its exit
 * status.  Errors go to standard error as "pqlink: <sentence>"; usage errors add where the help is.
 * Main thread. */
int pqi_program_run(int argc, char *const argv[], pqi_env env);

#endif
