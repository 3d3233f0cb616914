/* The policies as data.  A dated row never changes: who wrote its name into a configuration gets
 * the same groups, suites and signatures from every later version.  What is better goes into a new
 * row, and the word then means that one. */
#ifndef PQI_POLICY_TABLE_H
#define PQI_POLICY_TABLE_H

#include <pqlink/policy.h>

#include <stdbool.h>
#include <stdint.h>

/* Signature schemes of a row at most, and a 0. */
#define PQI_POLICY_SCHEMES 16

/* What a policy is about, from the weakest to the strictest. */
typedef enum pqi_policy_kind {
    PQI_POLICY_KIND_OFF,
    PQI_POLICY_KIND_HYBRID,
    PQI_POLICY_KIND_PQ_ONLY,
    PQI_POLICY_KIND_CNSA,
} pqi_policy_kind;

typedef struct pqi_policy_row {
    const char *name;
    const char *groups;         /* in order of preference, as the TLS library names them */
    const char *groups_tls12;   /* the same where TLS 1.2 may be negotiated */
    const char *ciphers;        /* suites of TLS 1.3 */
    const char *ciphers_strong; /* those without AES-128, for a peer that has one of them */
    const char *ciphers_tls12;  /* NULL: no TLS 1.2, on TCP neither */
    pqi_policy_kind kind;
    unsigned least_ml_kem; /* parameter set that a session has at least; 0: none is needed */
    /* Signatures that are accepted from a peer, in order of preference; 0 ends a list. */
    uint16_t schemes[PQI_POLICY_SCHEMES];
    uint16_t schemes_tls12[PQI_POLICY_SCHEMES]; /* besides, with TLS 1.2 */
    bool refuses_ml_kem;                        /* a session with ML-KEM is refused */
    bool aes_128;                               /* TLS_AES_128_GCM_SHA256 may be used */
    bool pq_authentication; /* the schemes bind our own side too, and CA files are not taken */
} pqi_policy_row;

/* The row that |policy| stands for; of an unknown policy the strictest. */
const pqi_policy_row *pqi_policy_row_of(pql_policy policy);

/* True when |scheme| is one of row->schemes. */
bool pqi_policy_row_takes(const pqi_policy_row *row, uint16_t scheme);

#endif
