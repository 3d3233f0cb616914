#include "identity/identity.h"

#include "base/clock.h"
#include "base/error.h"
#include "crypto/validity.h"
#include "identity/directory.h"
#include "identity/elsewhere.h"
#include "identity/import.h"
#include "identity/leaf.h"
#include "identity/rotation.h"

#include <openssl/err.h>
#include <openssl/x509.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MS_PER_SEC 1000

struct pql_identity {
    pqi_leaf leaves[2]; /* indexed by pql_leaf */
    bool created;
};

static const pql_identity_opts default_opts = {.sign = PQL_ML_DSA_87};

/* Fills two empty leaves with new keys. */
static pql_status make_leaves(pqi_leaf leaves[2], const pql_identity_opts *opts, pql_error *err)
{
    pql_status status = pqi_leaf_make(&leaves[PQL_LEAF_PQ], PQL_LEAF_PQ, opts, err);
    if (status == PQL_OK) {
        pqi_leaf *classical = &leaves[PQL_LEAF_CLASSICAL];
        status = opts->classical_from != NULL
                     ? pqi_leaf_import(classical, opts->classical_from, err)
                     : pqi_leaf_make(classical, PQL_LEAF_CLASSICAL, opts, err);
    }
    return status;
}

/* Reads the current identity of DIR, whatever rotation is under way there. */
static pql_status load_current(pql_identity *id, const char *dir, const pql_identity_opts *opts,
                               pql_error *err)
{
    int fd = -1;
    pql_status status = pqi_rotation_enter(dir, false, &fd, err);
    if (status == PQL_OK) {
        const pqi_identity_keys keys = {.passphrase_file = opts->passphrase_file};
        status = pqi_identity_load(dir, PQI_IDENTITY_CURRENT, &keys, id->leaves, err);
        (void)close(fd);
    }
    return status;
}

/* Makes an identity on disk; or, when another process was first, opens that one. */
static pql_status create(pql_identity *id, const char *dir, const pql_identity_opts *opts,
                         pql_error *err)
{
    pql_status status = make_leaves(id->leaves, opts, err);
    if (status == PQL_OK) {
        char since[PQI_IDENTITY_NOTE_MAX];
        pqi_rotation_since_format(pqi_clock_unix_ms() / MS_PER_SEC, since, sizeof(since));
        const pqi_identity_note note = {.file = PQI_IDENTITY_SINCE, .text = since};
        const pqi_identity_keys keys = {.passphrase_file = opts->passphrase_file};
        status = pqi_identity_store(dir, PQI_IDENTITY_CURRENT, &keys, id->leaves, &note, err);
    }
    if (status == PQL_OK) {
        id->created = true;
        return PQL_OK;
    }
    if (status != PQL_E_EXISTS || opts->must_create) {
        return status;
    }
    pqi_error_clear(err);
    pqi_leaf_clear(&id->leaves[PQL_LEAF_PQ]);
    pqi_leaf_clear(&id->leaves[PQL_LEAF_CLASSICAL]);
    return load_current(id, dir, opts, err);
}

static pql_status load_or_create(pql_identity *id, const char *dir, const pql_identity_opts *opts,
                                 pql_error *err)
{
    pqi_identity_sweep(dir);
    const pql_status status = load_current(id, dir, opts, err);
    if (status == PQL_OK && opts->must_create) {
        return pqi_fail(err, PQL_E_EXISTS,
                        "There is an identity in %s already. Move %s/identity away to make a new "
                        "one; peers that pinned the old one must then be told.",
                        dir, dir);
    }
    if (status != PQL_E_NOT_FOUND) {
        return status;
    }
    if (opts->must_exist) {
        return pqi_fail(err, PQL_E_IDENTITY,
                        "There is no identity in %s. Make one with 'pqlink keygen', or "
                        "restore %s/identity from a backup.",
                        dir, dir);
    }
    pqi_error_clear(err);
    return create(id, dir, opts, err);
}

pql_status pql_identity_open(pql_identity **out, const char *dir, const pql_identity_opts *opts,
                             pql_error *err)
{
    *out = NULL;
    if (opts == NULL) {
        opts = &default_opts;
    }
    if (dir == NULL || dir[0] == '\0' || (opts->must_exist && opts->must_create)) {
        return pqi_fail(err, PQL_E_USAGE,
                        "An identity needs a directory, and cannot have to exist and have to be "
                        "new at once.");
    }
    pql_identity *id = calloc(1, sizeof(*id));
    if (id == NULL) {
        return pqi_fail(err, PQL_E_NOMEM, "Out of memory opening an identity.");
    }
    const pql_status status = load_or_create(id, dir, opts, err);
    if (status != PQL_OK) {
        pql_identity_free(id);
        return status;
    }
    *out = id;
    return PQL_OK;
}

