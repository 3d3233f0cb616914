/* Links counted and told of: what a context reports to its observer becomes the series of
 * pq_metrics.h and the lines of link_log.h. */
#ifndef PQI_OBSERVE_LINK_OBSERVER_H
#define PQI_OBSERVE_LINK_OBSERVER_H

#include "observe/pq_metrics.h"

#include <pqlink/link.h>

/* An observer for pql_context_opts that counts in |metrics|, which is borrowed and must outlive the
 * context; NULL counts nothing, and the lines are written all the same.  Its functions may run on
 * any thread. */
pql_observer pqi_link_observer(pqi_pq_metrics *metrics);

#endif
