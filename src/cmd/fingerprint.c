#include "cmd/fingerprint.h"

#include "base/error.h"
#include "crypto/validity.h"
#include "identity/identity.h"

#include <stdio.h>

/* Column at which fingerprints begin; the longest algorithm name is "ECDSA-P256". */
#define ALGORITHM_WIDTH 10

static const pql_leaf leaves[] = {PQL_LEAF_PQ, PQL_LEAF_CLASSICAL};
static const char *const leaf_members[] = {"pq", "classical"};

static void leaf_text(char out[PQL_FINGERPRINT_SIZE], const pql_identity *id, pql_leaf leaf,
                      pql_fingerprint_form form)
{
    pql_fingerprint fingerprint;
    pql_identity_fingerprint(id, leaf, form, &fingerprint);
    pql_fingerprint_format(&fingerprint, out);
}

static json_t *leaf_json(const pql_identity *id, pql_leaf leaf)
{
    char cert[PQL_FINGERPRINT_SIZE];
    char spki[PQL_FINGERPRINT_SIZE];
    leaf_text(cert, id, leaf, PQL_FINGERPRINT_CERT);
    leaf_text(spki, id, leaf, PQL_FINGERPRINT_SPKI);
    const uint64_t end = pqi_identity_not_after(id, leaf);
    return json_pack("{s:s, s:s, s:s, s:o}", "algorithm", pql_identity_algorithm(id, leaf),
                     "certificate", cert, "key", spki, "not_after",
                     end == PQI_VALID_FOR_EVER ? json_null() : json_integer((json_int_t)end));
}

json_t *pqi_fingerprint_json(const pql_identity *id)
{
    json_t *root = json_object();
    bool made = root != NULL;
    for (size_t i = 0; i < sizeof(leaves) / sizeof(leaves[0]); i++) {
        made = made && json_object_set_new(root, leaf_members[i], leaf_json(id, leaves[i])) == 0;
    }
    if (!made) {
        json_decref(root);
        return NULL;
    }
    return root;
}

pql_status pqi_fingerprint_print_json(json_t *root, pql_error *err)
{
    const bool made =
        root != NULL && json_dumpf(root, stdout, JSON_COMPACT) == 0 && putchar('\n') != EOF;
    json_decref(root);
    return made ? PQL_OK : pqi_fail(err, PQL_E_NOMEM, "The JSON object could not be written.");
}

void pqi_fingerprint_print_leaf(const char *prefix, const pql_identity *id, pql_leaf leaf)
{
    char text[PQL_FINGERPRINT_SIZE];
    for (int form = PQL_FINGERPRINT_CERT; form <= PQL_FINGERPRINT_SPKI; form++) {
        leaf_text(text, id, leaf, (pql_fingerprint_form)form);
        printf("%s%-*s %s\n", prefix, ALGORITHM_WIDTH, pql_identity_algorithm(id, leaf), text);
    }
}

pql_status pqi_fingerprint_print_identity(const pql_identity *id, bool json, pql_error *err)
{
    if (json) {
        return pqi_fingerprint_print_json(pqi_fingerprint_json(id), err);
    }
    for (size_t i = 0; i < sizeof(leaves) / sizeof(leaves[0]); i++) {
        pqi_fingerprint_print_leaf("", id, leaves[i]);
    }
    return PQL_OK;
}

pql_status pqi_fingerprint_print_remote(const pqi_remote *remote, const pqi_url *url, bool json,
                                        pql_error *err)
{
    const char *algorithm = pql_signature_name(remote->posture.peer_signature);
    char cert[PQL_FINGERPRINT_SIZE];
    char spki[PQL_FINGERPRINT_SIZE];
    pql_fingerprint_format(&remote->certificate, cert);
    pql_fingerprint_format(&remote->key, spki);
    if (!json) {
        printf("%-*s %s\n%-*s %s\n", ALGORITHM_WIDTH, algorithm, cert, ALGORITHM_WIDTH, algorithm,
               spki);
        return PQL_OK;
    }
    json_t *root = json_pack("{s:s, s:b, s:s, s:s, s:s, s:s}", "remote", url->text, "authenticated",
                             0, "algorithm", algorithm, "certificate", cert, "key", spki, "group",
                             pql_group_name(remote->posture.group));
    return pqi_fingerprint_print_json(root, err);
}
