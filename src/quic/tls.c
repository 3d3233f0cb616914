#include "quic/tls.h"

#include "base/cursor.h"
#include "base/error.h"
#include "base/secret.h"
#include "identity/identity.h"
#include "quic/tls_internal.h"

#include <arpa/inet.h>
#include <ngtcp2/ngtcp2_crypto_boringssl.h>
#include <openssl/err.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* RFC 8446, section 4.2.4: pins go along with our own protocols only, so that nothing but what
 * every client sends reaches a foreign server. */
#define OWN_ALPN_PREFIX "pqlink-"

static int peer_index = -1; /* SSL ex data: the pqi_quic_tls_peer */
static pthread_once_t peer_index_once = PTHREAD_ONCE_INIT;

static void make_peer_index(void)
{
    peer_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
}

pqi_quic_tls_peer *pqi_tls_peer_of(const SSL *ssl)
{
    return SSL_get_ex_data(ssl, peer_index);
}

static void log_key(const SSL *ssl, const char *line)
{
    const pqi_quic_tls *tls = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    tls->keylog(tls->keylog_user, line);
}

/* Of a longer chain than |chain| holds, the count says so, and the trust check refuses it. */
static void collect_chain(const SSL *ssl, pqi_chain *chain)
{
    const STACK_OF(CRYPTO_BUFFER) *certificates = SSL_get0_peer_certificates(ssl);
    const size_t limit = sizeof(chain->der) / sizeof(chain->der[0]);
    const size_t count = certificates == NULL ? 0 : sk_CRYPTO_BUFFER_num(certificates);
    for (size_t i = 0; i < count && i < limit; i++) {
        const CRYPTO_BUFFER *der = sk_CRYPTO_BUFFER_value(certificates, i);
        chain->der[i] = CRYPTO_BUFFER_data(der);
        chain->len[i] = CRYPTO_BUFFER_len(der);
    }
    chain->count = count;
}

pqi_policy_use pqi_tls_newest_use(const pqi_quic_tls *tls, const pqi_policy_use *began)
{
    pqi_policy_use use = *began;
    if (tls->newest_policy != NULL) {
        use.policy = (pql_policy)atomic_load(tls->newest_policy);
    }
    return use;
}

static const pqi_policy_use *began_with(const pqi_quic_tls *tls, const SSL *ssl)
{
    return tls->use.server ? pqi_tls_server_use(ssl) : &tls->use;
}

/* ML-KEM was wanted only where it was so at the beginning, when groups were offered, and still is.
 */
static pqi_key_exchange key_exchange(const pqi_quic_tls *tls, const SSL *ssl)
{
    const pqi_policy_use *began = began_with(tls, ssl);
    if (pql_group_is_pq(SSL_get_group_id(ssl))) {
        return PQI_KEX_HYBRID;
    }
    return pql_policy_wants_pq(began->policy) &&
                   pql_policy_wants_pq(pqi_tls_newest_use(tls, began).policy)
               ? PQI_KEX_CLASSICAL
               : PQI_KEX_UNWANTED;
}

static const pqi_trust *trust_of(const pqi_quic_tls *tls, const SSL *ssl)
{
    return tls->use.server ? pqi_tls_server_clients(ssl) : tls->trust;
}

/* Runs before the CertificateVerify signature is looked at; the library then checks that too. */
enum ssl_verify_result_t pqi_tls_verify(SSL *ssl, uint8_t *out_alert)
{
    const pqi_quic_tls *tls = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    pqi_quic_tls_peer *peer = pqi_tls_peer_of(ssl);
    pqi_chain chain = {0};
    collect_chain(ssl, &chain);
    (void)pqi_chain_know(&chain);
    const pql_policy newest = pqi_tls_newest_use(tls, began_with(tls, ssl)).policy;
    if (pqi_policy_check_group(newest, SSL_get_group_id(ssl), &peer->refusal) != PQL_OK) {
        *out_alert = SSL_AD_INSUFFICIENT_SECURITY;
        return ssl_verify_invalid;
    }
    const pql_status status =
        pqi_trust_check(trust_of(tls, ssl), &chain, peer->host, peer->host_port, peer->now_unix,
                        key_exchange(tls, ssl), &peer->how, &peer->refusal);
    peer->downgraded = status == PQL_E_POLICY;
    if (status != PQL_OK) {
        *out_alert = pqi_trust_alert(status);
        return ssl_verify_invalid;
    }
    /* For whoever asks later: of a client's certificate the library keeps a hash only. */
    peer->shown = true;
    peer->shown_cert = chain.of_cert;
    peer->shown_spki = chain.of_spki;
    return ssl_verify_ok;
}

