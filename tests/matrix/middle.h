/* A man in the middle of one client and one server on this machine, who puts packets of his own
 * between theirs. */
#ifndef PQI_TESTS_MATRIX_MIDDLE_H
#define PQI_TESTS_MATRIX_MIDDLE_H

#include <stdbool.h>
#include <stdint.h>

typedef struct middle middle;

/* Packets of early data that middle_set puts in. */
#define EARLY_PACKETS 2

/* Starts a thread that passes datagrams on.  NULL when there is no socket or thread to be had. */
middle *middle_new(void);
void middle_free(middle *m);

/* Where the client finds it. */
uint16_t middle_port(const middle *m);

/* From now on the server is at |port|, and the client is whoever speaks next.  With |early_data|,
 * the first datagram of the client goes between EARLY_PACKETS packets of the type 0-RTT (RFC
 * 9000, 17.2.3) that nobody has the keys of. */
void middle_set(middle *m, uint16_t port, bool early_data);

/* How many packets of early data were put in. */
unsigned middle_put_in(const middle *m);

#endif
