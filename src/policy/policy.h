/* The policy in the terms of a TLS library, and the verdict on a posture. */
#ifndef PQI_POLICY_POLICY_H
#define PQI_POLICY_POLICY_H

#include <pqlink/policy.h>

#include <openssl/ssl.h>

/* What one side of a TLS configuration is for. */
typedef struct pqi_policy_use {
    pql_policy policy;
    bool quic; /* TLS 1.3 only */
    bool server;
    bool pq_authentication; /* accept ML-DSA from the peer only */
} pqi_policy_use;

/* Sets versions, groups, cipher suites and accepted signature schemes of |ssl_ctx| by DESIGN.md
 * section 6.  PQL_E_CRYPTO when the library refuses a name (a build without ML-KEM or ML-DSA). */
pql_status pqi_policy_apply(const pqi_policy_use *use, SSL_CTX *ssl_ctx, pql_error *err);

/* For a server's select_certificate callback: leaves AES-128 out for a client that offers something
 * stronger too.  In TLS 1.3 the library takes the first of the client's suites that is allowed,
 * whatever its server preference option says.  False when memory could not be had. */
bool pqi_policy_prefer_ciphers(const SSL_CLIENT_HELLO *hello);

/* Judges what was negotiated: fills posture->pq_key_exchange, pq_authentication and downgrade.
 * PQL_E_POLICY, with a sentence that names the setting to change, when the policy forbids it. */
pql_status pqi_policy_judge(const pqi_policy_use *use, pql_posture *posture, pql_error *err);

#endif