static pql_status copy_alpn(pqi_quic_tls *tls, const pqi_quic_tls_opts *opts, pql_error *err)
{
    if (opts->alpn_count == 0 || opts->alpn_count > PQI_TLS_ALPN_MAX) {
        return pqi_fail(err, PQL_E_USAGE, "Between 1 and %d protocol names (ALPN) are needed.",
                        PQI_TLS_ALPN_MAX);
    }
    for (size_t i = 0; i < opts->alpn_count; i++) {
        const size_t len = strlen(opts->alpn[i].name);
        if (len == 0 || len > 255) {
            return pqi_fail(err, PQL_E_USAGE, "A protocol name (ALPN) has 1 to 255 bytes.");
        }
        tls->alpn[tls->alpn_len] = (uint8_t)len;
        memcpy(tls->alpn + tls->alpn_len + 1, opts->alpn[i].name, len);
        tls->alpn_len += len + 1;
        tls->alpn_leaf[i] = opts->alpn[i].leaf;
    }
    tls->alpn_count = opts->alpn_count;
    return PQL_OK;
}

pql_status pqi_tls_new_context(pqi_quic_tls *tls, const pqi_policy_use *use, SSL_CTX **out,
                               pql_error *err)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_method());
    if (ctx == NULL) {
        return pqi_fail(err, PQL_E_CRYPTO, "The TLS library could not make a configuration.");
    }
    *out = ctx;
    SSL_CTX_set_app_data(ctx, tls);
    /* No resumption unless it is asked for: every link is a full handshake with fresh ML-KEM, a
     * checked pin and a proven key. */
    SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    if (tls->keylog != NULL) {
        SSL_CTX_set_keylog_callback(ctx, log_key);
    }
    pqi_tls_times_setup(ctx);
    const int quic = use->server ? ngtcp2_crypto_boringssl_configure_server_context(ctx)
                                 : ngtcp2_crypto_boringssl_configure_client_context(ctx);
    if (quic != 0) {
        return pqi_fail(err, PQL_E_CRYPTO, "The TLS library refused its QUIC configuration.");
    }
    return pqi_policy_apply(use, ctx, err);
}

/* The hint of a client without pins: what it remembers of this peer.  0: nothing. */
static int add_remembered(const pqi_quic_tls *tls, const SSL *ssl, const uint8_t **out,
                          size_t *out_len)
{
    pql_fingerprint remembered;
    pqi_quic_tls_peer *peer = pqi_tls_peer_of(ssl);
    if (!pqi_trust_remembers(tls->trust, peer->host_port, &remembered)) {
        return 0;
    }
    peer->hint = malloc(PQI_TLS_HINT_SIZE);
    if (peer->hint == NULL) {
        return 0;
    }
    *out_len = pqi_tls_hint_write(peer->hint, &remembered, 1);
    *out = peer->hint;
    return 1;
}

static int add_hint(SSL *ssl, unsigned extension, const uint8_t **out, size_t *out_len, int *alert,
                    void *arg)
{
    const pqi_quic_tls *tls = arg;
    (void)extension;
    (void)alert;
    if (tls->hint_len == 0) {
        return add_remembered(tls, ssl, out, out_len);
    }
    *out = tls->hint;
    *out_len = tls->hint_len;
    return 1;
}

static void free_hint(SSL *ssl, unsigned extension, const uint8_t *out, void *arg)
{
    pqi_quic_tls_peer *peer = pqi_tls_peer_of(ssl);
    (void)extension;
    (void)out;
    (void)arg;
    free(peer->hint);
    peer->hint = NULL;
}

/* Tells a server of ours which leaf is expected: in a rotation it has two. */
static pql_status setup_hint(pqi_quic_tls *tls, const pqi_quic_tls_opts *opts, pql_error *err)
{
    if (strncmp(opts->alpn[0].name, OWN_ALPN_PREFIX, strlen(OWN_ALPN_PREFIX)) != 0) {
        return PQL_OK;
    }
    tls->hint_len = pqi_tls_hint_write(tls->hint, opts->peer->pins, opts->peer->pin_count);
    const bool hints = tls->hint_len > 0 || opts->peer->tofu != NULL;
    if (hints && SSL_CTX_add_client_custom_ext(tls->client, PQI_TLS_EXTENSION_HINT, add_hint,
                                               free_hint, tls, NULL, NULL) != 1) {
        return pqi_fail(err, PQL_E_CRYPTO,
                        "The TLS library does not let the extension certificate_authorities be "
                        "set; use AWS-LC 5.1.");
    }
    return PQL_OK;
}

