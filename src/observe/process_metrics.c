#include "observe/process_metrics.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* /proc/self/status has about 1.5 kB. */
#define STATUS_SIZE 8192
#define KIB 1024
#define STATUS_FILE "/proc/self/status"
#define DESCRIPTORS "/proc/self/fd"

typedef enum memory_kind {
    MEMORY_PRIVATE,
    MEMORY_FILE,
    MEMORY_SHARED,
    MEMORY_LOCKED,
    MEMORY_SWAPPED,
    MEMORY_COUNT
} memory_kind;

/* Lines of proc_pid_status(5). */
static const struct {
    const char *label;
    const char *line;
} memory_kinds[MEMORY_COUNT] = {
    [MEMORY_PRIVATE] = {"private", "RssAnon"}, [MEMORY_FILE] = {"file", "RssFile"},
    [MEMORY_SHARED] = {"shared", "RssShmem"},  [MEMORY_LOCKED] = {"locked", "VmLck"},
    [MEMORY_SWAPPED] = {"swapped", "VmSwap"},
};

struct pqi_process_metrics {
    double started; /* Unix seconds */
    /* What was read at |read_at|; under the registry's lock, as compute functions are. */
    uint64_t read_at;
    double resident, virtual_size, memory[MEMORY_COUNT];
    double open_descriptors;
};

uint64_t pqi_process_status_bytes(const char *text, const char *name)
{
    const size_t len = strlen(name);
    for (const char *line = text; line != NULL && *line != '\0';) {
        if (strncmp(line, name, len) == 0 && line[len] == ':') {
            return strtoull(line + len + 1, NULL, 10) * KIB;
        }
        line = strchr(line, '\n');
        line = line == NULL ? NULL : line + 1;
    }
    return 0;
}

static void read_memory(pqi_process_metrics *m)
{
    char text[STATUS_SIZE];
    const int fd = open(STATUS_FILE, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return;
    }
    const ssize_t len = read(fd, text, sizeof(text) - 1);
    (void)close(fd);
    text[len > 0 ? len : 0] = '\0';
    m->resident = (double)pqi_process_status_bytes(text, "VmRSS");
    m->virtual_size = (double)pqi_process_status_bytes(text, "VmSize");
    for (unsigned i = 0; i < MEMORY_COUNT; i++) {
        m->memory[i] = (double)pqi_process_status_bytes(text, memory_kinds[i].line);
    }
}

/* Linux 6.2 and later say the number as the size of the directory; before, it has to be read. */
static double count_descriptors(void)
{
    struct stat st;
    if (stat(DESCRIPTORS, &st) == 0 && st.st_size > 0) {
        return (double)st.st_size;
    }
    DIR *dir = opendir(DESCRIPTORS);
    if (dir == NULL) {
        return 0;
    }
    unsigned count = 0;
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        count += entry->d_name[0] != '.' ? 1U : 0U;
    }
    (void)closedir(dir);
    return count > 0 ? (double)count - 1 : 0; /* without the one that we read with */
}

static pqi_process_metrics *fresh(void *user)
{
    pqi_process_metrics *m = user;
    const uint64_t now = pqi_clock_monotonic();
    if (m->read_at == 0 || now - m->read_at >= PQI_PROCESS_REFRESH_NS) {
        m->read_at = now;
        read_memory(m);
        m->open_descriptors = count_descriptors();
    }
    return m;
}

static double compute_started(void *user, unsigned series)
{
    (void)series;
    return ((const pqi_process_metrics *)user)->started;
}

static double compute_cpu(void *user, unsigned series)
{
    struct timespec used = {0};
    (void)user;
    (void)series;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (double)used.tv_sec + (double)used.tv_nsec / (double)PQI_NS_PER_SEC;
}

static double compute_resident(void *user, unsigned series)
{
    (void)series;
    return fresh(user)->resident;
}

static double compute_virtual(void *user, unsigned series)
{
    (void)series;
    return fresh(user)->virtual_size;
}

static double compute_memory(void *user, unsigned series)
{
    return fresh(user)->memory[series];
}

static double compute_open(void *user, unsigned series)
{
    (void)series;
    return fresh(user)->open_descriptors;
}

static double compute_max(void *user, unsigned series)
{
    struct rlimit limit;
    (void)user;
    (void)series;
    return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? (double)limit.rlim_cur : 0;
}

/* The kernel counts from the boot; the moment of registration is within milliseconds of the start,
 * and is what uptime means here. */
static double unix_now(void)
{
    return (double)pqi_clock_unix_ms() / 1000;
}

static void register_all(pqi_process_metrics *m, pqi_metrics *r)
{
    static const struct {
        pqi_metric_type type;
        const char *name, *help;
        double (*compute)(void *user, unsigned series);
    } plain[] = {
        {PQI_GAUGE, "process_start_time_seconds", "When the process started, in Unix seconds.",
         compute_started},
        {PQI_COUNTER, "process_cpu_seconds_total", "Processor time used, user and system.",
         compute_cpu},
        {PQI_GAUGE, "process_resident_memory_bytes", "Memory in RAM.", compute_resident},
        {PQI_GAUGE, "process_virtual_memory_bytes", "Address space.", compute_virtual},
        {PQI_GAUGE, "process_open_fds", "Open file descriptors.", compute_open},
        {PQI_GAUGE, "process_max_fds", "File descriptors that may be open.", compute_max},
    };
    const char *kinds[MEMORY_COUNT];
    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
        (void)pqi_metrics_register(r, &(pqi_metric_desc){.type = plain[i].type,
                                                         .name = plain[i].name,
                                                         .help = plain[i].help,
                                                         .compute = plain[i].compute,
                                                         .user = m});
    }
    for (unsigned i = 0; i < MEMORY_COUNT; i++) {
        kinds[i] = memory_kinds[i].label;
    }
    (void)pqi_metrics_register(
        r, &(pqi_metric_desc){.type = PQI_GAUGE,
                              .name = "pqlink_memory_bytes",
                              .help = "Memory of the process by kind.",
                              .labels = {{.name = "kind", .values = kinds, .count = MEMORY_COUNT}},
                              .compute = compute_memory,
                              .user = m});
}

pql_status pqi_process_metrics_new(pqi_process_metrics **out, pqi_metrics *registry, pql_error *err)
{
    *out = NULL;
    pqi_process_metrics *m = calloc(1, sizeof(*m));
    if (m == NULL) {
        return pqi_fail(err, PQL_E_NOMEM, "No memory for the metrics of the process.");
    }
    m->started = unix_now();
    register_all(m, registry);
    const pql_status status = pqi_metrics_check(registry, err);
    if (status != PQL_OK) {
        free(m); /* the registry is good for nothing but to be freed */
        return status;
    }
    *out = m;
    return PQL_OK;
}

void pqi_process_metrics_free(pqi_process_metrics *m)
{
    free(m);
}
