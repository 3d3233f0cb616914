/* The server's side of TLS: certificates by protocol name and by the client's hint, and their
 * replacement while handshakes run. */
#include "base/cursor.h"
#include "base/error.h"
#include "base/text.h"
#include "identity/identity.h"
#include "policy/offer.h"
#include "quic/tls_internal.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* RFC 7301: the ALPN extension. */
#define EXTENSION_ALPN 16
/* As much of a stranger's protocol name as a log line shows, and a NUL. */
#define OFFERED_SIZE 33
/* Names of offered groups or signatures that a sentence has room for. */
#define OFFER_TEXT_SIZE 160

static int generation_index = -1; /* SSL ex data: the generation that it began with */
static pthread_once_t generation_index_once = PTHREAD_ONCE_INIT;

/* ---- generations ---- */

static void generation_unref(pqi_tls_generation *generation)
{
    if (generation == NULL || atomic_fetch_sub(&generation->refs, 1) != 1) {
        return;
    }
    for (int whose = TLS_CURRENT; whose <= TLS_OTHER; whose++) {
        SSL_CTX_free(generation->ctx[whose][PQL_LEAF_PQ]);
        SSL_CTX_free(generation->ctx[whose][PQL_LEAF_CLASSICAL]);
    }
    pqi_trust_free(generation->clients);
    pqi_leaf_memory_free(generation->memory);
    free(generation);
}

/* The session is being freed, and with it its reference. */
static void session_freed(void *parent, void *generation, CRYPTO_EX_DATA *data, int index,
                          long argl, void *argp)
{
    (void)parent;
    (void)data;
    (void)index;
    (void)argl;
    (void)argp;
    generation_unref(generation);
}

static void make_generation_index(void)
{
    generation_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, session_freed);
}

static pqi_tls_generation *generation_take(tls_slot *slot)
{
    (void)atomic_fetch_add(&slot->readers, 1);
    pqi_tls_generation *generation = atomic_load(&slot->present);
    (void)atomic_fetch_add(&generation->refs, 1);
    (void)atomic_fetch_sub(&slot->readers, 1);
    return generation;
}

void pqi_quic_tls_publish(pqi_quic_tls *tls, pqi_tls_generation *generation)
{
    pqi_tls_generation *before = atomic_exchange(&tls->slot->present, generation);
    while (atomic_load(&tls->slot->readers) != 0) {
        (void)sched_yield(); /* for the few instructions of generation_take */
    }
    generation_unref(before);
}

void pqi_quic_tls_discard(pqi_tls_generation *generation)
{
    generation_unref(generation);
}

const pqi_trust *pqi_tls_server_clients(const SSL *ssl)
{
    const pqi_tls_generation *generation = SSL_get_ex_data(ssl, generation_index);
    return generation->clients;
}

const pqi_policy_use *pqi_tls_server_use(const SSL *ssl)
{
    const pqi_tls_generation *generation = SSL_get_ex_data(ssl, generation_index);
    return &generation->use;
}

/* ---- choosing the leaf ---- */

/* True when |name| is one of the length-prefixed names in |list|. */
static bool alpn_offered(const uint8_t *list, size_t len, const uint8_t *name, size_t name_len)
{
    for (size_t at = 0; at < len && list[at] < len - at; at += 1 + (size_t)list[at]) {
        if (list[at] == name_len && memcmp(list + at + 1, name, name_len) == 0) {
            return true;
        }
    }
    return false;
}

/* Our most preferred name that the client offers: its index, or -1. */
static int alpn_choose(const pqi_quic_tls *tls, const uint8_t *list, size_t len,
                       const uint8_t **name, uint8_t *name_len)
{
    int index = 0;
    for (size_t at = 0; at < tls->alpn_len; at += 1 + (size_t)tls->alpn[at], index++) {
        if (alpn_offered(list, len, tls->alpn + at + 1, tls->alpn[at])) {
            *name = tls->alpn + at + 1;
            *name_len = tls->alpn[at];
            return index;
        }
    }
    return -1;
}

