/* Links told of in the log: one line when a handshake begins (debug), one when it has ended, with
 * what was negotiated or why it failed, and one when the link is over.  docs/logging.md has the
 * events and their fields.
 *
 * Strangers can cause all of these as often as they like: each kind has so many lines a second, and
 * the next one says how many were left out.  Any thread. */
#ifndef PQI_OBSERVE_LINK_LOG_H
#define PQI_OBSERVE_LINK_LOG_H

#include <pqlink/link.h>

/* Lines a second, of each kind. */
#define PQI_LINK_LINES_PER_SEC 50
#define PQI_LINK_FAILURES_PER_SEC 10

void pqi_link_log_start(const pql_link_info *link);
void pqi_link_log_handshake(const pql_link_info *link);
void pqi_link_log_failure(const pql_link_info *link, const pql_close *failure);
void pqi_link_log_closed(const pql_link_info *link, const pql_close *why);

#endif
