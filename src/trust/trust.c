#include "trust/trust.h"

#include "base/error.h"
#include "base/secret.h"
#include "identity/identity.h"
#include "trust/authority.h"

#include <openssl/sha.h>
#include <openssl/ssl.h>

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHAIN_MAX 8
/* Longest name of a peer that a sentence repeats, with the NUL. */
#define SHOWN_SIZE 101

struct pqi_trust {
    atomic_uint refs;
    bool of_clients;
    pql_trust how;
    pql_fingerprint first_pin; /* as given; shown when none matches */
    pql_fingerprint *pins;     /* sorted; owned */
    size_t pin_count;
    pql_tofu tofu;
    pql_hybrid_memory memory; /* of pinned peers; its functions are NULL when there is none */
    X509_STORE *roots;        /* owned */
};

/* ---- making ---- */

static pql_status check_one_way(const pql_peer *peer, size_t most_pins, pql_error *err)
{
    const unsigned ways = (peer->pin_count > 0 ? 1U : 0U) + (peer->ca_file != NULL ? 1U : 0U) +
                          (peer->tofu != NULL ? 1U : 0U) + (peer->insecure ? 1U : 0U);
    if (ways == 0) {
        return pqi_fail(err, PQL_E_USAGE,
                        "Nothing says who the peer has to be. Give its fingerprint (a pin), a CA "
                        "file, trust on first use, or, to check nobody, insecure.");
    }
    if (ways > 1) {
        return pqi_fail(err, PQL_E_USAGE,
                        "More than one of pin, CA file, trust on first use and insecure was given. "
                        "Choose one.");
    }
    if (peer->pin_count > most_pins || (peer->pin_count > 0 && peer->pins == NULL)) {
        return pqi_fail(err, PQL_E_USAGE, "%zu pins were given; from 1 to %zu are possible.",
                        peer->pin_count, most_pins);
    }
    if (peer->tofu != NULL && (peer->tofu->get == NULL || peer->tofu->put == NULL)) {
        return pqi_fail(err, PQL_E_USAGE, "Trust on first use needs a memory to read and write.");
    }
    return PQL_OK;
}

/* Fingerprints are public, so they need no comparison in constant time. */
static int compare_pins(const void *a, const void *b)
{
    const pql_fingerprint *left = a;
    const pql_fingerprint *right = b;
    if (left->form != right->form) {
        return left->form < right->form ? -1 : 1;
    }
    return memcmp(left->sha256, right->sha256, PQL_SHA256_SIZE);
}

static pql_status copy_pins(pqi_trust *trust, const pql_peer *peer, pql_error *err)
{
    trust->pins = calloc(peer->pin_count, sizeof(trust->pins[0]));
    if (trust->pins == NULL) {
        return pqi_fail(err, PQL_E_NOMEM, "Out of memory setting up trust.");
    }
    trust->how = PQL_TRUST_PIN;
    trust->pin_count = peer->pin_count;
    trust->first_pin = peer->pins[0];
    memcpy(trust->pins, peer->pins, peer->pin_count * sizeof(trust->pins[0]));
    qsort(trust->pins, trust->pin_count, sizeof(trust->pins[0]), compare_pins);
    return PQL_OK;
}

static pql_status fill(pqi_trust *trust, const pql_peer *peer, pql_error *err)
{
    if (peer->pin_count > 0) {
        return copy_pins(trust, peer, err);
    }
    if (peer->tofu != NULL) {
        trust->how = PQL_TRUST_TOFU;
        trust->tofu = *peer->tofu;
        return PQL_OK;
    }
    if (peer->ca_file != NULL) {
        trust->how = PQL_TRUST_CA;
        return pqi_authority_load(&trust->roots, peer->ca_file, err);
    }
    trust->how = PQL_TRUST_INSECURE;
    return PQL_OK;
}

static pql_status make(pqi_trust **out, const pql_peer *peer, bool of_clients, pql_error *err)
{
    pqi_trust *trust = calloc(1, sizeof(*trust));
    if (trust == NULL) {
        return pqi_fail(err, PQL_E_NOMEM, "Out of memory setting up trust.");
    }
    atomic_store(&trust->refs, 1);
    trust->of_clients = of_clients;
    const pql_status status = fill(trust, peer, err);
    if (status != PQL_OK) {
        pqi_trust_free(trust);
        return status;
    }
    *out = trust;
    return PQL_OK;
}

pql_status pqi_trust_new(pqi_trust **out, const pql_peer *peer, pql_error *err)
{
    *out = NULL;
    const pql_status status = check_one_way(peer, PQL_PEER_PINS_MAX, err);
    return status == PQL_OK ? make(out, peer, false, err) : status;
}

