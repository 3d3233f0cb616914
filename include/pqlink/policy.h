/* Policy: what may be negotiated at all.  Posture: what one live link did negotiate. */
#ifndef PQLINK_POLICY_H
#define PQLINK_POLICY_H

#include <pqlink/error.h>

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Each stands for one row of a table (docs/policy.md): groups, cipher suites, signatures.  A word
 * means the newest dated row of its kind; a dated row never changes. */
typedef enum pql_policy {
    PQL_POLICY_HYBRID = 0, /* X25519MLKEM768 first, X25519 where the peer has nothing better */
    PQL_POLICY_OFF,        /* classical groups only */
    PQL_POLICY_PQ_ONLY,    /* a session without ML-KEM is refused, resumed ones included */
    PQL_POLICY_CNSA_2_0,   /* ML-KEM-1024, ML-DSA-87 on both sides, AES-256 */
    PQL_POLICY_HYBRID_2026,
    PQL_POLICY_OFF_2026,
    PQL_POLICY_PQ_ONLY_2026,
    PQL_POLICY_CNSA_2_0_2026,
} pql_policy;

/* Policies are 0 to PQL_POLICY_COUNT - 1. */
#define PQL_POLICY_COUNT 8u

typedef enum pql_transport {
    PQL_TRANSPORT_QUIC,
    PQL_TRANSPORT_TLS,
    PQL_TRANSPORT_LP
} pql_transport;

/* How the peer was authenticated. */
typedef enum pql_trust {
    PQL_TRUST_NONE = 0, /* it was not (a server without client certificates, or not yet) */
    PQL_TRUST_PIN,      /* its certificate or key has a fingerprint that we were given */
    PQL_TRUST_TOFU,     /* its certificate is the one that was seen first */
    PQL_TRUST_CA,       /* a certificate authority that we were given vouches for it */
    PQL_TRUST_INSECURE, /* nobody checked, because somebody typed so */
} pql_trust;

/* Why a session that our policy would have made hybrid was not.  Closed list. */
typedef enum pql_downgrade {
    PQL_DOWNGRADE_NONE = 0,
    PQL_DOWNGRADE_PEER_CLASSICAL, /* the peer offered or chose no ML-KEM group */
    PQL_DOWNGRADE_COMPAT,         /* the same, in a protocol that our side serves with its classical
                                     leaf because its programs have nothing else */
    PQL_DOWNGRADE_RESUMED,        /* a ticket from a weaker session was resumed */
    PQL_DOWNGRADE_REMEMBERED,     /* the peer was hybrid before, so the session was refused */
} pql_downgrade;

/* What was wrong with a signature when a handshake failed on our side.  Closed list. */
typedef enum pql_signature_failure {
    PQL_SIGNATURE_FINE = 0,    /* nothing, or the handshake failed over something else */
    PQL_SIGNATURE_WRONG,       /* the peer's does not verify */
    PQL_SIGNATURE_NOT_ALLOWED, /* one side has no algorithm that the other side's policy, or demand
                                  for ML-DSA, takes */
    PQL_SIGNATURE_MALFORMED,   /* the peer's certificate or key cannot be parsed */
    PQL_SIGNATURE_NOT_MADE,    /* our own signing failed, in this process or in the key process */
} pql_signature_failure;

/* TLS code points are those of the IANA registries "TLS Supported Groups", "TLS SignatureScheme"
 * and "TLS Cipher Suites"; 0 stands for none or unknown. */
typedef struct pql_posture {
    pql_transport transport;
    uint16_t tls_version;    /* 0x0304 is TLS 1.3 */
    uint16_t group;          /* key exchange */
    uint16_t own_signature;  /* scheme that we proved our key with */
    uint16_t peer_signature; /* scheme that the peer proved its key with */
    uint16_t cipher;         /* cipher suite */
    bool pq_key_exchange;    /* the group has an ML-KEM part */
    bool
        pq_authentication; /* the peer (for a server without client certificates: we) used ML-DSA */
    bool resumed;
    bool early_data;
    pql_trust trust;
    pql_downgrade downgrade;
    uint64_t handshake_ns; /* from the first byte to the finished handshake, nanoseconds */
    unsigned round_trips;  /* client flights that waited for the server; 0 on a server */
    /* The steps of the handshake that hold its public-key operations, nanoseconds of real time; 0:
     * there was none.  See docs/metrics.md. */
    uint64_t kex_ns, sign_ns, verify_ns;
    /* Server: what the client offered, beside what was negotiated; also of a handshake that failed,
     * where its ClientHello was read.  Sets of PQL_OFFER_BIT; 0: unknown, as on a client. */
    uint32_t peer_groups;                    /* by pql_group_at */
    uint32_t peer_signatures;                /* that it can verify; by pql_signature_at */
    pql_signature_failure signature_failure; /* of a handshake that failed */
} pql_posture;

/* Sets of what a peer offers: bit i stands for pql_group_at(i) or pql_signature_at(i), the last one
 * for anything that is not in these lists.  The lists only grow at their ends. */
#define PQL_OFFER_BIT(index) (UINT32_C(1) << (index))
#define PQL_OFFER_OTHER PQL_OFFER_BIT(31)
#define PQL_GROUP_COUNT 10u
#define PQL_SIGNATURE_COUNT 13u

/* Code point number |index| of the closed list; 0 from the COUNT above on. */
PQL_API uint16_t pql_group_at(unsigned index);
PQL_API uint16_t pql_signature_at(unsigned index);

/* Names for people, logs and metrics, such as "X25519MLKEM768", "ML-DSA-87",
 * "TLS_AES_256_GCM_SHA384", "hybrid", "pin".  Static strings, never NULL; "unknown" otherwise. */
PQL_API const char *pql_group_name(uint16_t group);
PQL_API const char *pql_signature_name(uint16_t scheme);
PQL_API const char *pql_cipher_name(uint16_t suite);
PQL_API const char *pql_policy_name(pql_policy policy);
PQL_API const char *pql_trust_name(pql_trust trust);
PQL_API const char *pql_downgrade_name(pql_downgrade reason);

/* Reads the name of a policy, a word or a dated one.  PQL_E_USAGE otherwise, *out untouched. */
PQL_API pql_status pql_policy_parse(pql_policy *out, const char *text, pql_error *err);

/* The dated policy that |policy| stands for; itself where it is dated, the strictest
 * where there is none such. */
PQL_API pql_policy pql_policy_dated(pql_policy policy);
/* True when a session without ML-KEM is refused. */
PQL_API bool pql_policy_needs_pq(pql_policy policy);
/* True when ML-KEM is used with a peer that has it. */
PQL_API bool pql_policy_wants_pq(pql_policy policy);
/* True when both sides have to prove their keys with ML-DSA, whatever else is asked for. */
PQL_API bool pql_policy_needs_pq_authentication(pql_policy policy);

/* True when the group has an ML-KEM part. */
PQL_API bool pql_group_is_pq(uint16_t group);
/* True when the scheme is ML-DSA. */
PQL_API bool pql_signature_is_pq(uint16_t scheme);

#ifdef __cplusplus
}
#endif
#endif