/* The server asks for a certificate, so ours is shown. */
static int note_own_scheme(SSL *ssl, void *arg)
{
    const pqi_quic_tls *tls = arg;
    pqi_tls_peer_of(ssl)->own_scheme = tls->own_scheme;
    return 1;
}

static pql_status setup_own_leaf(pqi_quic_tls *tls, const pql_identity *identity, pql_error *err)
{
    if (identity == NULL) {
        return PQL_OK;
    }
    tls->own_scheme = pqi_identity_scheme(identity, PQL_LEAF_PQ);
    SSL_CTX_set_cert_cb(tls->client, note_own_scheme, tls);
    const pql_status status = pqi_policy_check_own(tls->use.policy, tls->own_scheme, err);
    return status == PQL_OK ? pqi_identity_use(identity, PQL_LEAF_PQ, tls->client, err) : status;
}

/* Sessions of another policy, protocol, requirement or trust are never offered. */
static void scope_sessions(pqi_quic_tls *tls, const pqi_quic_tls_opts *opts)
{
    uint8_t trust[PQI_SHA256_SIZE];
    uint8_t text[2 + PQI_SHA256_SIZE + PQI_TLS_ALPN_WIRE_MAX];
    pqi_writer w;
    pqi_trust_digest(tls->trust, trust);
    pqi_writer_init(&w, text, sizeof(text));
    pqi_write_u8(&w, (uint8_t)opts->policy);
    pqi_write_u8(&w, opts->pq_authentication ? 1 : 0);
    pqi_write_bytes(&w, trust, sizeof(trust));
    pqi_write_bytes(&w, tls->alpn, tls->alpn_len);
    pqi_sha256(tls->session_scope, text, w.len);
}

static void session_key(const pqi_quic_tls *tls, const pqi_quic_tls_peer *peer,
                        uint8_t key[PQI_SESSION_KEY_LEN])
{
    uint8_t text[sizeof(tls->session_scope) + sizeof(peer->host_port)];
    const size_t len = strlen(peer->host_port);
    memcpy(text, tls->session_scope, sizeof(tls->session_scope));
    memcpy(text + sizeof(tls->session_scope), peer->host_port, len);
    pqi_sha256(key, text, sizeof(tls->session_scope) + len);
}

/* A ticket came.  One of a link that did not open, or of a session without ML-KEM that was to have
 * it, is not kept. */
static int keep_session(SSL *ssl, SSL_SESSION *session)
{
    const pqi_quic_tls *tls = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    const pqi_quic_tls_peer *peer = pqi_tls_peer_of(ssl);
    uint8_t key[PQI_SESSION_KEY_LEN];
    if (!peer->settled || SSL_SESSION_is_resumable(session) != 1 ||
        (pql_policy_wants_pq(tls->use.policy) && !pql_group_is_pq(SSL_get_group_id(ssl)))) {
        return 0;
    }
    session_key(tls, peer, key);
    pqi_tls_sessions_put(tls->sessions, key, session);
    return 1;
}

static void offer_session(const pqi_quic_tls *tls, SSL *ssl, const pqi_quic_tls_peer *peer)
{
    uint8_t key[PQI_SESSION_KEY_LEN];
    if (tls->sessions == NULL) {
        return;
    }
    session_key(tls, peer, key);
    SSL_SESSION *session = pqi_tls_sessions_take(tls->sessions, key);
    if (session != NULL) {
        (void)SSL_set_session(ssl, session); /* without it the handshake is a full one */
        SSL_SESSION_free(session);
    }
}