/* Why a client with no protocol of ours will be refused, whatever else the handshake fails at. */
static void note_refusal(const pqi_quic_tls *tls, pqi_quic_tls_peer *peer, const uint8_t *list,
                         size_t len)
{
    char offered[OFFERED_SIZE];
    for (size_t i = 0; i < tls->refusal_count; i++) {
        const pql_alpn_refusal *refusal = &tls->refusals[i];
        if (alpn_offered(list, len, (const uint8_t *)refusal->name, strlen(refusal->name))) {
            (void)pqi_fail(&peer->refusal, PQL_E_PROTOCOL, "%s", refusal->sentence);
            return;
        }
    }
    (void)snprintf(offered, sizeof(offered), "%.*s", list[0] < len ? (int)list[0] : 0, list + 1);
    pqi_text_clean(offered);
    (void)pqi_fail(&peer->refusal, PQL_E_PROTOCOL,
                   "The two sides have no protocol (ALPN) in common; the client offers '%s'.",
                   offered);
}

/* The protocol that will be spoken: its index, or -1 when there is none in common. */
static int protocol_of(const pqi_quic_tls *tls, const SSL_CLIENT_HELLO *hello)
{
    const uint8_t *list = NULL;
    const uint8_t *name = NULL;
    uint8_t name_len = 0;
    size_t len = 0;
    if (SSL_early_callback_ctx_extension_get(hello, EXTENSION_ALPN, &list, &len) != 1 || len <= 2) {
        return -1;
    }
    /* ProtocolNameList starts with its own two-byte length (RFC 7301, 3.1). */
    const int index = alpn_choose(tls, list + 2, len - 2, &name, &name_len);
    if (index < 0) {
        note_refusal(tls, pqi_tls_peer_of(hello->ssl), list + 2, len - 2);
    }
    return index;
}

static bool names(const uint8_t *hint, size_t len, const pqi_tls_generation *generation,
                  tls_whose whose, pql_leaf leaf)
{
    return pqi_tls_hint_names(hint, len, &generation->of_cert[whose][leaf]) ||
           pqi_tls_hint_names(hint, len, &generation->of_spki[whose][leaf]);
}

/* The other identity is shown to a client that knows that one only: because it says so, or, where
 * it says nothing, because it refused the current one. */
static tls_whose choose_whose(const pqi_tls_generation *generation, const SSL_CLIENT_HELLO *hello,
                              pql_leaf leaf, pqi_quic_tls_peer *peer)
{
    const uint8_t *hint = NULL;
    size_t len = 0;
    if (generation->ctx[TLS_OTHER][leaf] == NULL) {
        return TLS_CURRENT;
    }
    if (SSL_early_callback_ctx_extension_get(hello, PQI_TLS_EXTENSION_HINT, &hint, &len) == 1) {
        return !names(hint, len, generation, TLS_CURRENT, leaf) &&
                       names(hint, len, generation, TLS_OTHER, leaf)
                   ? TLS_OTHER
                   : TLS_CURRENT;
    }
    peer->by_memory = true;
    peer->other_leaf = pqi_leaf_memory_wants_other(generation->memory, peer->address);
    return peer->other_leaf ? TLS_OTHER : TLS_CURRENT;
}

/* What the client can do, whatever comes of it. */
static void read_offer(const SSL_CLIENT_HELLO *hello, pqi_quic_tls_peer *peer)
{
    const uint8_t *list = NULL;
    size_t len = 0;
    if (SSL_early_callback_ctx_extension_get(hello, PQI_EXTENSION_GROUPS, &list, &len) == 1) {
        peer->groups = pqi_offer_groups(list, len);
    }
    if (SSL_early_callback_ctx_extension_get(hello, PQI_EXTENSION_SIGNATURES, &list, &len) == 1) {
        peer->signatures = pqi_offer_signatures(list, len);
    }
}

