#include "base/lockdown.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

/* As much as this user may. */
static void raise_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur != limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_MEMLOCK, &limit); /* that there was not enough shows below */
    }
}

/* With MCL_FUTURE in force every mapping counts against the limit: one that may not be made tells
 * now what would otherwise be an allocation that fails one day. */
static bool room_is_left(void)
{
    void *probe = mmap(NULL, PQI_LOCKDOWN_ROOM, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (probe == MAP_FAILED) {
        return false;
    }
    (void)munmap(probe, PQI_LOCKDOWN_ROOM);
    return true;
}

pql_status pqi_lockdown_memory(pql_error *err)
{
    raise_limit();
    if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) == 0) {
        if (room_is_left()) {
            return PQL_OK;
        }
        (void)munlockall();
        errno = ENOMEM;
    }
    return pqi_fail_errno(err, PQL_E_STATE, errno,
                          "Memory cannot be kept out of swap: the limit of locked memory is too "
                          "low for this user. Set LimitMEMLOCK=infinity in the systemd unit, "
                          "'ulimit -l unlimited' in the shell, or --ulimit memlock=-1 for a "
                          "container (mlockall)");
}

pql_status pqi_lockdown_dumps(pql_error *err)
{
    struct rlimit limit;
    int rc = getrlimit(RLIMIT_CORE, &limit);
    if (rc == 0 && (limit.rlim_cur != 0 || limit.rlim_max != 0)) {
        limit = (struct rlimit){0};
        rc = setrlimit(RLIMIT_CORE, &limit);
    }
    if (rc == 0) {
        rc = prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    }
    return rc == 0 ? PQL_OK
                   : pqi_fail_errno(err, PQL_E_STATE, errno,
                                    "Core dumps cannot be switched off. Set LimitCORE=0 in the "
                                    "systemd unit, or 'ulimit -c 0' in the shell");
}
