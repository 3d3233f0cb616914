/* A real client and a real server through a network that the input drives.
 *
 * Input: one byte of options, then three bytes for each datagram in the order in which they leave:
 * what happens to it (drop, duplicate, delay, flip a bit, cut) and two bytes of argument.  After
 * the last record datagrams pass untouched.  The streams carry bytes whose value tells their place;
 * the simulator ends the program when one is wrong. */
#include "base/clock.h"
#include "base/cursor.h"
#include "sim/network.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SEND_STEP 3000

static pql_identity *identity;
static pql_fingerprint pin;
static pqi_quic_tls *client_tls, *server_tls;

static void require(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void make_once(void)
{
    const pql_peer peer = {.pins = &pin, .pin_count = 1};
    require(pql_identity_ephemeral(&identity, NULL, NULL) == PQL_OK);
    pql_identity_fingerprint(identity, PQL_LEAF_PQ, PQL_FINGERPRINT_CERT, &pin);
    const sim_opts opts = {.identity = identity, .peer = &peer};
    require(sim_tls(&opts, &client_tls, &server_tls));
}

static sim_fate next_fate(void *user, bool to_server, size_t len)
{
    pqi_reader *script = user;
    sim_fate fate = {0};
    (void)to_server;
    (void)len;
    if (pqi_reader_left(script) < 3) {
        return fate;
    }
    const uint8_t what = pqi_read_u8(script);
    const uint16_t argument = pqi_read_u16(script);
    fate.drop = (what & 1) != 0;
    fate.duplicate = (what & 2) != 0;
    fate.extra_delay = (what & 4) != 0 ? (argument & 0xff) * (4 * PQI_NS_PER_MS) : 0;
    fate.flip = (what & 8) != 0;
    fate.flip_bit = argument;
    fate.keep = (what & 16) != 0 ? argument % 1500 : 0;
    return fate;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    pqi_reader script;
    if (identity == NULL) {
        make_once();
    }
    pqi_reader_init(&script, data, size);
    const uint8_t options = pqi_read_u8(&script);
    const sim_opts opts = {.seed = options,
                           .rules = {.delay = 10 * PQI_NS_PER_MS},
                           .retry_threshold = (options & 1) != 0 ? 0 : 1000,
                           .send = (size_t)(options >> 4) * SEND_STEP,
                           .client_tls = client_tls,
                           .server_tls = server_tls,
                           .fate = next_fate,
                           .fate_user = &script};
    sim *s = sim_new(&opts);
    sim_run(s, 20 * PQI_NS_PER_SEC);
    if ((options & 2) != 0 && sim_client_conn(s) != NULL) {
        pqi_quic_conn_close(sim_client_conn(s), 1, "done");
    } else if ((options & 4) != 0 && sim_server_conn(s) != NULL) {
        pqi_quic_conn_close(sim_server_conn(s), 1, "done");
    }
    sim_run(s, 200 * PQI_NS_PER_SEC);
    require(sim_client(s)->opened <= 1 && sim_client(s)->closed == 1);
    /* Nobody opens to a server that is not the one that was meant. */
    require(sim_client(s)->opened == 0 || sim_client(s)->posture.trust == PQL_TRUST_PIN);
    require(sim_client(s)->opened == 0 || sim_client(s)->posture.pq_key_exchange);
    require(pqi_quic_endpoint_empty(sim_client_endpoint(s)));
    require(pqi_quic_endpoint_empty(sim_server_endpoint(s)));
    sim_free(s);
    return 0;
}
