/* Is this the peer that was meant?  One answer for every transport.
 *
 * The check covers the certificate.  That the peer holds its key is proven by the CertificateVerify
 * signature, which the TLS library always checks: a transport must run pqi_trust_check from
 * SSL_CTX_set_custom_verify (which leaves the signature check in place) and nowhere else, and must
 * turn SSL_CTX_set_reverify_on_resume on, so that a resumed session is checked as well.
 *
 * The library asks before it has checked that signature.  Therefore pqi_trust_check only decides,
 * and pqi_trust_settle remembers: a transport must call it once, when the handshake is complete,
 * before anybody may use the link. */
#ifndef PQI_TRUST_TRUST_H
#define PQI_TRUST_TRUST_H

#include <pqlink/link.h>
#include <pqlink/trust.h>

typedef struct pqi_trust pqi_trust;

/* Copies what |peer| says.  Not exactly one way of trust: PQL_E_USAGE with a sentence.  An
 * unreadable CA file: PQL_E_IO.  Owned by the caller; immutable; may be shared by threads. */
pql_status pqi_trust_new(pqi_trust **out, const pql_peer *peer, pql_error *err);

/* The same for the clients of a listener: up to PQL_CLIENT_PINS_MAX pins, any certificate of an
 * authority that is good for clients, or any at all; first use: PQL_E_USAGE. */
pql_status pqi_trust_new_clients(pqi_trust **out, const pql_peer *clients, pql_error *err);

/* From now on pinned peers that were hybrid may not come back classical; what |memory| points to is
 * copied, NULL is a no-op.  Before the trust is shared. */
void pqi_trust_use_memory(pqi_trust *trust, const pql_hybrid_memory *memory);

/* One more owner; NULL gives NULL.  Any thread. */
pqi_trust *pqi_trust_ref(pqi_trust *trust);
/* One owner less; the last frees.  NULL is a no-op.  Any thread. */
void pqi_trust_free(pqi_trust *trust);

/* A certificate chain as it stood in the peer's Certificate message, leaf first; borrowed. */
typedef struct pqi_chain {
    const uint8_t *der[8];
    size_t len[8];
    size_t count; /* as the peer showed them; of a longer chain, which is refused, the first 8 are
                     here */
    bool known;   /* of the leaf, by pqi_chain_know: */
    pql_fingerprint of_cert, of_spki;
} pqi_chain;

/* Takes the leaf's fingerprints down, so that nobody has to compute them again.  False when the
 * leaf is no X.509 certificate; a check then says so. */
bool pqi_chain_know(pqi_chain *chain);

/* How the session's key exchange came about. */
typedef enum pqi_key_exchange {
    PQI_KEX_HYBRID,    /* it has ML-KEM */
    PQI_KEX_CLASSICAL, /* it has none, though our policy would have had it */
    PQI_KEX_UNWANTED,  /* it has none, because our own policy has none: nobody was downgraded */
} pqi_key_exchange;

/* Decides, and changes nothing.  |host| is the name or address that was dialled, |host_port| the
 * key for TOFU (both "" for a client that dialled us), |now_unix| seconds for the validity dates
 * (CA mode only; a pinned leaf is valid without end).  A pinned or TOFU peer that was hybrid once
 * may not be classical now; of a client pqi_trust_settle says so.  PQL_OK with *how set;
 * PQL_E_TRUST with a sentence that shows the fingerprint that came, the one that was expected, and
 * what to do; PQL_E_POLICY, with a sentence: it was hybrid before. */
pql_status pqi_trust_check(const pqi_trust *trust, const pqi_chain *chain, const char *host,
                           const char *host_port, int64_t now_unix, pqi_key_exchange kex,
                           pql_trust *how, pql_error *err);

/* Remembers what was learnt, once the peer has proven its key: with trust on first use its
 * certificate on first contact, and that it was hybrid; of a pinned peer that it was hybrid.
 * PQL_E_POLICY: a pinned client was hybrid before.  PQL_E_TRUST (with a sentence) when the memory
 * cannot be written durably (of clients: read), or holds another certificate by now.  The link must
 * then be closed, unused. */
pql_status pqi_trust_settle(const pqi_trust *trust, const pqi_chain *chain, const char *host_port,
                            pqi_key_exchange kex, pql_error *err);

/* A digest of the way of trust and its pins, to tell apart what was learnt under different ones. */
void pqi_trust_digest(const pqi_trust *trust, uint8_t out[PQL_SHA256_SIZE]);

/* The certificate that trust on first use remembers for |host_port|: what this client is going to
 * accept.  False for a stranger, when the memory cannot be read, and for every other way of trust;
 * *out is then zeroed. */
bool pqi_trust_remembers(const pqi_trust *trust, const char *host_port, pql_fingerprint *out);

/* TLS alert for a refusal: bad_certificate (42), unknown_ca (48), insufficient_security (71). */
uint8_t pqi_trust_alert(pql_status refusal);

#endif
