/* pqlink mine: what the parser hands to the function that runs the miner. */
#ifndef PQI_CMD_MINE_H
#define PQI_CMD_MINE_H

#include "cmd/log_options.h"
#include "cmd/login_list.h"
#include "cmd/security_options.h"

typedef struct pqi_mine_options {
    pqi_login_list login;        /* checked; empty with bench */
    const char *name;            /* pqi_miner_name_ok; NULL: that of the host */
    pqi_dir dir;                 /* memory of --tofu, identity */
    bool identity;               /* the one in |dir| is shown to nodes that ask */
    const char *passphrase_file; /* of |identity|; NULL: its keys are not encrypted */
    uint64_t threads;            /* 0: one per processor */
    uint64_t max_blocks;         /* 0: no end */
    pqi_security_options security;
    pqi_endpoint admin;
    bool bench;
    uint64_t bench_seconds;
    uint64_t status_interval_ns; /* between status events where there is no live line; 0: none */
    pqi_log_options log;
    const char *keylog_file; /* NULL: none */
    const char *qlog_dir;    /* NULL: none */
} pqi_mine_options;

/* Mines until SIGINT or SIGTERM (PQL_OK), until max_blocks results were accepted (PQL_OK), or until
 * a failure that another try cannot mend, such as a wrong pin; or measures the hash rate (bench).
 * |options| is complete and checked; it and the texts in it live until the return.  Main thread. */
pql_status pqi_mine_run(const pqi_mine_options *options, pql_error *err);

extern const pqi_command pqi_command_mine;

#endif
