/* Datagrams of strangers: what a server answers to bytes that belong to no connection.
 *
 * Each answer is smaller than what came, needs no memory that outlives it, and the only state that
 * a stranger can make is one handshake below the limits of the endpoint. */
#include "base/clock.h"
#include "quic/internal.h"

#include <string.h>

/* RFC 9000, 10.3: a reset is 21 bytes at least, 16 of them the token; 10.3.3: it is shorter than
 * what it answers, so that two endpoints never answer each other for ever. */
#define RESET_MIN 21
#define RESET_RANDOM_MAX 22
/* Resets per second at most; more would make us a reflector for nothing. */
#define RESETS_PER_SECOND 100.0
/* RFC 9000, 14.1: an Initial comes in a datagram of 1200 bytes at least. */
#define INITIAL_DATAGRAM_MIN 1200
/* RFC 8999, 5 and 6: form bits, version, two connection IDs of up to 255 bytes behind their
 * lengths (other versions may have longer ones than ours), and the one version that we speak. */
#define NEGOTIATION_SIZE (1 + 4 + 2 * (1 + 255) + 4)
/* RFC 8999, 5: the header form bit. */
#define LONG_HEADER 0x80

void pqi_endpoint_answer(pqi_quic_endpoint *endpoint, const pqi_datagrams *one, const uint8_t *data,
                         ngtcp2_ssize len)
{
    if (len <= 0) {
        return;
    }
    const pqi_datagrams run = {.local = one->local,
                               .remote = one->remote,
                               .data = data,
                               .len = (size_t)len,
                               .segment = (size_t)len};
    pqi_endpoint_send(endpoint, &run);
}

static void negotiate_version(pqi_quic_endpoint *endpoint, const pqi_datagrams *one,
                              const ngtcp2_version_cid *vc)
{
    const uint32_t versions[] = {NGTCP2_PROTO_VER_V1};
    uint8_t packet[NEGOTIATION_SIZE];
    uint8_t random = 0;
    if (one->len < INITIAL_DATAGRAM_MIN) {
        return;
    }
    pqi_endpoint_random(endpoint, &random, sizeof(random));
    endpoint->counters.version_negotiations++;
    pqi_endpoint_answer(endpoint, one, packet,
                        ngtcp2_pkt_write_version_negotiation(packet, sizeof(packet), random,
                                                             vc->scid, vc->scidlen, vc->dcid,
                                                             vc->dcidlen, versions, 1));
}

static bool reset_allowed(pqi_quic_endpoint *endpoint, uint64_t now)
{
    const double seconds = (double)(now - endpoint->reset_at) / (double)PQI_NS_PER_SEC;
    endpoint->reset_at = now;
    endpoint->reset_credit += seconds * RESETS_PER_SECOND;
    if (endpoint->reset_credit > RESETS_PER_SECOND) {
        endpoint->reset_credit = RESETS_PER_SECOND;
    }
    if (endpoint->reset_credit < 1.0) {
        return false;
    }
    endpoint->reset_credit -= 1.0;
    return true;
}

/* A peer that still believes in a link from before a restart learns that it is gone. */
static void reset(pqi_quic_endpoint *endpoint, const pqi_datagrams *one,
                  const ngtcp2_version_cid *vc, uint64_t now)
{
    uint8_t packet[PQI_ANSWER_SIZE];
    uint8_t random[RESET_RANDOM_MAX];
    ngtcp2_stateless_reset_token token;
    ngtcp2_cid cid;
    if (one->len <= RESET_MIN || vc->dcidlen != PQI_CID_LEN || !reset_allowed(endpoint, now)) {
        return;
    }
    size_t random_len = one->len - 1 - sizeof(token); /* one byte shorter than what came */
    if (random_len > sizeof(random)) {
        random_len = sizeof(random);
    }
    ngtcp2_cid_init(&cid, vc->dcid, vc->dcidlen);
    if (ngtcp2_crypto_generate_stateless_reset_token(token.data, endpoint->opts.secret,
                                                     sizeof(endpoint->opts.secret), &cid) != 0) {
        return;
    }
    pqi_endpoint_random(endpoint, random, sizeof(random));
    endpoint->counters.resets++;
    pqi_endpoint_answer(
        endpoint, one, packet,
        ngtcp2_pkt_write_stateless_reset2(packet, sizeof(packet), &token, random, random_len));
}

static void refuse(pqi_quic_endpoint *endpoint, const pqi_datagrams *one, const ngtcp2_pkt_hd *hd,
                   uint64_t code, const char *reason)
{
    uint8_t packet[PQI_ANSWER_SIZE];
    endpoint->counters.refused++;
    endpoint->opts.io.rejected(endpoint->opts.io.user, reason);
    pqi_endpoint_answer(endpoint, one, packet,
                        ngtcp2_crypto_write_connection_close(packet, sizeof(packet), hd->version,
                                                             &hd->scid, &hd->dcid, code, NULL, 0));
}

