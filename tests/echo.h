/* A server that sends back what it gets, and a client that asks it for one byte and then closes: so
 * that a link that opened was let in by both ends. */
#ifndef PQI_TESTS_ECHO_H
#define PQI_TESTS_ECHO_H

#include <pqlink/link.h>

static inline void echo_data(pql_stream *stream, const uint8_t *data, size_t len, bool fin,
                             void *user)
{
    (void)user;
    (void)pql_stream_write(stream, data, len, fin);
}

static inline void echo_ask(pql_link *link)
{
    pql_stream *stream = NULL;
    if (pql_stream_open(link, &stream, NULL) == PQL_OK) {
        (void)pql_stream_write(stream, "x", 1, true);
    }
}

static inline void echo_answered(pql_stream *stream, const uint8_t *data, size_t len, bool fin,
                                 void *user)
{
    (void)data;
    (void)len;
    (void)user;
    if (fin) {
        pql_link_close(pql_stream_link(stream), 0, "done");
    }
}

#endif
