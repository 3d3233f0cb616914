/* A write that fits a packet leaves in one packet: seen in the frames of what both sides send. */
#include "test.h"

#include "base/clock.h"
#include "sim/network.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MS PQI_NS_PER_MS
#define SEC PQI_NS_PER_SEC
#define NO_RETRY 1000
#define SIDES 2
#define STREAMS 4
#define WRITES 4096
#define RECORD_MAX 65536
#define SMALL 40

static pql_identity *identity;
static pqi_quic_tls *client_tls, *server_tls;
static uint64_t random_state;

/* One side's writes to one stream, and how far its frames have come. */
typedef struct sent_stream {
    pqi_quic_stream *stream;
    uint64_t ends[WRITES]; /* offsets behind each write */
    size_t writes;
    uint64_t written, seen; /* bytes; seen: in frames */
} sent_stream;

static sent_stream sent[SIDES][STREAMS];
static struct {
    unsigned frames, split, with_others;
} found;

static unsigned dice(unsigned below)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(random_state >> 33) % below;
}

static int set_up(void **state)
{
    static const pql_peer anybody = {.insecure = true};
    (void)state;
    if (pql_identity_ephemeral(&identity, NULL, NULL) != PQL_OK) {
        return -1;
    }
    const sim_opts opts = {.identity = identity, .peer = &anybody};
    return sim_tls(&opts, &client_tls, &server_tls) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    pqi_quic_tls_free(client_tls);
    pqi_quic_tls_free(server_tls);
    pql_identity_free(identity);
    return 0;
}

/* True when |offset| lies inside a write that had to stay whole. */
static bool cuts_a_write(const sent_stream *s, uint64_t offset)
{
    uint64_t start = 0;
    for (size_t i = 0; i < s->writes; start = s->ends[i], i++) {
        if (offset > start && offset < s->ends[i]) {
            return s->ends[i] - start <= PQL_STREAM_WHOLE_MAX;
        }
    }
    return false;
}

static uint64_t number_behind(const char *text, const char *name)
{
    const char *at = strstr(text, name);
    assert_non_null(at);
    return strtoull(at + strlen(name), NULL, 10);
}

static void see_frame(bool server, const char *frame)
{
    const uint64_t id = number_behind(frame, "\"stream_id\":");
    const uint64_t offset = number_behind(frame, "\"offset\":");
    const uint64_t end = offset + number_behind(frame, "\"length\":");
    sent_stream *s = &sent[server][id / 4];
    if (end <= s->seen) {
        return; /* said before: a probe */
    }
    found.frames++;
    found.split += cuts_a_write(s, end) ? 1 : 0;
    s->seen = end;
}

/* ngtcp2 writes one record for each packet, with its frames in order. */
static void see_record(void *user, bool server, const char *record, size_t len)
{
    static char text[RECORD_MAX];
    (void)user;
    assert_true(len < sizeof(text));
    memcpy(text, record, len);
    text[len] = '\0';
    if (strstr(text, "packet_sent") == NULL) {
        return;
    }
    const unsigned before = found.frames;
    const char *at = text;
    while ((at = strstr(at, "\"frame_type\":\"stream\"")) != NULL) {
        see_frame(server, at);
        at++;
    }
    if (found.frames > before && strstr(text, "\"frame_type\":\"ack\"") != NULL) {
        found.with_others++;
    }
}

/* Mostly what miners and nodes write, now and then a byte, and something large. */
static size_t write_size(unsigned large_per_mille)
{
    const unsigned kind = dice(1000);
    return kind < large_per_mille ? 1 + dice(20000)
           : kind < 300           ? 1 + dice(SMALL)
                                  : 1 + dice(PQL_STREAM_WHOLE_MAX);
}

static void write_one(bool server, unsigned index, size_t len)
{
    static const uint8_t zeros[20001];
    sent_stream *s = &sent[server][index];
    if (s->stream == NULL || s->writes == WRITES ||
        pqi_quic_stream_write(s->stream, zeros, len, false) != PQL_OK) {
        return;
    }
    s->written += len;
    s->ends[s->writes++] = s->written;
}