/* Why a client will be refused with handshake_failure, before the library finds that out. */
static void note_mismatch(const pqi_tls_generation *generation, pqi_quic_tls_peer *peer)
{
    char offered[OFFER_TEXT_SIZE];
    char needed[OFFER_TEXT_SIZE];
    if (peer->groups != 0 && (peer->groups & generation->groups) == 0) {
        pqi_offer_write_groups(offered, sizeof(offered), peer->groups);
        pqi_offer_write_groups(needed, sizeof(needed), generation->groups);
        (void)pqi_fail(&peer->refusal, PQL_E_POLICY,
                       "The client offers the key exchanges %s, and the policy %s takes %s only. "
                       "Update the client, or change the policy of one side.",
                       offered, pql_policy_name(generation->use.policy), needed);
    } else if (peer->signatures != 0 &&
               (peer->signatures & pqi_offer_signature_bit(peer->own_scheme)) == 0) {
        pqi_offer_write_signatures(offered, sizeof(offered), peer->signatures);
        (void)pqi_fail(&peer->refusal, PQL_E_POLICY,
                       "The client can verify %s, and the certificate of this protocol has a key "
                       "for %s. Update the client.",
                       offered, pql_signature_name(peer->own_scheme));
    }
}

/* Without a protocol in common no leaf is ever shown.  It is one that the client can verify, so
 * that the handshake fails at the protocol and with its alert, 120 (RFC 9001, 8.1), not before. */
static pql_leaf leaf_of_nobody(const pqi_tls_generation *generation, const pqi_quic_tls_peer *peer)
{
    const uint16_t scheme = generation->scheme[TLS_CURRENT][PQL_LEAF_PQ];
    return (peer->signatures & pqi_offer_signature_bit(scheme)) != 0 ? PQL_LEAF_PQ
                                                                     : PQL_LEAF_CLASSICAL;
}

static enum ssl_select_cert_result_t select_leaf(const SSL_CLIENT_HELLO *hello)
{
    const pqi_quic_tls *tls = SSL_CTX_get_app_data(SSL_get_SSL_CTX(hello->ssl));
    const pqi_tls_generation *generation = SSL_get_ex_data(hello->ssl, generation_index);
    pqi_quic_tls_peer *peer = pqi_tls_peer_of(hello->ssl);
    const int protocol = protocol_of(tls, hello);
    read_offer(hello, peer);
    /* The certificate follows from the protocol name, so that a pinned peer sees the same
     * fingerprint whatever its library learns one day. */
    const pql_leaf leaf =
        protocol >= 0 ? tls->alpn_leaf[protocol] : leaf_of_nobody(generation, peer);
    const tls_whose whose = choose_whose(generation, hello, leaf, peer);
    if (SSL_set_SSL_CTX(hello->ssl, generation->ctx[whose][leaf]) == NULL) {
        return ssl_select_cert_error;
    }
    if (protocol >= 0 && (tls->uncertified >> protocol & 1) != 0) {
        SSL_set_custom_verify(hello->ssl, SSL_VERIFY_NONE, NULL);
    }
    peer->own_scheme = generation->scheme[whose][leaf];
    peer->compat = leaf == PQL_LEAF_CLASSICAL;
    if (protocol >= 0) {
        note_mismatch(generation, peer);
    }
    return pqi_policy_prefer_ciphers(generation->use.policy, hello) ? ssl_select_cert_success
                                                                    : ssl_select_cert_error;
}

void pqi_tls_server_took(const SSL *ssl, const pqi_quic_tls_peer *peer)
{
    const pqi_tls_generation *generation = SSL_get_ex_data(ssl, generation_index);
    if (peer->by_memory) {
        pqi_leaf_memory_took(generation->memory, peer->address, peer->other_leaf);
    }
}

void pqi_quic_tls_refused(const SSL *ssl, const pqi_quic_tls_peer *peer)
{
    const pqi_tls_generation *generation = SSL_get_ex_data(ssl, generation_index);
    if (peer->by_memory) {
        pqi_leaf_memory_refused(generation->memory, peer->address, peer->other_leaf);
    }
}

