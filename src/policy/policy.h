/* The policy in the terms of a TLS library, and the verdict on a posture. */
#ifndef PQI_POLICY_POLICY_H
#define PQI_POLICY_POLICY_H

#include "policy/table.h"

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

/* For a server's select_certificate callback: leaves AES-128 out, where |policy| has it, for a
 * client that offers something stronger too.  In TLS 1.3 the library takes the first of the
 * client's suites that is allowed, whatever its server preference option says.  False when memory
 * could not be had. */
bool pqi_policy_prefer_ciphers(pql_policy policy, const SSL_CLIENT_HELLO *hello);

/* Judges what was negotiated: fills posture->pq_key_exchange, pq_authentication and downgrade.
 * PQL_E_POLICY, with a sentence that names the setting to change, when the policy forbids it. */
pql_status pqi_policy_judge(const pqi_policy_use *use, pql_posture *posture, pql_error *err);

/* Judges a session that began under another policy than that of |use|: as pqi_policy_judge, but
 * that nothing is refused for being stronger than the policy asks for. */
pql_status pqi_policy_keeps(const pqi_policy_use *use, const pql_posture *posture, pql_error *err);

/* Whether a session with the key exchange |group| may be under |policy|.  PQL_E_POLICY otherwise.
 */
pql_status pqi_policy_check_group(pql_policy policy, uint16_t group, pql_error *err);
/* Whether an own key of |scheme| may be shown under |policy|.  PQL_E_POLICY otherwise. */
pql_status pqi_policy_check_own(pql_policy policy, uint16_t scheme, pql_error *err);
/* Whether peers may be trusted by a file of authorities under |policy|: the signatures in their
 * chains are not judged by it.  PQL_E_POLICY otherwise. */
pql_status pqi_policy_check_authority(pql_policy policy, pql_error *err);

/* The groups of |policy| as a set of pql_posture. */
uint32_t pqi_policy_groups(pql_policy policy);

/* Writes what the peer's TLS alert handshake_failure (40) or insufficient_security (71) means for
 * the side of |use|, and what to change.  |open|: the link was open already. */
void pqi_policy_explain_alert(char *out, size_t size, const pqi_policy_use *use, unsigned alert,
                              bool open);

/* Parameter set of the group's ML-KEM part: 512, 768, 1024; 0 when it has none. */
unsigned pqi_group_ml_kem(uint16_t group);

#endif
