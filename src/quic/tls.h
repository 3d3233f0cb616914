/* TLS 1.3 configurations for QUIC: one for a listener, one for each way of connecting.
 *
 * All decisions come from policy/, identity/ and trust/; here they meet AWS-LC. */
#ifndef PQI_QUIC_TLS_H
#define PQI_QUIC_TLS_H

#include "quic/tls_hint.h"
#include "quic/tls_memory.h"
#include "quic/tls_sessions.h"
#include "quic/tls_tickets.h"
#include "quic/tls_times.h"
#include "trust/trust.h"

#include <pqlink/link.h>

#include <openssl/ssl.h>

#include <stdatomic.h>

#define PQI_TLS_ALPN_MAX 8

/* A configuration, shared by threads.  A client's is immutable; a listener's can be given other
 * identities while handshakes run. */
typedef struct pqi_quic_tls pqi_quic_tls;

/* What the handshakes of a listener begin with: the identities that it shows. */
typedef struct pqi_tls_generation pqi_tls_generation;

typedef struct pqi_quic_tls_opts {
    bool server;
    pql_policy policy;
    /* What |policy| has been replaced by meanwhile, a pql_policy; borrowed.  A handshake ends by
     * the newest one.  NULL: nothing replaces it. */
    const atomic_uint *newest_policy;
    const pql_identity *identity; /* server: needed; client: shown when asked for, NULL: none is;
                                     used up by the call */
    const pql_identity *other_identity; /* server: see pqi_tls_change; NULL: none */
    const pql_alpn *alpn;               /* in order of preference; a client offers the first only */
    size_t alpn_count;
    const pql_alpn_refusal *refusals; /* server: as pql_listen_opts */
    size_t refusal_count;
    const pql_peer *peer; /* whom to trust; server: NULL asks clients for no certificate */
    const pql_hybrid_memory *memory; /* of pinned peers; copied; NULL: none */
    uint32_t uncertified;            /* server: as in pql_listen_opts */
    bool pq_authentication;          /* accept ML-DSA from the peer only */
    /* Resumption, off unless set.  Server: 32 bytes that its ticket keys follow from, used up by
     * the call; a listener that asks for client certificates gives no tickets all the same. Client:
     * borrowed; not used together with an identity.  Keys are proven anew there each time. */
    const uint8_t *ticket_secret;
    pqi_tls_sessions *sessions;
    /* NSS key log lines, for debugging; NULL: none. */
    void (*keylog)(void *user, const char *line);
    void *keylog_user;
} pqi_quic_tls_opts;

pql_status pqi_quic_tls_new(pqi_quic_tls **out, const pqi_quic_tls_opts *opts, pql_error *err);
void pqi_quic_tls_free(pqi_quic_tls *tls);

/* What a listener shows and asks for from now on. */
typedef struct pqi_tls_change {
    const pql_identity *current; /* needed */
    const pql_identity *other; /* of a rotation's other side, or NULL: shown to a client whose hint
                                  (tls_hint.h) names its leaf and not that of |current| */
    const pql_peer *clients;   /* NULL: as before */
    pql_policy policy;
} pqi_tls_change;

/* Server: gets another generation ready, without any effect yet.  All that |change| holds is used
 * up by the call.  Any thread, one at a time for each listener.  PQL_E_POLICY (it does not go with
 * the identity or the clients), PQL_E_IDENTITY, PQL_E_USAGE, PQL_E_IO, PQL_E_NOMEM, PQL_E_CRYPTO;
 * *out is then NULL. */
pql_status pqi_quic_tls_prepare(pqi_quic_tls *tls, const pqi_tls_change *change,
                                pqi_tls_generation **out, pql_error *err);

/* From now on sessions begin with |generation|, which is taken over.  Sessions that exist keep the
 * one that they began with; the keys of a generation go when its last session has gone.  Any
 * thread; never fails; waits for a few instructions of other threads at most. */
void pqi_quic_tls_publish(pqi_quic_tls *tls, pqi_tls_generation *generation);

/* Gives up a generation that was not published.  NULL is a no-op. */
void pqi_quic_tls_discard(pqi_tls_generation *generation);

/* What a connection asks of its TLS session.  Lives inside the connection and outlives the SSL. */
typedef struct pqi_quic_tls_peer {
    char host[256];                        /* what was dialled */
    char host_port[264];                   /* the TOFU key */
    int64_t now_unix;                      /* seconds, when the connection was made */
    pql_trust how;                         /* outcome of the trust check */
    uint8_t address[PQI_LEAF_ADDRESS_LEN]; /* server: the client's */
    bool by_memory, other_leaf;            /* server: how the leaf was chosen, and which */
    bool downgraded;                       /* refused: it was hybrid before */
    bool shown; /* the peer showed a certificate; both fingerprints of it: */
    pql_fingerprint shown_cert, shown_spki;
    bool settled; /* client: pqi_quic_tls_settle was content; sessions may be kept */
    uint8_t resumed_leaf[PQL_SHA256_SIZE]; /* server: of the session that was resumed */
    uint16_t resumed_scheme;               /* the same: what its key signed with */
    uint32_t groups, signatures;           /* server: as pql_posture.peer_groups and the next */
    uint16_t own_scheme; /* signature scheme that we prove our key with; 0: none yet */
    bool compat;         /* server: the protocol has the classical leaf */
    pqi_tls_times times; /* of this handshake's public-key operations */
    uint8_t *hint;       /* while a ClientHello is written, see tls.c */
    pql_error refusal;   /* why the check refused; code PQL_OK when it did not */
} pqi_quic_tls_peer;

/* A new TLS session in the state before its first byte.  The caller owns it (SSL_free) and has to
 * set its app data to an ngtcp2_crypto_conn_ref.  |peer| is borrowed for the session's life. */
SSL *pqi_quic_tls_session(const pqi_quic_tls *tls, pqi_quic_tls_peer *peer);

/* Once the handshake is complete, and so the peer's key is proven: lets trust remember it, and lets
 * sessions be kept for resumption.  Not PQL_OK: the link must not open.  On a server it
 * fails for a pinned client that was hybrid before only. */
pql_status pqi_quic_tls_settle(const pqi_quic_tls *tls, const SSL *ssl, pqi_quic_tls_peer *peer,
                               pql_error *err);

/* Server: the client, whose address is proven, ended the handshake before it was complete. In
 * a rotation its next one may then be shown another leaf (tls_memory.h). */
void pqi_quic_tls_refused(const SSL *ssl, const pqi_quic_tls_peer *peer);

/* Fills |posture| from a finished handshake and judges it by the policy that it began with and by
 * the newest one: PQL_OK or PQL_E_POLICY. */
pql_status pqi_quic_tls_posture(const pqi_quic_tls *tls, const SSL *ssl,
                                const pqi_quic_tls_peer *peer, pql_posture *posture,
                                pql_error *err);

/* Judges a live link by the newest policy: PQL_OK or PQL_E_POLICY. */
pql_status pqi_quic_tls_keeps(const pqi_quic_tls *tls, const pql_posture *posture, pql_error *err);

/* What was wrong with a signature in a handshake that has just failed on our side; to be called
 * before anything else of TLS on this thread, whose queue of errors it empties. */
pql_signature_failure pqi_quic_tls_signature_failure(const pqi_quic_tls_peer *peer);

/* What the peer's alert 40 or 71 means for this side: pqi_policy_explain_alert. */
void pqi_quic_tls_explain_alert(const pqi_quic_tls *tls, const SSL *ssl, unsigned alert, bool open,
                                char *out, size_t size);

#endif
