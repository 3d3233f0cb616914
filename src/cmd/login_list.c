#include "cmd/login_list.h"

static pqi_miner_dialect dialect_of(const pqi_login_node *node)
{
    switch (node->url.scheme) {
    case PQI_SCHEME_QUANTUS:
        return PQI_MINER_V2;
    case PQI_SCHEME_QUANTUS_V1:
        return PQI_MINER_V1;
    case PQI_SCHEME_QUIC:
        break;
    }
    return PQI_MINER_PQ1;
}

pql_status pqi_login_list_add(pqi_login_list *list, const char *url, pql_error *err)
{
    if (list->count == PQI_FAILOVER_NODES_MAX) {
        return pqi_fail(err, PQL_E_USAGE, "There may be at most %d nodes.", PQI_FAILOVER_NODES_MAX);
    }
    pqi_login_node *node = &list->nodes[list->count];
    *node = (pqi_login_node){0};
    pql_status status = pqi_node_url_parse(&node->url, url, err);
    if (status == PQL_OK && node->url.fragment != NULL) {
        status = pqi_login_pins_parse(node->pins, &node->pin_count, node->url.fragment, err);
    }
    list->count += status == PQL_OK;
    return status;
}

static pql_status check_ways(const pqi_login_list *list, const pqi_login_words *words,
                             pql_error *err)
{
    const int ways = (list->pin_count > 0) + (list->pin_file != NULL) + (list->ca_file != NULL) +
                     (list->dir != NULL) + list->tofu + list->insecure;
    bool all_pinned = true;
    for (unsigned i = 0; i < list->count; i++) {
        all_pinned = all_pinned && list->nodes[i].pin_count > 0;
    }
    if (ways == 0 && !all_pinned) {
        return pqi_fail(err, PQL_E_USAGE, "Say how the node is recognised: %s.", words->trust);
    }
    if (ways > 1) {
        return pqi_fail(err, PQL_E_USAGE, "Only one way to recognise the node can be given: %s.",
                        words->trust);
    }
    return PQL_OK;
}

static pql_status check_dir(const pqi_login_list *list, const pqi_login_words *words,
                            pql_error *err)
{
    if (list->dir == NULL) {
        return PQL_OK;
    }
    if (list->token_file != NULL) {
        return pqi_fail(err, PQL_E_USAGE, "%s is in the directory of %s: give one of them.",
                        words->token_file, words->dir);
    }
    if (list->count != 1 || list->nodes[0].url.scheme != PQI_SCHEME_QUANTUS ||
        list->nodes[0].pin_count > 0) {
        return pqi_fail(err, PQL_E_USAGE,
                        "%s is the directory of one official node: it goes with one %s "
                        "quantus://HOST:PORT without a pin. For several nodes give %s FILE and a "
                        "pin in each URL (URL#PIN).",
                        words->dir, words->node, words->token_file);
    }
    return PQL_OK;
}

static pql_status check_node(const pqi_login_list *list, const pqi_login_node *node,
                             const pqi_login_words *words, pql_error *err)
{
    const bool pinned =
        node->pin_count > 0 || list->pin_count > 0 || list->pin_file != NULL || list->insecure;
    if (node->url.scheme == PQI_SCHEME_QUANTUS && list->token_file == NULL && list->dir == NULL) {
        return pqi_fail(err, PQL_E_USAGE,
                        "%.200s wants a token: give %s FILE with what stands in its "
                        "miner-auth-token.",
                        node->url.text, words->token_file);
    }
    if (node->url.scheme == PQI_SCHEME_QUANTUS_V1 && !pinned) {
        return pqi_fail(err, PQL_E_USAGE,
                        "%.200s authenticates nobody, and its certificate is another one after "
                        "each start: it is used with a pin or openly insecure only.",
                        node->url.text);
    }
    return PQL_OK;
}

pql_status pqi_login_list_check(const pqi_login_list *list, const pqi_login_words *words,
                                pql_error *err)
{
    pql_status status = check_ways(list, words, err);
    if (status == PQL_OK) {
        status = check_dir(list, words, err);
    }
    for (unsigned i = 0; i < list->count && status == PQL_OK; i++) {
        status = check_node(list, &list->nodes[i], words, err);
    }
    return status;
}

pql_status pqi_login_list_check_ml_dsa(const pqi_login_list *list, pql_error *err)
{
    for (unsigned i = 0; i < list->count; i++) {
        const pqi_node_url *url = &list->nodes[i].url;
        if (url->scheme != PQI_SCHEME_QUIC) {
            return pqi_fail(err, PQL_E_USAGE,
                            "--authentication ml-dsa and %.200s contradict each other: official "
                            "nodes have a classical certificate only.  Leave one of them out.",
                            url->text);
        }
    }
    return PQL_OK;
}

static pqi_login_opts login_of(const pqi_login_list *list, const pqi_login_node *node,
                               const pql_tofu *tofu)
{
    pqi_login_opts login = {.url = node->url.url.text,
                            .text = node->url.text,
                            .dialect = dialect_of(node),
                            .token_file = list->token_file,
                            .dir = list->dir};
    if (node->url.scheme == PQI_SCHEME_QUANTUS_V1) {
        login.token_file = NULL; /* it has no place for one */
    }
    if (node->pin_count > 0) {
        login.peer = (pql_peer){.pins = node->pins, .pin_count = node->pin_count};
        return login;
    }
    login.pin_file = list->pin_file;
    login.peer = (pql_peer){.pins = list->pin_count > 0 ? list->pins : NULL,
                            .pin_count = list->pin_count,
                            .ca_file = list->ca_file,
                            .tofu = list->tofu ? tofu : NULL,
                            .insecure = list->insecure};
    return login;
}

void pqi_login_list_fill(const pqi_login_list *list, const pql_tofu *tofu,
                         pqi_login_opts out[PQI_FAILOVER_NODES_MAX])
{
    for (unsigned i = 0; i < list->count; i++) {
        out[i] = login_of(list, &list->nodes[i], tofu);
    }
}
