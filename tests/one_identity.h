/* One identity for all tests of a program, and its pin. */
#ifndef PQI_TESTS_ONE_IDENTITY_H
#define PQI_TESTS_ONE_IDENTITY_H

#include <pqlink/identity.h>

#include <stddef.h>

static pql_identity *identity;
static pql_fingerprint pin; /* of its ML-DSA leaf */

static inline int identity_set_up(void **state)
{
    (void)state;
    if (pql_identity_ephemeral(&identity, NULL, NULL) != PQL_OK) {
        return -1;
    }
    pql_identity_fingerprint(identity, PQL_LEAF_PQ, PQL_FINGERPRINT_CERT, &pin);
    return 0;
}

static inline int identity_tear_down(void **state)
{
    (void)state;
    pql_identity_free(identity);
    return 0;
}

#endif