static void setup_resumption(pqi_quic_tls *tls, const pqi_quic_tls_opts *opts)
{
    if (opts->sessions == NULL || opts->identity != NULL) {
        return;
    }
    tls->sessions = opts->sessions;
    scope_sessions(tls, opts);
    (void)SSL_CTX_clear_options(tls->client, SSL_OP_NO_TICKET);
    (void)SSL_CTX_set_session_cache_mode(tls->client,
                                         SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(tls->client, keep_session);
    SSL_CTX_set_reverify_on_resume(tls->client, 1);
}

static pql_status setup_client(pqi_quic_tls *tls, const pqi_quic_tls_opts *opts, pql_error *err)
{
    pql_status status = pqi_trust_new(&tls->trust, opts->peer, err);
    if (status == PQL_OK && opts->peer->ca_file != NULL) {
        status = pqi_policy_check_authority(opts->policy, err);
    }
    if (status == PQL_OK) {
        status = pqi_tls_new_context(tls, &tls->use, &tls->client, err);
    }
    if (status != PQL_OK) {
        return status;
    }
    pqi_trust_use_memory(tls->trust, opts->memory);
    SSL_CTX_set_custom_verify(tls->client, SSL_VERIFY_PEER, pqi_tls_verify);
    setup_resumption(tls, opts);
    status = setup_hint(tls, opts, err);
    return status == PQL_OK ? setup_own_leaf(tls, opts->identity, err) : status;
}

pql_status pqi_quic_tls_new(pqi_quic_tls **out, const pqi_quic_tls_opts *opts, pql_error *err)
{
    *out = NULL;
    (void)pthread_once(&peer_index_once, make_peer_index);
    pqi_quic_tls *tls = calloc(1, sizeof(*tls));
    if (tls == NULL) {
        return pqi_fail(err, PQL_E_NOMEM, "Out of memory making a TLS configuration.");
    }
    tls->use = (pqi_policy_use){.policy = opts->policy,
                                .quic = true,
                                .server = opts->server,
                                .pq_authentication = opts->pq_authentication};
    tls->newest_policy = opts->newest_policy;
    tls->keylog = opts->keylog;
    tls->keylog_user = opts->keylog_user;
    if (opts->memory != NULL) {
        tls->memory = *opts->memory;
    }
    tls->refusals = opts->refusals;
    tls->refusal_count = opts->refusal_count;
    pql_status status = copy_alpn(tls, opts, err);
    if (status == PQL_OK) {
        status = opts->server ? pqi_tls_server_setup(tls, opts, err) : setup_client(tls, opts, err);
    }
    if (status != PQL_OK) {
        pqi_quic_tls_free(tls);
        return status;
    }
    *out = tls;
    return PQL_OK;
}

void pqi_quic_tls_free(pqi_quic_tls *tls)
{
    if (tls == NULL) {
        return;
    }
    SSL_CTX_free(tls->client);
    pqi_tls_server_free(tls);
    pqi_trust_free(tls->trust);
    pqi_secret_wipe(tls->ticket_secret, sizeof(tls->ticket_secret));
    free(tls);
}

static bool is_address(const char *host)
{
    struct in6_addr buffer;
    return inet_pton(AF_INET, host, &buffer) == 1 || inet_pton(AF_INET6, host, &buffer) == 1;
}

static bool setup_client_session(const pqi_quic_tls *tls, SSL *ssl, const pqi_quic_tls_peer *peer)
{
    SSL_set_connect_state(ssl);
    offer_session(tls, ssl, peer);
    /* RFC 6066, 3: literal addresses are not permitted as server name. */
    if (!is_address(peer->host) && SSL_set_tlsext_host_name(ssl, peer->host) != 1) {
        return false;
    }
    return SSL_set_alpn_protos(ssl, tls->alpn, 1u + tls->alpn[0]) == 0;
}

SSL *pqi_quic_tls_session(const pqi_quic_tls *tls, pqi_quic_tls_peer *peer)
{
    SSL *ssl = tls->use.server ? pqi_tls_server_session(tls) : SSL_new(tls->client);
    if (ssl == NULL || SSL_set_ex_data(ssl, peer_index, peer) != 1) {
        SSL_free(ssl);
        return NULL;
    }
    /* An idle link needs no list of what might have been negotiated. */
    SSL_set_shed_handshake_config(ssl, 1);
    if (tls->use.server) {
        SSL_set_accept_state(ssl);
    } else if (!setup_client_session(tls, ssl, peer)) {
        SSL_free(ssl);
        return NULL;
    }
    return ssl;
}

pql_status pqi_quic_tls_settle(const pqi_quic_tls *tls, const SSL *ssl, pqi_quic_tls_peer *peer,
                               pql_error *err)
{
    const pqi_chain chain = {
        .count = 1, .known = true, .of_cert = peer->shown_cert, .of_spki = peer->shown_spki};
    pqi_error_clear(&peer->refusal); /* what the server expected to fail did not */
    if (tls->use.server) {
        pqi_tls_server_took(ssl, peer);
    }
    if (!peer->shown) {
        return PQL_OK; /* a client without a certificate, and who needs none */
    }
    const pql_status status =
        pqi_trust_settle(trust_of(tls, ssl), &chain, peer->host_port, key_exchange(tls, ssl), err);
    peer->settled = status == PQL_OK;
    peer->downgraded = status == PQL_E_POLICY;
    return status;
}

pql_status pqi_quic_tls_posture(const pqi_quic_tls *tls, const SSL *ssl,
                                const pqi_quic_tls_peer *peer, pql_posture *posture, pql_error *err)
{
    const SSL_CIPHER *cipher = SSL_get_current_cipher(ssl);
    posture->transport = PQL_TRANSPORT_QUIC;
    posture->tls_version = TLS1_3_VERSION;
    posture->group = SSL_get_group_id(ssl);
    posture->cipher = cipher == NULL ? 0 : SSL_CIPHER_get_protocol_id(cipher);
    posture->resumed = SSL_session_reused(ssl) == 1;
    posture->trust = peer->how;
    posture->peer_signature = SSL_get_peer_signature_algorithm(ssl);
    posture->kex_ns = peer->times.kex;
    posture->sign_ns = peer->own_scheme == 0 ? 0 : peer->times.sign;
    posture->verify_ns = posture->peer_signature == 0 ? 0 : peer->times.verify;
    posture->own_signature =
        tls->use.server && posture->resumed ? peer->resumed_scheme : peer->own_scheme;
    posture->peer_groups = peer->groups;
    posture->peer_signatures = peer->signatures;
    const pqi_policy_use *began = began_with(tls, ssl);
    pql_status status = pqi_policy_judge(began, posture, err);
    if (status == PQL_OK) {
        const pqi_policy_use newest = pqi_tls_newest_use(tls, began);
        status = pqi_policy_keeps(&newest, posture, err);
    }
    if (tls->use.server && peer->compat && posture->downgrade == PQL_DOWNGRADE_PEER_CLASSICAL) {
        posture->downgrade = PQL_DOWNGRADE_COMPAT;
    }
    return status;
}

pql_status pqi_quic_tls_keeps(const pqi_quic_tls *tls, const pql_posture *posture, pql_error *err)
{
    const pqi_policy_use newest = pqi_tls_newest_use(tls, &tls->use);
    return pqi_policy_keeps(&newest, posture, err);
}

static pql_signature_failure failure_of(int library, int reason)
{
    if (library == ERR_LIB_ASN1 || library == ERR_LIB_X509) {
        return PQL_SIGNATURE_MALFORMED;
    }
    switch (library == ERR_LIB_SSL ? reason : 0) {
    case SSL_R_BAD_SIGNATURE:
        return PQL_SIGNATURE_WRONG;
    case SSL_R_WRONG_SIGNATURE_TYPE:
    case SSL_R_NO_COMMON_SIGNATURE_ALGORITHMS:
        return PQL_SIGNATURE_NOT_ALLOWED;
    case SSL_R_CANNOT_PARSE_LEAF_CERT:
    case SSL_R_BAD_ECC_CERT:
    case SSL_R_UNKNOWN_CERTIFICATE_TYPE:
        return PQL_SIGNATURE_MALFORMED;
    case SSL_R_PRIVATE_KEY_OPERATION_FAILED:
        return PQL_SIGNATURE_NOT_MADE;
    default:
        return PQL_SIGNATURE_FINE;
    }
}

pql_signature_failure pqi_quic_tls_signature_failure(const pqi_quic_tls_peer *peer)
{
    /* What the check of trust refuses was parsed before, and a chain that a CA file does not vouch
     * for leaves errors of X.509 behind. */
    const bool refused = peer->refusal.code == PQL_E_TRUST;
    pql_signature_failure found = PQL_SIGNATURE_FINE;
    uint32_t code = 0;
    while ((code = ERR_get_error()) != 0) {
        if (found == PQL_SIGNATURE_FINE && !refused) {
            found = failure_of(ERR_GET_LIB(code), ERR_GET_REASON(code));
        }
    }
    return found;
}

void pqi_quic_tls_explain_alert(const pqi_quic_tls *tls, const SSL *ssl, unsigned alert, bool open,
                                char *out, size_t size)
{
    pqi_policy_explain_alert(out, size, began_with(tls, ssl), alert, open);
}
