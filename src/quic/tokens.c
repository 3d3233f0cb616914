/* Address validation (RFC 9000, 8.1): what the token of an Initial proves, and the tokens that
 * peers get for their next connection. */
#include "base/clock.h"
#include "quic/internal.h"

#include <stdlib.h>
#include <string.h>

/* A Retry is answered within a round trip. */
#define RETRY_TOKEN_LIFE (10 * PQI_NS_PER_SEC)
/* A miner that was away for a night is still validated at once. */
#define ADDRESS_TOKEN_LIFE (24 * 3600 * PQI_NS_PER_SEC)
/* Tokens that are remembered as used, per endpoint; one more makes an older one usable again. */
#define USED_TOKENS 4096

/* What the server's own random bytes at the end of a token name it by.  They cannot be chosen by
 * others: the token would not verify. */
static uint64_t name_of(const uint8_t *token, size_t len)
{
    uint64_t name = 0;
    memcpy(&name, token + len - sizeof(name), sizeof(name));
    return name;
}

/* True once for each token: "servers MUST ensure that replay of tokens is prevented or limited"
 * (RFC 9000, 8.1.4), because with a token the three times limit ends.  Without memory no token
 * proves anything. */
static bool use_once(pqi_quic_endpoint *endpoint, uint64_t name)
{
    if (endpoint->used_tokens == NULL) {
        endpoint->used_tokens = calloc(USED_TOKENS, sizeof(uint64_t));
        if (endpoint->used_tokens == NULL) {
            return false;
        }
    }
    uint64_t *slot = &endpoint->used_tokens[name % USED_TOKENS];
    if (*slot == name) {
        return false;
    }
    *slot = name;
    return true;
}

bool pqi_token_judge(pqi_quic_endpoint *endpoint, const pqi_datagrams *one, const ngtcp2_pkt_hd *hd,
                     uint64_t wall, ngtcp2_token_type *type, ngtcp2_cid *original)
{
    const uint8_t *secret = endpoint->opts.secret;
    const ngtcp2_sockaddr *remote = (const ngtcp2_sockaddr *)&one->remote.sa.any;
    *type = NGTCP2_TOKEN_TYPE_UNKNOWN;
    if (hd->tokenlen == 0) {
        return true;
    }
    if (hd->token[0] == NGTCP2_CRYPTO_TOKEN_MAGIC_RETRY2) {
        const int rv = ngtcp2_crypto_verify_retry_token2(
            original, hd->token, hd->tokenlen, secret, sizeof(endpoint->opts.secret), hd->version,
            remote, one->remote.len, &hd->dcid, RETRY_TOKEN_LIFE, wall);
        if (rv == 0) {
            *type = NGTCP2_TOKEN_TYPE_RETRY;
        }
        return rv != NGTCP2_CRYPTO_ERR_VERIFY_TOKEN;
    }
    if (hd->token[0] == NGTCP2_CRYPTO_TOKEN_MAGIC_REGULAR &&
        ngtcp2_crypto_verify_regular_token(hd->token, hd->tokenlen, secret,
                                           sizeof(endpoint->opts.secret), remote, one->remote.len,
                                           ADDRESS_TOKEN_LIFE, wall) == 0 &&
        use_once(endpoint, name_of(hd->token, hd->tokenlen))) {
        *type = NGTCP2_TOKEN_TYPE_NEW_TOKEN;
    }
    return true;
}

void pqi_token_send_retry(pqi_quic_endpoint *endpoint, const pqi_datagrams *one,
                          const ngtcp2_pkt_hd *hd, uint64_t wall)
{
    uint8_t packet[PQI_ANSWER_SIZE];
    uint8_t token[NGTCP2_CRYPTO_MAX_RETRY_TOKENLEN2];
    uint8_t random[PQI_CID_LEN];
    ngtcp2_cid scid;
    pqi_endpoint_random(endpoint, random, sizeof(random));
    pqi_cid_make(&scid, random, endpoint->opts.worker, endpoint->opts.workers);
    if (ngtcp2_cid_eq(&scid, &hd->dcid)) {
        /* RFC 9000, 17.2.5.1: "MUST NOT be equal"; ngtcp2 ends the program over it.  The client
         * comes again and gets another one. */
        return;
    }
    const ngtcp2_ssize token_len = ngtcp2_crypto_generate_retry_token2(
        token, endpoint->opts.secret, sizeof(endpoint->opts.secret), hd->version,
        (const ngtcp2_sockaddr *)&one->remote.sa.any, one->remote.len, &scid, &hd->dcid, wall);
    if (token_len < 0) {
        return;
    }
    endpoint->counters.retries++;
    pqi_endpoint_answer(endpoint, one, packet,
                        ngtcp2_crypto_write_retry(packet, sizeof(packet), hd->version, &hd->scid,
                                                  &scid, &hd->dcid, token, (size_t)token_len));
}

void pqi_token_issue(pqi_quic_conn *conn, const pqi_address *remote)
{
    pqi_quic_endpoint *endpoint = conn->endpoint;
    uint8_t token[NGTCP2_CRYPTO_MAX_REGULAR_TOKENLEN];
    const ngtcp2_ssize len = ngtcp2_crypto_generate_regular_token(
        token, endpoint->opts.secret, sizeof(endpoint->opts.secret),
        (const ngtcp2_sockaddr *)&remote->sa.any, remote->len,
        ngtcp2_conn_get_timestamp(conn->ngtcp2) + endpoint->opts.wall_offset);
    if (len > 0) {
        /* Without it the peer's next handshake is as its first one was. */
        (void)ngtcp2_conn_submit_new_token(conn->ngtcp2, token, (size_t)len);
    }
}
