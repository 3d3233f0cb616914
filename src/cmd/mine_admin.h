/* What pqlink mine offers on its admin port: metrics, readiness and status. */
#ifndef PQI_CMD_MINE_ADMIN_H
#define PQI_CMD_MINE_ADMIN_H

#include "admin/admin.h"
#include "cmd/mine.h"
#include "miner/mine_service.h"
#include "observe/pq_metrics.h"

/* All zero is valid and empty. */
typedef struct pqi_mine_admin {
    const pqi_mine_options *options; /* borrowed */
    pqi_metrics *registry;
    pqi_pq_metrics *pq;
    pqi_mine_metrics *mine;
    pqi_health *health;
    unsigned started, hashing; /* conditions */
    pqi_mine_service *service; /* borrowed; set before the port opens */
    pqi_admin *admin;
} pqi_mine_admin;

/* Makes metrics and health.  Errors as of their constructors; call pqi_mine_admin_free anyway. */
pql_status pqi_mine_admin_init(pqi_mine_admin *a, const pqi_mine_options *options, pql_error *err);
/* The service runs: ready, and the port opens unless the options say off.  |service| must live
 * until pqi_mine_admin_close.  Errors as pqi_admin_start. */
pql_status pqi_mine_admin_open(pqi_mine_admin *a, pqi_mine_service *service, pql_error *err);
/* The program ends: not ready any more, and the port is closed. */
void pqi_mine_admin_close(pqi_mine_admin *a);
/* After the service was freed. */
void pqi_mine_admin_free(pqi_mine_admin *a);

#endif
