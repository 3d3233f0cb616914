/* The series that every link of pqlink counts: the contract of DESIGN.md section 7 and
 * docs/metrics.md.  The label sets are the enums below; each has a table of the names exposed.
 *
 * One pqi_pq_metrics per registry; it is freed with pqi_pq_metrics_free before or after the
 * registry.  Every counting function may be called from any thread, takes no lock, and ignores a
 * NULL |m| and label values out of range. */
#ifndef PQI_OBSERVE_PQ_METRICS_H
#define PQI_OBSERVE_PQ_METRICS_H

#include "observe/metrics.h"

typedef enum pqi_label_group {
    PQI_GROUP_X25519MLKEM768,
    PQI_GROUP_SECP256R1MLKEM768,
    PQI_GROUP_SECP384R1MLKEM1024,
    PQI_GROUP_MLKEM1024,
    PQI_GROUP_X25519,
    PQI_GROUP_P256,
    PQI_GROUP_P384,
    PQI_GROUP_OTHER,
    PQI_GROUP_COUNT
} pqi_label_group;

typedef enum pqi_label_signature {
    PQI_SIGNATURE_ML_DSA_44,
    PQI_SIGNATURE_ML_DSA_65,
    PQI_SIGNATURE_ML_DSA_87,
    PQI_SIGNATURE_ECDSA_P256,
    PQI_SIGNATURE_ED25519,
    PQI_SIGNATURE_RSA,
    PQI_SIGNATURE_OTHER,
    PQI_SIGNATURE_COUNT
} pqi_label_signature;

/* The three classes of key exchange that dashboards of the contract know, and what is none of them:
 * classical groups that are not X25519. */
typedef enum pqi_label_kex_class {
    PQI_KEX_X25519,
    PQI_KEX_ML_KEM,
    PQI_KEX_HYBRID,
    PQI_KEX_OTHER,
    PQI_KEX_COUNT
} pqi_label_kex_class;

/* Families of signature algorithms; the first three are those of the contract. */
typedef enum pqi_label_signature_class {
    PQI_SIGCLASS_ED25519,
    PQI_SIGCLASS_ML_DSA,
    PQI_SIGCLASS_SLH_DSA,
    PQI_SIGCLASS_ECDSA,
    PQI_SIGCLASS_RSA,
    PQI_SIGCLASS_OTHER,
    PQI_SIGCLASS_COUNT
} pqi_label_signature_class;

typedef enum pqi_label_role { PQI_ROLE_CLIENT, PQI_ROLE_SERVER, PQI_ROLE_COUNT } pqi_label_role;

typedef enum pqi_label_transport {
    PQI_TRANSPORT_QUIC,
    PQI_TRANSPORT_TLS,
    PQI_TRANSPORT_LP,
    PQI_TRANSPORT_COUNT
} pqi_label_transport;

/* What the key exchange of a link is. */
typedef enum pqi_label_posture {
    PQI_POSTURE_HYBRID,
    PQI_POSTURE_PQ, /* ML-KEM alone */
    PQI_POSTURE_CLASSICAL,
    PQI_POSTURE_COUNT
} pqi_label_posture;

typedef enum pqi_label_direction {
    PQI_DIRECTION_IN,
    PQI_DIRECTION_OUT,
    PQI_DIRECTION_COUNT
} pqi_label_direction;

typedef enum pqi_label_signature_failure {
    PQI_SIGFAIL_BAD_SIGNATURE, /* the CertificateVerify or chain signature does not verify */
    PQI_SIGFAIL_NOT_ALLOWED,   /* an algorithm that the policy forbids */
    PQI_SIGFAIL_MALFORMED,     /* key or signature cannot be parsed */
    PQI_SIGFAIL_SIGN_FAILED,   /* our own signing failed */
    PQI_SIGFAIL_OTHER,
    PQI_SIGFAIL_COUNT
} pqi_label_signature_failure;