pql_status pqi_trust_new_clients(pqi_trust **out, const pql_peer *clients, pql_error *err)
{
    *out = NULL;
    const pql_status status = check_one_way(clients, PQL_CLIENT_PINS_MAX, err);
    if (status == PQL_OK && clients->tofu != NULL) {
        return pqi_fail(err, PQL_E_USAGE,
                        "Clients cannot be trusted on first use, because anybody may be first. "
                        "Give their fingerprints or a CA file.");
    }
    return status == PQL_OK ? make(out, clients, true, err) : status;
}

void pqi_trust_use_memory(pqi_trust *trust, const pql_hybrid_memory *memory)
{
    if (memory != NULL) {
        trust->memory = *memory;
    }
}

pqi_trust *pqi_trust_ref(pqi_trust *trust)
{
    if (trust != NULL) {
        (void)atomic_fetch_add(&trust->refs, 1);
    }
    return trust;
}

void pqi_trust_free(pqi_trust *trust)
{
    if (trust != NULL && atomic_fetch_sub(&trust->refs, 1) == 1) {
        X509_STORE_free(trust->roots);
        free(trust->pins);
        free(trust);
    }
}

/* ---- deciding ---- */

/* A peer's name in sentences. */
typedef struct shown_name {
    char text[SHOWN_SIZE];
} shown_name;

/* The memory's key has an IPv6 address without brackets; people read "[::1]:9833" (RFC 3986,
 * 3.2.2). */
static shown_name show(const char *host_port)
{
    shown_name name;
    const char *port = strrchr(host_port, ':');
    if (host_port[0] == '\0') {
        /* A client is known by what it shows only. */
        (void)snprintf(name.text, sizeof(name.text), "The client");
    } else if (port != NULL && strchr(host_port, ':') != port) {
        (void)snprintf(name.text, sizeof(name.text), "[%.*s]%s", (int)(port - host_port), host_port,
                       port);
    } else {
        (void)snprintf(name.text, sizeof(name.text), "%s", host_port);
    }
    return name;
}

bool pqi_chain_know(pqi_chain *chain)
{
    chain->known =
        chain->count > 0 && chain->count <= CHAIN_MAX &&
        pqi_fingerprints_of_der(chain->der[0], chain->len[0], &chain->of_cert, &chain->of_spki);
    return chain->known;
}

static bool fingerprints_of_leaf(const pqi_chain *chain, pql_fingerprint *of_cert,
                                 pql_fingerprint *of_spki)
{
    pqi_chain copy;
    if (!chain->known) {
        copy = *chain;
        if (!pqi_chain_know(&copy)) {
            return false;
        }
        chain = &copy;
    }
    *of_cert = chain->of_cert;
    *of_spki = chain->of_spki;
    return true;
}

static bool pinned(const pqi_trust *trust, const pql_fingerprint *came)
{
    return bsearch(came, trust->pins, trust->pin_count, sizeof(trust->pins[0]), compare_pins) !=
           NULL;
}

static pql_status check_pins(const pqi_trust *trust, const char *host_port,
                             const pql_fingerprint *of_cert, const pql_fingerprint *of_spki,
                             pql_error *err)
{
    char came[PQL_FINGERPRINT_SIZE];
    char expected[PQL_FINGERPRINT_SIZE];
    if (pinned(trust, of_cert) || pinned(trust, of_spki)) {
        return PQL_OK;
    }
    const bool spki = trust->first_pin.form == PQL_FINGERPRINT_SPKI;
    pql_fingerprint_format(spki ? of_spki : of_cert, came);
    pql_fingerprint_format(&trust->first_pin, expected);
    if (trust->of_clients) {
        return pqi_fail(err, PQL_E_TRUST,
                        "The client is none of those that may connect. It showed %s. If it should "
                        "be one, add this fingerprint to the list of clients.",
                        came);
    }
    return pqi_fail(err, PQL_E_TRUST,
                    "%s is not the peer that was pinned. It showed %s; expected was %s%s. If "
                    "its owner confirms a new certificate, change the pin; else somebody is in "
                    "between.",
                    show(host_port).text, came, expected,
                    trust->pin_count > 1 ? " or another pin" : "");
}

static pql_status fail_changed(const char *host_port, const pql_fingerprint *of_cert,
                               const pql_known_peer *known, pql_error *err)
{
    char came[PQL_FINGERPRINT_SIZE];
    char expected[PQL_FINGERPRINT_SIZE];
    pql_fingerprint before = {.form = PQL_FINGERPRINT_CERT};
    memcpy(before.sha256, known->cert_sha256, PQL_SHA256_SIZE);
    pql_fingerprint_format(of_cert, came);
    pql_fingerprint_format(&before, expected);
    return pqi_fail(err, PQL_E_TRUST,
                    "THE CERTIFICATE OF %s HAS CHANGED. It showed %s; at first contact it was "
                    "%s. If its owner confirms the change, forget the peer and connect again; else "
                    "somebody is in between.",
                    show(host_port).text, came, expected);
}

