/* Full handshakes per second of a server's CPU time, over loopback: links are opened and closed,
 * AT-ONCE at a time, and what the server's process has used is read from /proc before and after. So
 * any QUIC server can be measured, system calls and all, without a change to it.
 *
 *     bench_handshake_load [--mutual] [--key-process] [--count N] [--at-once N] [--to PORT --alpn
 * NAME --pid PID]
 *
 * --key-process: its private keys are in a process of their own, whose CPU time counts with it.
 * Without --to: a server of its own with one worker.  JSON on standard output.  bench/peers.py runs
 * the whole table, other servers beside ours. */
#include "bench.h"
#include "links.h"

#include <dirent.h>
#include <getopt.h>
#include <limits.h>

#define COUNT 2000
#define AT_ONCE 16
/* Before what counts: caches, memory, the server's own laziness. */
#define WARM_UP 100

typedef struct options {
    unsigned count, at_once, port;
    int pid;
    const char *alpn;
    bool mutual, key_process;
} options;

/* Nanoseconds that all threads of the process have run (proc_pid_schedstat(5)). */
static uint64_t process_cpu(int pid)
{
    char path[PATH_MAX];
    uint64_t total = 0;
    (void)snprintf(path, sizeof(path), "/proc/%d/task", pid);
    DIR *tasks = opendir(path);
    check(tasks != NULL, "no such process");
    for (const struct dirent *entry = NULL; (entry = readdir(tasks)) != NULL;) {
        unsigned long long ran = 0;
        (void)snprintf(path, sizeof(path), "/proc/%d/task/%.20s/schedstat", pid, entry->d_name);
        FILE *file = entry->d_name[0] == '.' ? NULL : fopen(path, "r");
        if (file != NULL) {
            check(fscanf(file, "%llu", &ran) == 1, "no scheduler statistics in /proc");
            total += ran;
            (void)fclose(file);
        }
    }
    (void)closedir(tasks);
    check(total > 0, "no scheduler statistics in /proc");
    return total;
}

/* Its key process belongs to it. */
static uint64_t server_cpu(const options *o, const bench_server *server)
{
    return process_cpu(o->pid) + (server->keys != 0 ? process_cpu((int)server->keys) : 0);
}

static options read_options(int argc, char **argv)
{
    static const struct option table[] = {
        {"count", required_argument, NULL, 'c'}, {"at-once", required_argument, NULL, 'o'},
        {"to", required_argument, NULL, 't'},    {"alpn", required_argument, NULL, 'a'},
        {"pid", required_argument, NULL, 'p'},   {"mutual", no_argument, NULL, 'm'},
        {"key-process", no_argument, NULL, 'k'}, {0}};
    options o = {.count = COUNT, .at_once = AT_ONCE, .alpn = BENCH_ALPN};
    for (int which = 0; (which = getopt_long(argc, argv, "", table, NULL)) != -1;) {
        const unsigned value = optarg == NULL ? 0 : (unsigned)strtoul(optarg, NULL, 10);
        switch (which) {
        case 'c':
            o.count = value;
            break;
        case 'o':
            o.at_once = value;
            break;
        case 't':
            o.port = value;
            break;
        case 'a':
            o.alpn = optarg;
            break;
        case 'p':
            o.pid = (int)value;
            break;
        case 'k':
            o.key_process = true;
            break;
        case 'm':
            o.mutual = true;
            break;
        default:
            exit(2);
        }
    }
    check(!o.key_process || o.port == 0, "--key-process is about a server of our own");
    check(o.count > 0 && o.at_once > 0 && (o.port == 0) == (o.pid == 0),
          "--count and --at-once from 1, --to and --pid together");
    return o;
}

int main(int argc, char **argv)
{
    options o = read_options(argc, argv);
    bench_server server = {0};
    bench_links result;
    bench_links_opts links = {.alpn = o.alpn, .count = WARM_UP, .at_once = o.at_once};
    const bool own = o.port == 0;
    pql_identity *client = NULL;
    check(!o.mutual || pql_identity_ephemeral(&client, NULL, NULL) == PQL_OK, "identity");
    links.identity = client;
    if (own) {
        server = bench_server_start(client, o.key_process);
        links.pin = &server.pin;
        o.port = server.port;
        o.pid = (int)server.pid;
    }
    links.port = o.port;
    bench_links_run(&links, &result);
    free(result.ms);
    links.count = o.count;
    const uint64_t cpu = server_cpu(&o, &server);
    const uint64_t began = pqi_clock_monotonic();
    bench_links_run(&links, &result);
    const double took = (double)(pqi_clock_monotonic() - began) / (double)PQI_NS_PER_SEC;
    const double spent = (double)(server_cpu(&o, &server) - cpu) / (double)PQI_NS_PER_SEC;
    check(result.opened > 0, result.why);
    (void)printf("{\"bench\":\"handshake_load\",\"mutual\":%s,\"key_process\":%s,\"count\":%u,"
                 "\"failed\":%u,\"at_once\":%u,"
                 "\"per_cpu_second\":%.0f,\"per_second\":%.0f}\n",
                 o.mutual ? "true" : "false", o.key_process ? "true" : "false", o.count,
                 result.failed, o.at_once, (double)result.opened / spent,
                 (double)result.opened / took);
    free(result.ms);
    pql_identity_free(client);
    if (own) {
        bench_server_stop(&server);
    }
    return 0;
}
