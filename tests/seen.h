/* What handlers on other threads write down, and how a test waits for it: with a condition, never
 * with a sleep.  |s| points to a struct with the members |lock| and |change|. */
#ifndef PQI_TESTS_SEEN_H
#define PQI_TESTS_SEEN_H

#include <pthread.h>

#define SEEN(s, statement)                                                                         \
    do {                                                                                           \
        pthread_mutex_lock(&(s)->lock);                                                            \
        statement;                                                                                 \
        pthread_cond_broadcast(&(s)->change);                                                      \
        pthread_mutex_unlock(&(s)->lock);                                                          \
    } while (0)

#define WAIT_UNTIL(s, condition)                                                                   \
    do {                                                                                           \
        pthread_mutex_lock(&(s)->lock);                                                            \
        while (!(condition)) {                                                                     \
            pthread_cond_wait(&(s)->change, &(s)->lock);                                           \
        }                                                                                          \
        pthread_mutex_unlock(&(s)->lock);                                                          \
    } while (0)

#endif