static pql_status fail_memory(const char *host_port, const char *what,
                              const pql_fingerprint *of_cert, pql_error *err)
{
    char came[PQL_FINGERPRINT_SIZE];
    pql_fingerprint_format(of_cert, came);
    return pqi_fail(
        err, PQL_E_TRUST,
        "The memory of known peers could not be %s for %s, which showed %s. Repair "
        "it (disk full? rights?), or pin this fingerprint after its owner confirmed it.",
        what, show(host_port).text, came);
}

/* |remembered|: what there is to forget. */
static pql_status fail_downgraded(const char *host_port, const pql_fingerprint *remembered,
                                  pql_error *err)
{
    char came[PQL_FINGERPRINT_SIZE];
    pql_fingerprint_format(remembered, came);
    return pqi_fail(err, PQL_E_POLICY,
                    "%s (%s) once had a post-quantum key exchange and has none now, which may be "
                    "an attack. If its owner confirms that it was downgraded on purpose, forget "
                    "it ('pqlink forget') and connect again.",
                    show(host_port).text, came);
}

/* Asks the memory.  *stranger: first contact. */
static pql_status recall(const pqi_trust *trust, const char *host_port,
                         const pql_fingerprint *of_cert, pqi_key_exchange kex,
                         pql_known_peer *known, bool *stranger, pql_error *err)
{
    memset(known, 0, sizeof(*known));
    const pql_status status = trust->tofu.get(trust->tofu.user, host_port, known);
    *stranger = status == PQL_E_NOT_FOUND;
    if (*stranger) {
        return PQL_OK;
    }
    if (status != PQL_OK) {
        return fail_memory(host_port, "read", of_cert, err);
    }
    if (!pqi_secret_equal(known->cert_sha256, of_cert->sha256, PQL_SHA256_SIZE)) {
        return fail_changed(host_port, of_cert, known, err);
    }
    return known->was_hybrid && kex == PQI_KEX_CLASSICAL ? fail_downgraded(host_port, of_cert, err)
                                                         : PQL_OK;
}

/* A pinned peer without ML-KEM: had it that once?  Asked for both, because the form of its pin may
 * have changed since. */
static pql_status check_memory(const pqi_trust *trust, const char *host_port,
                               const pql_fingerprint *of_cert, const pql_fingerprint *of_spki,
                               pqi_key_exchange kex, pql_error *err)
{
    const pql_fingerprint *const forms[] = {of_cert, of_spki};
    if (kex != PQI_KEX_CLASSICAL || trust->memory.has == NULL) {
        return PQL_OK;
    }
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        const pql_status status = trust->memory.has(trust->memory.user, forms[i]->sha256);
        if (status != PQL_E_NOT_FOUND) {
            return status == PQL_OK ? fail_downgraded(host_port, forms[i], err)
                                    : fail_memory(host_port, "read", of_cert, err);
        }
    }
    return PQL_OK;
}

/* Nobody is checked, but what is no certificate at all was never meant to be one. */
static pql_status decide(const pqi_trust *trust, const pqi_chain *chain,
                         const pql_fingerprint *of_cert, const pql_fingerprint *of_spki,
                         const char *host, const char *host_port, int64_t now_unix,
                         pqi_key_exchange kex, pql_error *err)
{
    pql_known_peer known;
    bool stranger;
    pql_status status;
    switch (trust->how) {
    case PQL_TRUST_PIN:
        status = check_pins(trust, host_port, of_cert, of_spki, err);
        /* Of a client only once it has proven its key: anybody can show the certificate that it
         * shows, and must not be able to raise the alarm in its name. */
        return status == PQL_OK && !trust->of_clients
                   ? check_memory(trust, host_port, of_cert, of_spki, kex, err)
                   : status;
    case PQL_TRUST_TOFU:
        return recall(trust, host_port, of_cert, kex, &known, &stranger, err);
    case PQL_TRUST_CA:
        status = pqi_authority_check(trust->roots, chain, trust->of_clients ? NULL : host, now_unix,
                                     err);
        if (status == PQL_E_TRUST) {
            char came[PQL_FINGERPRINT_SIZE];
            pql_fingerprint_format(of_cert, came);
            (void)pqi_fail_context(err, status,
                                   "%s showed %s, which the CA file does not vouch for (renew "
                                   "its certificate, name the right CA file, or pin it)",
                                   show(host_port).text, came);
        }
        return status;
    case PQL_TRUST_INSECURE:
        return PQL_OK;
    case PQL_TRUST_NONE:
        break;
    }
    return pqi_fail(err, PQL_E_TRUST, "No way of trust was set up.");
}