/* Why a new handshake of |remote| is not taken now; NULL when it is. */
static const char *refusal(const pqi_quic_endpoint *endpoint, const pqi_address *remote)
{
    const pqi_quic_endpoint_opts *opts = &endpoint->opts;
    if (endpoint->draining) {
        return "draining";
    }
    if (endpoint->live >= endpoint->opts.max_links) {
        return "links";
    }
    if (endpoint->unauthenticated >= endpoint->opts.max_unauthenticated) {
        return "handshakes";
    }
    if (opts->max_links_per_address > 0 &&
        pqi_sources_count(opts->link_sources, remote) >= opts->max_links_per_address) {
        return "address";
    }
    return NULL;
}

/* True when an address that has not proven to be the sender's has to do so first. */
static bool must_prove(pqi_quic_endpoint *endpoint, const pqi_address *remote, uint64_t now)
{
    return endpoint->unauthenticated >= endpoint->opts.retry_threshold ||
           pqi_starts_must_prove(endpoint, remote, now);
}

/* True when a proven address has its share of the half-open handshakes. */
static bool has_its_share(const pqi_quic_endpoint *endpoint, const pqi_address *remote)
{
    const size_t room = endpoint->opts.max_unauthenticated - endpoint->unauthenticated;
    return pqi_sources_count(endpoint->proven, remote) >=
           (room > PQI_QUIC_PROVEN_MIN ? room : PQI_QUIC_PROVEN_MIN);
}

static void accept_initial(pqi_quic_endpoint *endpoint, const pqi_datagrams *one, uint64_t now)
{
    ngtcp2_pkt_hd hd;
    ngtcp2_cid original = {0};
    ngtcp2_token_type token_type = NGTCP2_TOKEN_TYPE_UNKNOWN;
    if (one->len < INITIAL_DATAGRAM_MIN || ngtcp2_accept(&hd, one->data, one->len) != 0) {
        return;
    }
    if (hd.dcid.datalen < NGTCP2_MIN_INITIAL_DCIDLEN) {
        /* RFC 9000, 7.2: "MUST be at least 8 bytes in length".  ngtcp2 lets shorter ones through
         * when there is a token, for servers whose own IDs are shorter; ours are not. */
        return;
    }
    const char *why_not = refusal(endpoint, &one->remote);
    if (why_not != NULL) {
        refuse(endpoint, one, &hd, NGTCP2_CONNECTION_REFUSED, why_not);
        return;
    }
    /* Tokens live through restarts, so their clock is the wall's. */
    const uint64_t wall = now + endpoint->opts.wall_offset;
    if (!pqi_token_judge(endpoint, one, &hd, wall, &token_type, &original)) {
        refuse(endpoint, one, &hd, NGTCP2_INVALID_TOKEN, "token");
        return;
    }
    if (token_type == NGTCP2_TOKEN_TYPE_UNKNOWN) {
        hd.tokenlen = 0;
        if (must_prove(endpoint, &one->remote, now)) {
            pqi_token_send_retry(endpoint, one, &hd, wall);
            return;
        }
    } else if (has_its_share(endpoint, &one->remote)) {
        endpoint->opts.io.rejected(endpoint->opts.io.user, "address");
        return;
    }
    pqi_quic_conn *conn = pqi_conn_new_server(endpoint, one, &hd, &original, token_type, now);
    if (conn == NULL) {
        return;
    }
    switch (pqi_conn_receive_first(conn, one, now)) {
    case PQI_FIRST_TAKEN:
        endpoint->counters.accepted++;
        pqi_early_give(endpoint, conn, &hd.dcid, now);
        break;
    case PQI_FIRST_TOO_EARLY:
        pqi_early_keep(endpoint, one, &hd.dcid, now);
        break;
    case PQI_FIRST_NONSENSE:
        endpoint->opts.io.rejected(endpoint->opts.io.user, "initial");
        break;
    case PQI_FIRST_NO_OWNER:
        break;
    }
}

void pqi_endpoint_stranger(pqi_quic_endpoint *endpoint, const pqi_datagrams *one,
                           const ngtcp2_version_cid *vc, int decoded, uint64_t now)
{
    const unsigned owner = pqi_cid_worker_of_datagram(one->data, one->len, endpoint->opts.workers);
    if (owner != endpoint->opts.worker) {
        endpoint->opts.io.hand_over(endpoint->opts.io.user, owner, one);
        return;
    }
    if (decoded == NGTCP2_ERR_VERSION_NEGOTIATION) {
        negotiate_version(endpoint, one, vc);
    } else if ((one->data[0] & LONG_HEADER) == 0) {
        reset(endpoint, one, vc, now);
    } else if (vc->version == NGTCP2_PROTO_VER_V1) {
        accept_initial(endpoint, one, now);
    } else if (vc->version != 0) { /* 0: a Version Negotiation, which is for clients only */
        negotiate_version(endpoint, one, vc); /* ngtcp2 knows more versions than we offer */
    }
}