/* Why a session that could have been hybrid by our policy was not. */
typedef enum pqi_label_downgrade {
    PQI_DOWNGRADE_PEER_GROUPS, /* the peer offered or chose no ML-KEM group */
    PQI_DOWNGRADE_TLS12,       /* the peer speaks TLS 1.2 at most */
    PQI_DOWNGRADE_COMPAT,      /* a protocol of classical programs (ALPN quantus-miner*) */
    PQI_DOWNGRADE_RESUMED,     /* a ticket of a classical session */
    PQI_DOWNGRADE_REMEMBERED,  /* the peer was hybrid before; the session was refused */
    PQI_DOWNGRADE_OTHER,
    PQI_DOWNGRADE_COUNT
} pqi_label_downgrade;

/* Why a peer or its request was turned away. */
typedef enum pqi_label_reject {
    PQI_REJECT_POLICY,    /* weaker than the policy allows */
    PQI_REJECT_TRUST,     /* not the peer that was meant: pin, CA, revocation, client certificate */
    PQI_REJECT_TOKEN,     /* wrong or missing token */
    PQI_REJECT_ALPN,      /* no protocol in common */
    PQI_REJECT_HANDSHAKE, /* the handshake failed for another reason */
    PQI_REJECT_TIMEOUT,   /* handshake or hello not done in time */
    PQI_REJECT_CAPACITY,  /* a cap on links or half-open handshakes */
    PQI_REJECT_FLOOD,     /* too much too fast */
    PQI_REJECT_PROTOCOL,  /* bytes that the protocol forbids */
    PQI_REJECT_DRAINING,  /* we are shutting down */
    PQI_REJECT_ADDRESS,   /* one address has all links or half-open handshakes that it may have */
    PQI_REJECT_OTHER,
    PQI_REJECT_COUNT
} pqi_label_reject;

/* What a stranger is answered without a handshake. */
typedef enum pqi_label_answer {
    PQI_ANSWER_RETRY,   /* prove your address */
    PQI_ANSWER_RESET,   /* that link is gone */
    PQI_ANSWER_VERSION, /* another QUIC version, please */
    PQI_ANSWER_COUNT
} pqi_label_answer;

typedef enum pqi_label_crypto_op {
    PQI_CRYPTO_KEX,
    PQI_CRYPTO_SIGN,
    PQI_CRYPTO_VERIFY,
    PQI_CRYPTO_OP_COUNT
} pqi_label_crypto_op;

/* The names exposed, indexed by the enums. */
extern const char *const pqi_group_names[PQI_GROUP_COUNT];
extern const char *const pqi_signature_names[PQI_SIGNATURE_COUNT];
extern const char *const pqi_kex_class_names[PQI_KEX_COUNT];
extern const char *const pqi_signature_class_names[PQI_SIGCLASS_COUNT];
extern const char *const pqi_role_names[PQI_ROLE_COUNT];
extern const char *const pqi_transport_names[PQI_TRANSPORT_COUNT];
extern const char *const pqi_posture_names[PQI_POSTURE_COUNT];
extern const char *const pqi_direction_names[PQI_DIRECTION_COUNT];
extern const char *const pqi_signature_failure_names[PQI_SIGFAIL_COUNT];
extern const char *const pqi_downgrade_names[PQI_DOWNGRADE_COUNT];
extern const char *const pqi_reject_names[PQI_REJECT_COUNT];
extern const char *const pqi_answer_names[PQI_ANSWER_COUNT];
extern const char *const pqi_crypto_op_names[PQI_CRYPTO_OP_COUNT];

/* From the code points of TLS (IANA registries "TLS Supported Groups" and "TLS SignatureScheme");
 * unknown ones are PQI_GROUP_OTHER and PQI_SIGNATURE_OTHER. */
pqi_label_group pqi_label_group_of(uint16_t tls_group);
pqi_label_signature pqi_label_signature_of(uint16_t tls_scheme);
pqi_label_kex_class pqi_label_kex_class_of(pqi_label_group group);
pqi_label_signature_class pqi_label_signature_class_of(pqi_label_signature algo);
/* PQI_GROUP_OTHER counts as classical. */
pqi_label_posture pqi_label_posture_of(pqi_label_group group);

typedef struct pqi_pq_metrics pqi_pq_metrics;
struct pqi_link_table;