static int select_alpn(SSL *ssl, const uint8_t **out, uint8_t *out_len, const uint8_t *in,
                       unsigned in_len, void *arg)
{
    (void)ssl;
    return alpn_choose(arg, in, in_len, out, out_len) >= 0 ? SSL_TLSEXT_ERR_OK
                                                           : SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* ---- tickets ---- */

/* Which leaf |ssl| shows; false when none was chosen yet. */
static bool leaf_shown(const SSL *ssl, const pqi_tls_generation *generation, tls_whose *whose,
                       pql_leaf *leaf)
{
    const SSL_CTX *ctx = SSL_get_SSL_CTX(ssl);
    for (unsigned i = 0; i < 4; i++) {
        *whose = i < 2 ? TLS_CURRENT : TLS_OTHER;
        *leaf = i % 2 == 0 ? PQL_LEAF_PQ : PQL_LEAF_CLASSICAL;
        if (generation->ctx[*whose][*leaf] == ctx) {
            return true;
        }
    }
    return false;
}

static size_t ticket_overhead(SSL *ssl)
{
    (void)ssl;
    return PQI_TICKET_OVERHEAD;
}

static int seal_ticket(SSL *ssl, uint8_t *out, size_t *out_len, size_t size, const uint8_t *session,
                       size_t len)
{
    const pqi_quic_tls *tls = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    const pqi_tls_generation *generation = SSL_get_ex_data(ssl, generation_index);
    const pqi_quic_tls_peer *peer = pqi_tls_peer_of(ssl);
    const bool resumed = SSL_session_reused(ssl) == 1;
    pqi_ticket_facts facts = {.policy = generation->use.policy,
                              .group = SSL_get_group_id(ssl),
                              .signature = resumed ? peer->resumed_scheme : peer->own_scheme};
    tls_whose whose;
    pql_leaf leaf;
    if (!leaf_shown(ssl, generation, &whose, &leaf)) {
        return 0;
    }
    /* Whose key was proven: on a resumed link it is not that of the leaf of today. */
    memcpy(facts.leaf, resumed ? peer->resumed_leaf : generation->of_cert[whose][leaf].sha256,
           sizeof(facts.leaf));
    return pqi_ticket_seal(tls->ticket_secret, peer->now_unix, &facts, session, len, out, size,
                           out_len)
               ? 1
               : 0;
}

/* True when the session was begun with a leaf that is shown today: an identity that was given up
 * does not live on in tickets. */
static bool leaf_is_ours(const SSL *ssl, const pqi_ticket_facts *facts)
{
    const pqi_tls_generation *generation = SSL_get_ex_data(ssl, generation_index);
    tls_whose whose;
    pql_leaf leaf;
    if (!leaf_shown(ssl, generation, &whose, &leaf)) {
        return false;
    }
    for (int i = TLS_CURRENT; i <= TLS_OTHER; i++) {
        if (generation->ctx[i][leaf] != NULL &&
            memcmp(generation->of_cert[i][leaf].sha256, facts->leaf, sizeof(facts->leaf)) == 0) {
            return true;
        }
    }
    return false;
}

static bool strong_enough(const pqi_quic_tls *tls, const SSL *ssl, const pqi_ticket_facts *facts)
{
    const pqi_policy_use *began = pqi_tls_server_use(ssl);
    return pqi_ticket_strong_enough(facts, began->policy) &&
           pqi_ticket_strong_enough(facts, pqi_tls_newest_use(tls, began).policy);
}

/* What cannot be resumed costs the client a full handshake, and nothing else. */
static enum ssl_ticket_aead_result_t open_ticket(SSL *ssl, uint8_t *out, size_t *out_len,
                                                 size_t size, const uint8_t *ticket, size_t len)
{
    const pqi_quic_tls *tls = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    pqi_quic_tls_peer *peer = pqi_tls_peer_of(ssl);
    pqi_ticket_facts facts;
    if (!pqi_ticket_open(tls->ticket_secret, peer->now_unix, ticket, len, &facts, out, size,
                         out_len) ||
        !strong_enough(tls, ssl, &facts) || !leaf_is_ours(ssl, &facts)) {
        return ssl_ticket_aead_ignore_ticket;
    }
    memcpy(peer->resumed_leaf, facts.leaf, sizeof(peer->resumed_leaf));
    peer->resumed_scheme = facts.signature;
    return ssl_ticket_aead_success;
}

static const SSL_TICKET_AEAD_METHOD ticket_method = {ticket_overhead, seal_ticket, open_ticket};

static void give_tickets(SSL_CTX *ctx)
{
    (void)SSL_CTX_clear_options(ctx, SSL_OP_NO_TICKET);
    (void)SSL_CTX_set_num_tickets(ctx, PQI_SESSIONS_PER_KEY);
    /* Clients then do not offer what does not open any more. */
    SSL_CTX_set_session_psk_dhe_timeout(ctx, PQI_TICKET_PERIOD);
    SSL_CTX_set_ticket_aead_method(ctx, &ticket_method);
}

/* ---- making ---- */

static pql_status fill_leaf(pqi_quic_tls *tls, pqi_tls_generation *generation,
                            const pql_identity *id, tls_whose whose, pql_leaf leaf, pql_error *err)
{
    SSL_CTX **ctx = &generation->ctx[whose][leaf];
    generation->scheme[whose][leaf] = pqi_identity_scheme(id, leaf);
    pql_status status =
        leaf == PQL_LEAF_PQ
            ? pqi_policy_check_own(generation->use.policy, generation->scheme[whose][leaf], err)
            : PQL_OK;
    if (status == PQL_OK) {
        status = pqi_tls_new_context(tls, &generation->use, ctx, err);
    }
    if (status == PQL_OK) {
        status = pqi_identity_use(id, leaf, *ctx, err);
    }
    if (status != PQL_OK) {
        return status;
    }
    pql_identity_fingerprint(id, leaf, PQL_FINGERPRINT_CERT, &generation->of_cert[whose][leaf]);
    pql_identity_fingerprint(id, leaf, PQL_FINGERPRINT_SPKI, &generation->of_spki[whose][leaf]);
    SSL_CTX_set_select_certificate_cb(*ctx, select_leaf);
    if (generation->clients != NULL) {
        SSL_CTX_set_custom_verify(*ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
                                  pqi_tls_verify);
        /* 2.8 kB less for each link; what links are asked for was taken down by then. */
        SSL_CTX_set_retain_only_sha256_of_client_certs(*ctx, 1);
    } else if (tls->tickets) {
        give_tickets(*ctx);
    }
    SSL_CTX_set_alpn_select_cb(*ctx, select_alpn, tls);
    return PQL_OK;
}

static pql_status fill_clients(const pqi_quic_tls *tls, pqi_tls_generation *generation,
                               const pql_peer *clients, pql_error *err)
{
    const pqi_tls_generation *present = atomic_load(&tls->slot->present);
    generation->clients_by_ca = clients != NULL   ? clients->ca_file != NULL
                                : present != NULL ? present->clients_by_ca
                                                  : false;
    if (generation->clients_by_ca &&
        pqi_policy_check_authority(generation->use.policy, err) != PQL_OK) {
        return PQL_E_POLICY;
    }
    if (clients != NULL) {
        const pql_status status = pqi_trust_new_clients(&generation->clients, clients, err);
        if (status == PQL_OK) {
            pqi_trust_use_memory(generation->clients, &tls->memory);
        }
        return status;
    }
    generation->clients = present != NULL ? pqi_trust_ref(present->clients) : NULL;
    return PQL_OK;
}

/* What is remembered of a leaf holds for as long as that leaf stands where it stood. */
static pql_status fill_memory(const pqi_quic_tls *tls, pqi_tls_generation *generation,
                              pql_error *err)
{
    const pqi_tls_generation *present = atomic_load(&tls->slot->present);
    const bool same_leaves =
        present != NULL && present->memory != NULL &&
        memcmp(present->of_cert, generation->of_cert, sizeof(present->of_cert)) == 0;
    generation->memory = same_leaves ? pqi_leaf_memory_ref(present->memory) : pqi_leaf_memory_new();
    return generation->memory != NULL
               ? PQL_OK
               : pqi_fail(err, PQL_E_NOMEM, "Out of memory making a TLS configuration.");
}

/* No protocol may promise a leaf that the policy forbids to show. */
static pql_status check_leaves(const pqi_quic_tls *tls, pql_policy policy, pql_error *err)
{
    for (size_t i = 0; i < tls->alpn_count; i++) {
        if (tls->alpn_leaf[i] == PQL_LEAF_CLASSICAL && pql_policy_needs_pq_authentication(policy)) {
            return pqi_fail(err, PQL_E_POLICY,
                            "The policy %s does not go with a protocol that has the classical "
                            "certificate. Do without that protocol, or choose another policy.",
                            pql_policy_name(policy));
        }
    }
    return PQL_OK;
}

static pql_status fill(pqi_quic_tls *tls, pqi_tls_generation *generation,
                       const pqi_tls_change *change, pql_error *err)
{
    const pql_identity *const whose[] = {change->current, change->other};
    generation->use = tls->use;
    generation->use.policy = change->policy;
    generation->groups = pqi_policy_groups(change->policy);
    pql_status status = check_leaves(tls, change->policy, err);
    if (status == PQL_OK) {
        status = fill_clients(tls, generation, change->clients, err);
    }
    for (int i = TLS_CURRENT; i <= TLS_OTHER; i++) {
        for (int leaf = PQL_LEAF_PQ; whose[i] != NULL && leaf <= PQL_LEAF_CLASSICAL; leaf++) {
            if (status == PQL_OK) {
                status = fill_leaf(tls, generation, whose[i], (tls_whose)i, (pql_leaf)leaf, err);
            }
        }
    }
    return status == PQL_OK && change->other != NULL ? fill_memory(tls, generation, err) : status;
}

pql_status pqi_quic_tls_prepare(pqi_quic_tls *tls, const pqi_tls_change *change,
                                pqi_tls_generation **out, pql_error *err)
{
    *out = NULL;
    if (change->current == NULL) {
        return pqi_fail(err, PQL_E_IDENTITY, "A listener needs an identity.");
    }
    pqi_tls_generation *generation = calloc(1, sizeof(*generation));
    if (generation == NULL) {
        return pqi_fail(err, PQL_E_NOMEM, "Out of memory making a TLS configuration.");
    }
    atomic_store(&generation->refs, 1);
    const pql_status status = fill(tls, generation, change, err);
    if (status != PQL_OK) {
        generation_unref(generation);
        return status;
    }
    *out = generation;
    return PQL_OK;
}

pql_status pqi_tls_server_setup(pqi_quic_tls *tls, const pqi_quic_tls_opts *opts, pql_error *err)
{
    pqi_tls_generation *first = NULL;
    (void)pthread_once(&generation_index_once, make_generation_index);
    tls->uncertified = opts->uncertified;
    tls->tickets = opts->ticket_secret != NULL;
    if (tls->tickets) {
        memcpy(tls->ticket_secret, opts->ticket_secret, sizeof(tls->ticket_secret));
    }
    tls->slot = calloc(1, sizeof(*tls->slot));
    if (tls->slot == NULL) {
        return pqi_fail(err, PQL_E_NOMEM, "Out of memory making a TLS configuration.");
    }
    const pqi_tls_change change = {opts->identity, opts->other_identity, opts->peer, opts->policy};
    const pql_status status = pqi_quic_tls_prepare(tls, &change, &first, err);
    atomic_store(&tls->slot->present, first);
    return status;
}

void pqi_tls_server_free(pqi_quic_tls *tls)
{
    if (tls->slot != NULL) {
        generation_unref(atomic_load(&tls->slot->present));
        free(tls->slot);
    }
}

SSL *pqi_tls_server_session(const pqi_quic_tls *tls)
{
    pqi_tls_generation *generation = generation_take(tls->slot);
    SSL *ssl = SSL_new(generation->ctx[TLS_CURRENT][PQL_LEAF_PQ]);
    if (ssl == NULL || SSL_set_ex_data(ssl, generation_index, generation) != 1) {
        SSL_free(ssl);
        generation_unref(generation);
        return NULL;
    }
    return ssl;
}