pql_status pqi_trust_check(const pqi_trust *trust, const pqi_chain *chain, const char *host,
                           const char *host_port, int64_t now_unix, pqi_key_exchange kex,
                           pql_trust *how, pql_error *err)
{
    pql_fingerprint of_cert;
    pql_fingerprint of_spki;
    *how = PQL_TRUST_NONE;
    if (chain->count > CHAIN_MAX) {
        return pqi_fail(err, PQL_E_TRUST,
                        "%s showed %zu certificates, and %d are the most that is taken: give it a "
                        "chain without those that are not needed.",
                        show(host_port).text, chain->count, CHAIN_MAX);
    }
    if (!fingerprints_of_leaf(chain, &of_cert, &of_spki)) {
        return pqi_fail(err, PQL_E_TRUST, "%s showed no X.509 certificate.", show(host_port).text);
    }
    const pql_status status =
        decide(trust, chain, &of_cert, &of_spki, host, host_port, now_unix, kex, err);
    if (status == PQL_OK) {
        *how = trust->how;
    }
    return status;
}

static pql_status settle_first_use(const pqi_trust *trust, const char *host_port,
                                   const pql_fingerprint *of_cert, pqi_key_exchange kex,
                                   pql_error *err)
{
    pql_known_peer known;
    bool stranger;
    const bool hybrid = kex == PQI_KEX_HYBRID;
    /* Asked again: two first contacts at once may have met two peers. */
    const pql_status status = recall(trust, host_port, of_cert, kex, &known, &stranger, err);
    if (status != PQL_OK) {
        return status;
    }
    if (!stranger && (known.was_hybrid || !hybrid)) {
        return PQL_OK;
    }
    memcpy(known.cert_sha256, of_cert->sha256, PQL_SHA256_SIZE);
    known.was_hybrid = hybrid;
    if (trust->tofu.put(trust->tofu.user, host_port, &known) != PQL_OK) {
        return fail_memory(host_port, "written", of_cert, err);
    }
    return PQL_OK;
}

pql_status pqi_trust_settle(const pqi_trust *trust, const pqi_chain *chain, const char *host_port,
                            pqi_key_exchange kex, pql_error *err)
{
    pql_fingerprint of_cert;
    pql_fingerprint of_spki;
    const bool remembers = trust->how == PQL_TRUST_PIN && trust->memory.has != NULL;
    if (trust->how != PQL_TRUST_TOFU && !remembers) {
        return PQL_OK;
    }
    if (!fingerprints_of_leaf(chain, &of_cert, &of_spki)) {
        return pqi_fail(err, PQL_E_TRUST, "%s showed no X.509 certificate.", show(host_port).text);
    }
    if (trust->how == PQL_TRUST_TOFU) {
        return settle_first_use(trust, host_port, &of_cert, kex, err);
    }
    if (kex == PQI_KEX_HYBRID) {
        /* What the pin says: the holder of a pinned key can make any number of certificates. */
        const bool by_cert = pinned(trust, &of_cert);
        trust->memory.add(trust->memory.user, by_cert ? of_cert.sha256 : of_spki.sha256);
        return PQL_OK;
    }
    return trust->of_clients ? check_memory(trust, host_port, &of_cert, &of_spki, kex, err)
                             : PQL_OK;
}

void pqi_trust_digest(const pqi_trust *trust, uint8_t out[PQL_SHA256_SIZE])
{
    SHA256_CTX sha;
    const uint8_t how = (uint8_t)trust->how;
    (void)SHA256_Init(&sha);
    (void)SHA256_Update(&sha, &how, sizeof(how));
    for (size_t i = 0; i < trust->pin_count; i++) {
        const uint8_t form = (uint8_t)trust->pins[i].form;
        (void)SHA256_Update(&sha, &form, sizeof(form));
        (void)SHA256_Update(&sha, trust->pins[i].sha256, PQL_SHA256_SIZE);
    }
    (void)SHA256_Final(out, &sha);
}

bool pqi_trust_remembers(const pqi_trust *trust, const char *host_port, pql_fingerprint *out)
{
    pql_known_peer known = {0};
    memset(out, 0, sizeof(*out));
    if (trust->tofu.get == NULL || trust->tofu.get(trust->tofu.user, host_port, &known) != PQL_OK) {
        return false;
    }
    out->form = PQL_FINGERPRINT_CERT;
    memcpy(out->sha256, known.cert_sha256, sizeof(out->sha256));
    return true;
}

uint8_t pqi_trust_alert(pql_status refusal)
{
    switch (refusal) {
    case PQL_E_POLICY:
        return SSL_AD_INSUFFICIENT_SECURITY;
    case PQL_E_TRUST:
        return SSL_AD_UNKNOWN_CA;
    default:
        return SSL_AD_BAD_CERTIFICATE;
    }
}