/* Registers all series in |registry|, with value 0.  |crypto_version| is the crypto library's
 * version text for pqlink_build_info, NULL for "unknown".  *out is to be freed by the caller.
 * Errors: those of pqi_metrics_check, PQL_E_NOMEM; *out is then NULL. */
pql_status pqi_pq_metrics_new(pqi_pq_metrics **out, pqi_metrics *registry,
                              const char *crypto_version, pql_error *err);
/* The registry keeps its series. */
void pqi_pq_metrics_free(pqi_pq_metrics *m);

/* One handshake that was completed. */
typedef struct pqi_handshake_done {
    pqi_label_transport transport;
    pqi_label_role role;
    pqi_label_group group;
    bool resumed;
    uint64_t duration_ns; /* first byte sent or received until complete */
    unsigned round_trips; /* client flights that waited for the server; 0 with 0-RTT; of the role
                             client only */
} pqi_handshake_done;

void pqi_pq_metrics_handshake(pqi_pq_metrics *m, const pqi_handshake_done *done);
/* A signature made (PQI_CRYPTO_SIGN) or verified (PQI_CRYPTO_VERIFY), with success. */
void pqi_pq_metrics_signature(pqi_pq_metrics *m, pqi_label_crypto_op op, pqi_label_signature algo);
/* What a client offered in its ClientHello; once per handshake and algorithm. */
void pqi_pq_metrics_offered_group(pqi_pq_metrics *m, pqi_label_group group);
void pqi_pq_metrics_offered_signature(pqi_pq_metrics *m, pqi_label_signature algo);
void pqi_pq_metrics_signature_failed(pqi_pq_metrics *m, pqi_label_signature_failure reason);
void pqi_pq_metrics_kex_time(pqi_pq_metrics *m, pqi_label_group group, uint64_t duration_ns);
/* |op| is PQI_CRYPTO_SIGN or PQI_CRYPTO_VERIFY. */
void pqi_pq_metrics_signature_time(pqi_pq_metrics *m, pqi_label_crypto_op op,
                                   pqi_label_signature algo, uint64_t duration_ns);
/* Once per session.  |expected| is what the policy wanted (hybrid or pq), the session is classical.
 */
void pqi_pq_metrics_downgrade(pqi_pq_metrics *m, pqi_label_posture expected,
                              pqi_label_downgrade reason);
void pqi_pq_metrics_link_opened(pqi_pq_metrics *m, pqi_label_transport transport,
                                pqi_label_posture posture);
void pqi_pq_metrics_link_closed(pqi_pq_metrics *m, pqi_label_transport transport,
                                pqi_label_posture posture);
/* A link whose peer was not authenticated because the operator typed --insecure. */
void pqi_pq_metrics_link_insecure(pqi_pq_metrics *m, pqi_label_transport transport);
/* Payload bytes of UDP datagrams or TCP segments: what the link put on the wire or took from it. */
void pqi_pq_metrics_bytes(pqi_pq_metrics *m, pqi_label_transport transport,
                          pqi_label_direction direction, uint64_t bytes);
/* UDP datagrams. */
void pqi_pq_metrics_datagrams(pqi_pq_metrics *m, pqi_label_direction direction, uint64_t count);
/* Streams; |direction| says who opened them: PQI_DIRECTION_IN the peer. */
void pqi_pq_metrics_streams(pqi_pq_metrics *m, pqi_label_transport transport,
                            pqi_label_direction direction, uint64_t opened, uint64_t closed);
void pqi_pq_metrics_answers(pqi_pq_metrics *m, pqi_label_answer answer, uint64_t count);
void pqi_pq_metrics_reject(pqi_pq_metrics *m, pqi_label_reject reason);

/* A table of links that pqi_link_observer keeps beside the counts; NULL, as at first: none.
 * Borrowed; set before the first link. */
void pqi_pq_metrics_keep_links(pqi_pq_metrics *m, struct pqi_link_table *table);
struct pqi_link_table *pqi_pq_metrics_link_table(const pqi_pq_metrics *m);

#endif