pql_status pql_identity_ephemeral(pql_identity **out, const pql_identity_opts *opts, pql_error *err)
{
    *out = NULL;
    pql_identity *id = calloc(1, sizeof(*id));
    if (id == NULL) {
        return pqi_fail(err, PQL_E_NOMEM, "Out of memory making an identity.");
    }
    const pql_status status = make_leaves(id->leaves, opts != NULL ? opts : &default_opts, err);
    if (status != PQL_OK) {
        pql_identity_free(id);
        return status;
    }
    id->created = true;
    *out = id;
    return PQL_OK;
}

pql_status pqi_identity_of_leaves(pql_identity **out, pqi_leaf leaves[2], pql_error *err)
{
    *out = calloc(1, sizeof(**out));
    if (*out == NULL) {
        pqi_leaf_clear(&leaves[PQL_LEAF_PQ]);
        pqi_leaf_clear(&leaves[PQL_LEAF_CLASSICAL]);
        return pqi_fail(err, PQL_E_NOMEM, "Out of memory opening an identity.");
    }
    memcpy((*out)->leaves, leaves, sizeof((*out)->leaves));
    return PQL_OK;
}

const pqi_leaf *pqi_identity_leaves(const pql_identity *id)
{
    return id->leaves;
}

void pql_identity_free(pql_identity *id)
{
    if (id != NULL) {
        pqi_leaf_clear(&id->leaves[PQL_LEAF_PQ]);
        pqi_leaf_clear(&id->leaves[PQL_LEAF_CLASSICAL]);
        free(id);
    }
}

void pql_identity_fingerprint(const pql_identity *id, pql_leaf leaf, pql_fingerprint_form form,
                              pql_fingerprint *out)
{
    const pqi_leaf *chosen = &id->leaves[leaf];
    *out = form == PQL_FINGERPRINT_SPKI ? chosen->of_spki : chosen->of_cert;
}

const char *pql_identity_algorithm(const pql_identity *id, pql_leaf leaf)
{
    return id->leaves[leaf].kind->algorithm;
}

bool pql_identity_created(const pql_identity *id)
{
    return id->created;
}

uint16_t pqi_identity_scheme(const pql_identity *id, pql_leaf leaf)
{
    return id->leaves[leaf].kind->scheme;
}

size_t pqi_identity_leaf_len(const pql_identity *id, pql_leaf leaf)
{
    return CRYPTO_BUFFER_len(id->leaves[leaf].cert);
}

bool pqi_identity_is_self_signed(const pql_identity *id, pql_leaf leaf)
{
    X509 *cert = X509_parse_from_buffer(id->leaves[leaf].cert);
    const bool same =
        cert != NULL && X509_NAME_cmp(X509_get_subject_name(cert), X509_get_issuer_name(cert)) == 0;
    X509_free(cert);
    return same;
}

uint64_t pqi_identity_not_after(const pql_identity *id, pql_leaf leaf)
{
    X509 *cert = X509_parse_from_buffer(id->leaves[leaf].cert);
    const uint64_t end = cert != NULL ? pqi_validity_end(cert) : 0;
    X509_free(cert);
    return end;
}

pql_status pqi_identity_use(const pql_identity *id, pql_leaf leaf, SSL_CTX *ssl_ctx, pql_error *err)
{
    const pqi_leaf *chosen = &id->leaves[leaf];
    CRYPTO_BUFFER *const chain[] = {chosen->cert};
    const uint16_t scheme = chosen->kind->scheme;
    const bool taken = chosen->key != NULL
                           ? SSL_CTX_set_chain_and_key(ssl_ctx, chain, 1, chosen->key, NULL) == 1
                           : pqi_keys_use_elsewhere(chosen, ssl_ctx);
    if (!taken || SSL_CTX_set_signing_algorithm_prefs(ssl_ctx, &scheme, 1) != 1) {
        ERR_clear_error();
        return pqi_fail(err, PQL_E_CRYPTO, "The TLS library refused the %s certificate or key.",
                        chosen->kind->algorithm);
    }
    return PQL_OK;
}
