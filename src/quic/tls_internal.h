/* What tls.c and tls_server.c share.  Private to them. */
#ifndef PQI_QUIC_TLS_INTERNAL_H
#define PQI_QUIC_TLS_INTERNAL_H

#include "crypto/hash.h"
#include "policy/policy.h"
#include "quic/tls.h"
#include "quic/tls_memory.h"

#include <stdatomic.h>

#define PQI_TLS_ALPN_WIRE_MAX (PQI_TLS_ALPN_MAX * 256)

/* Whose leaf a server shows. */
typedef enum tls_whose { TLS_CURRENT, TLS_OTHER } tls_whose;

/* What the handshakes of a listener begin with; replaced as a whole.  Immutable but for |refs|: one
 * for being the present one, one for each TLS session that began with it. */
struct pqi_tls_generation {
    atomic_uint refs;
    SSL_CTX *ctx[2][2]; /* by tls_whose and pql_leaf; TLS_OTHER: NULL when there is none */
    uint16_t scheme[2][2];
    pql_fingerprint of_cert[2][2], of_spki[2][2];
    pqi_policy_use use;
    uint32_t groups;         /* of the policy, as a set */
    bool clients_by_ca;      /* |clients| are those of a file of authorities */
    pqi_trust *clients;      /* owned; NULL: no certificate is asked for */
    pqi_leaf_memory *memory; /* only with TLS_OTHER; shared by generations of the same leaves */
};

/* The present generation.  Readers neither lock nor wait: each counts itself in |readers| for the
 * few instructions in which it takes its reference, and a writer waits until it sees none. */
typedef struct tls_slot {
    _Atomic(pqi_tls_generation *) present;
    atomic_uint readers;
} tls_slot;

struct pqi_quic_tls {
    pqi_policy_use use; /* of a listener without the policy: its generations have it */
    const atomic_uint
        *newest_policy;  /* borrowed; NULL: none replaces the one that was begun with */
    SSL_CTX *client;     /* client only */
    tls_slot *slot;      /* server only; owned */
    pqi_trust *trust;    /* client only */
    uint16_t own_scheme; /* client: of the leaf that it shows when asked */
    pql_leaf alpn_leaf[PQI_TLS_ALPN_MAX];
    uint32_t uncertified;                /* server: as in pql_listen_opts */
    uint8_t alpn[PQI_TLS_ALPN_WIRE_MAX]; /* each name behind its length, in order of preference */
    size_t alpn_len, alpn_count;
    const pql_alpn_refusal *refusals; /* server: borrowed */
    size_t refusal_count;
    uint8_t hint[PQI_TLS_HINT_SIZE]; /* client: see tls_hint.h */
    size_t hint_len;                 /* 0: none is sent */
    pql_hybrid_memory memory;        /* its functions are NULL when there is none */
    bool tickets;                    /* server: they are given */
    uint8_t ticket_secret[PQI_TICKET_SECRET_LEN];
    pqi_tls_sessions *sessions;             /* client: borrowed; NULL: nothing is resumed */
    uint8_t session_scope[PQI_SHA256_SIZE]; /* client: what a session is good for, but for whom */
    void (*keylog)(void *user, const char *line);
    void *keylog_user;
};

/* tls.c: what both roles have in common.  *out is set also on failure, to be freed. */
pql_status pqi_tls_new_context(pqi_quic_tls *tls, const pqi_policy_use *use, SSL_CTX **out,
                               pql_error *err);
/* What |began| is by the newest policy. */
pqi_policy_use pqi_tls_newest_use(const pqi_quic_tls *tls, const pqi_policy_use *began);
/* SSL ex data: the pqi_quic_tls_peer. */
pqi_quic_tls_peer *pqi_tls_peer_of(const SSL *ssl);

/* For SSL_CTX_set_custom_verify, on both sides. */
enum ssl_verify_result_t pqi_tls_verify(SSL *ssl, uint8_t *alert);

/* tls_server.c */
/* What the session's generation is for. */
const pqi_policy_use *pqi_tls_server_use(const SSL *ssl);
/* Whom the session's generation trusts as clients. */
const pqi_trust *pqi_tls_server_clients(const SSL *ssl);
pql_status pqi_tls_server_setup(pqi_quic_tls *tls, const pqi_quic_tls_opts *opts, pql_error *err);
void pqi_tls_server_free(pqi_quic_tls *tls);
/* The handshake is complete: the client took the leaf that it was shown. */
void pqi_tls_server_took(const SSL *ssl, const pqi_quic_tls_peer *peer);
/* A session of the present generation, before its role is set; NULL without memory. */
SSL *pqi_tls_server_session(const pqi_quic_tls *tls);

#endif