static void take_data(void *user, pqi_quic_stream *stream, const uint8_t *data, size_t len,
                      bool fin)
{
    (void)user;
    (void)data;
    (void)len;
    (void)fin;
    const bool server = pqi_quic_conn_is_server(pqi_quic_stream_conn(stream));
    const unsigned index = (unsigned)(pqi_quic_stream_id(stream) / 4);
    sent[server][index].stream = stream;
    if (dice(5) == 0) {
        /* An answer: it leaves together with the acknowledgement. */
        write_one(server, index, write_size(0));
    }
}

static void run_schedule(uint64_t seed, sim_rules rules, unsigned large_per_mille)
{
    const sim_opts opts = {.seed = seed,
                           .rules = rules,
                           .identity = identity,
                           .retry_threshold = NO_RETRY,
                           .wide_window = seed % 4 == 0,
                           .client_tls = client_tls,
                           .server_tls = server_tls,
                           .stream_data = take_data,
                           .qlog = see_record};
    uint64_t now = 0;
    memset(sent, 0, sizeof(sent));
    random_state = seed;
    sim *s = sim_new(&opts);
    sim_run(s, 60 * MS + dice(100) * MS); /* some while the handshake is still fresh */
    for (uint64_t wait = 200 * MS; sim_client(s)->opened == 0; wait += MS) {
        sim_run(s, wait);
    }
    for (unsigned i = 0; i < STREAMS; i++) {
        assert_int_equal(pqi_quic_stream_open(sim_client_conn(s), &sent[0][i].stream, NULL),
                         PQL_OK);
        write_one(false, i, 1);
    }
    now = sim_now(s) - SIM_START;
    for (unsigned step = 0; step < 400; step++) {
        for (unsigned n = dice(6); n > 0; n--) {
            write_one(dice(2) == 1, dice(STREAMS), write_size(large_per_mille));
        }
        now += dice(40) * MS / 10;
        sim_run(s, now);
    }
    sim_run(s, now + 20 * SEC);
    for (unsigned i = 0; i < SIDES * STREAMS; i++) {
        const sent_stream *one = &sent[i / STREAMS][i % STREAMS];
        assert_int_equal(one->seen, one->written);
    }
    sim_free(s);
}

static void no_write_is_split_whatever_else_is_to_be_sent(void **state)
{
    (void)state;
    memset(&found, 0, sizeof(found));
    for (uint64_t seed = 1; seed <= 60; seed++) {
        /* Reordering makes long acknowledgements, one side's idleness makes late ones. */
        const sim_rules rules = {.delay = seed % 23 * MS, .jitter = seed % 7 * MS, .duplicate = 10};
        run_schedule(seed, rules, 0);
    }
    assert_true(found.frames > 20000);
    assert_true(found.with_others > 1000);
    assert_int_equal(found.split, 0);
}

static void large_writes_between_them_change_nothing(void **state)
{
    (void)state;
    memset(&found, 0, sizeof(found));
    for (uint64_t seed = 1; seed <= 40; seed++) {
        const sim_rules rules = {.delay = seed % 11 * MS};
        run_schedule(seed, rules, 20);
    }
    assert_true(found.with_others > 1000);
    assert_int_equal(found.split, 0);
}

static void a_change_of_the_clients_address_changes_nothing(void **state)
{
    (void)state;
    memset(&found, 0, sizeof(found));
    for (uint64_t seed = 1; seed <= 20; seed++) {
        /* New connection IDs, path challenges and their answers are sent meanwhile. */
        const sim_rules rules = {.delay = 5 * MS, .rebind_at = 300 * MS + seed * 20 * MS};
        run_schedule(seed, rules, 10);
    }
    assert_true(found.frames > 1000);
    assert_int_equal(found.split, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_write_is_split_whatever_else_is_to_be_sent),
        cmocka_unit_test(large_writes_between_them_change_nothing),
        cmocka_unit_test(a_change_of_the_clients_address_changes_nothing),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
