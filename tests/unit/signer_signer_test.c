/* A real key process: links are signed for, nothing else is, and its end is noticed.
 * ctest labels: threads */
#include "test.h"

#include "base/file.h"
#include "identity/elsewhere.h"
#include "identity/identity.h"
#include "identity/rotation.h"
#include "identity_directory.h"
#include "signer/signer.h"

#include <pqlink/link.h>

#include <openssl/ssl.h>

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>

#define ALPN "pqlink-test/1"
#define ALPN_CLASSICAL "pqlink-test-classical/1"
#define HASH_AT 98
#define INPUT_LEN (HASH_AT + 48)
#define MANY 200

typedef struct scene {
    char *dir;
    pqi_signer *signer;
    pql_identity *id; /* certificates alone */
    const char *passphrase_file;
} scene;

static void start(scene *s, unsigned roles, unsigned channels)
{
    const pqi_signer_opts opts = {
        .dir = s->dir, .passphrase_file = s->passphrase_file, .roles = roles, .channels = channels};
    pql_error err = {0};
    if (pqi_signer_start(&s->signer, &opts, &err) != PQL_OK) {
        fail_msg("%s", err.message);
    }
    if (pql_identity_open(&s->id, s->dir, NULL, &err) != PQL_OK) {
        fail_msg("%s", err.message);
    }
}

static int scene_make(void **state)
{
    scene *s = calloc(1, sizeof(*s));
    *state = s;
    return make_dir((void **)&s->dir);
}

static int scene_remove(void **state)
{
    scene *s = *state;
    pqi_signer_stop(s->signer);
    pql_identity_free(s->id);
    (void)remove_dir((void **)&s->dir);
    free(s);
    return 0;
}

#define SCENE(name) cmocka_unit_test_setup_teardown(name, scene_make, scene_remove)

/* ---- questions ---- */

static void input_of(uint8_t out[INPUT_LEN], const char *who)
{
    memset(out, ' ', 64);
    (void)snprintf((char *)out + 64, 64, "TLS 1.3, %s CertificateVerify", who);
    memset(out + HASH_AT, 0xab, INPUT_LEN - HASH_AT);
}

static pqi_signer_verdict ask(scene *s, pql_leaf leaf, uint16_t scheme, const uint8_t *in,
                              size_t len)
{
    static uint8_t out[PQI_SIGNER_SIGNATURE_MAX];
    size_t out_len = 0;
    pqi_signer_verdict verdict = PQI_SIGNER_VERDICTS;
    const bool ok = pqi_signer_sign(s->signer, pqi_identity_leaves(s->id)[leaf].of_cert.sha256,
                                    scheme, in, len, out, &out_len, sizeof(out), &verdict);
    assert_int_equal(ok, verdict == PQI_SIGNER_SIGNED);
    assert_true(!ok || out_len > 60);
    return verdict;
}

static void both_leaves_sign_what_tls_signs(void **state)
{
    scene *s = *state;
    uint8_t in[INPUT_LEN];
    start(s, PQI_SIGNER_SERVER, 1);
    input_of(in, "server");
    assert_int_equal(ask(s, PQL_LEAF_PQ, SSL_SIGN_MLDSA87, in, INPUT_LEN), PQI_SIGNER_SIGNED);
    assert_int_equal(ask(s, PQL_LEAF_CLASSICAL, SSL_SIGN_ECDSA_SECP256R1_SHA256, in, INPUT_LEN),
                     PQI_SIGNER_SIGNED);
    assert_int_equal(ask(s, PQL_LEAF_PQ, SSL_SIGN_MLDSA87, in, HASH_AT + 32), PQI_SIGNER_SIGNED);
}

static void it_is_no_oracle_for_anything_else(void **state)
{
    scene *s = *state;
    uint8_t in[INPUT_LEN];
    start(s, PQI_SIGNER_SERVER, 1);
    input_of(in, "server");
    for (size_t len = 0; len < INPUT_LEN; len++) {
        assert_int_equal(ask(s, PQL_LEAF_PQ, SSL_SIGN_MLDSA87, in, len),
                         len == HASH_AT + 32 ? PQI_SIGNER_SIGNED : PQI_SIGNER_NOT_TLS);
    }
    for (size_t at = 0; at < HASH_AT; at++) {
        in[at] ^= 0x20;
        assert_int_equal(ask(s, PQL_LEAF_PQ, SSL_SIGN_MLDSA87, in, INPUT_LEN), PQI_SIGNER_NOT_TLS);
        in[at] ^= 0x20;
    }
    assert_int_equal(ask(s, PQL_LEAF_PQ, SSL_SIGN_MLDSA87, in, INPUT_LEN), PQI_SIGNER_SIGNED);
}

static void a_key_of_a_server_signs_for_no_client(void **state)
{
    scene *s = *state;
    uint8_t in[INPUT_LEN];
    start(s, PQI_SIGNER_SERVER, 1);
    input_of(in, "client");
    assert_int_equal(ask(s, PQL_LEAF_PQ, SSL_SIGN_MLDSA87, in, INPUT_LEN), PQI_SIGNER_NOT_TLS);
}

static void a_key_of_a_client_signs_for_no_server(void **state)
{
    scene *s = *state;
    uint8_t in[INPUT_LEN];
    start(s, PQI_SIGNER_CLIENT, 1);
    input_of(in, "client");
    assert_int_equal(ask(s, PQL_LEAF_PQ, SSL_SIGN_MLDSA87, in, INPUT_LEN), PQI_SIGNER_SIGNED);
    input_of(in, "server");
    assert_int_equal(ask(s, PQL_LEAF_PQ, SSL_SIGN_MLDSA87, in, INPUT_LEN), PQI_SIGNER_NOT_TLS);
}

static void another_scheme_or_certificate_gets_no_signature(void **state)
{
    scene *s = *state;
    uint8_t in[INPUT_LEN];
    uint8_t out[PQI_SIGNER_SIGNATURE_MAX];
    const uint8_t cert[PQI_SIGNER_CERT_LEN] = {1};
    size_t len = 0;
    pqi_signer_verdict verdict = PQI_SIGNER_VERDICTS;
    start(s, PQI_SIGNER_SERVER, 1);
    input_of(in, "server");
    assert_int_equal(ask(s, PQL_LEAF_PQ, SSL_SIGN_MLDSA65, in, INPUT_LEN), PQI_SIGNER_NO_SCHEME);
    assert_int_equal(ask(s, PQL_LEAF_CLASSICAL, SSL_SIGN_RSA_PKCS1_SHA256, in, INPUT_LEN),
                     PQI_SIGNER_NO_SCHEME);
    assert_false(pqi_signer_sign(s->signer, cert, SSL_SIGN_MLDSA87, in, INPUT_LEN, out, &len,
                                 sizeof(out), &verdict));
    assert_int_equal(verdict, PQI_SIGNER_NO_KEY);
}

typedef struct asker {
    pthread_t thread;
    scene *s;
    unsigned signed_count;
} asker;

static void *ask_again_and_again(void *arg)
{
    asker *a = arg;
    uint8_t in[INPUT_LEN];
    uint8_t out[PQI_SIGNER_SIGNATURE_MAX];
    size_t len = 0;
    input_of(in, "server");
    for (unsigned i = 0; i < 20; i++) {
        a->signed_count +=
            pqi_signer_sign(a->s->signer, pqi_identity_leaves(a->s->id)[PQL_LEAF_PQ].of_cert.sha256,
                            SSL_SIGN_MLDSA87, in, INPUT_LEN, out, &len, sizeof(out), NULL)
                ? 1
                : 0;
    }
    return NULL;
}

/* Each of its threads does in the cage what a thread does for the first time. */
static void as_many_threads_as_there_may_be_sign_at_once(void **state)
{
    scene *s = *state;
    static asker askers[PQI_SIGNER_CHANNELS_MAX];
    start(s, PQI_SIGNER_SERVER, PQI_SIGNER_CHANNELS_MAX);
    for (unsigned i = 0; i < PQI_SIGNER_CHANNELS_MAX; i++) {
        askers[i] = (asker){.s = s};
        assert_int_equal(pthread_create(&askers[i].thread, NULL, ask_again_and_again, &askers[i]),
                         0);
    }
    for (unsigned i = 0; i < PQI_SIGNER_CHANNELS_MAX; i++) {
        assert_int_equal(pthread_join(askers[i].thread, NULL), 0);
        assert_int_equal(askers[i].signed_count, 20);
    }
}

/* ---- this process has no keys ---- */

static void an_identity_has_certificates_alone_while_it_runs(void **state)
{
    scene *s = *state;
    pql_identity *with_keys = NULL;
    start(s, PQI_SIGNER_SERVER, 1);
    assert_null(pqi_identity_leaves(s->id)[PQL_LEAF_PQ].key);
    assert_null(pqi_identity_leaves(s->id)[PQL_LEAF_CLASSICAL].key);
    assert_string_equal(pql_identity_algorithm(s->id, PQL_LEAF_PQ), "ML-DSA-87");
    pqi_signer_stop(s->signer);
    s->signer = NULL;
    assert_int_equal(pql_identity_open(&with_keys, s->dir, NULL, NULL), PQL_OK);
    assert_non_null(pqi_identity_leaves(with_keys)[PQL_LEAF_PQ].key);
    assert_true(pqi_rotation_same(with_keys, s->id));
    pql_identity_free(with_keys);
}

static void no_key_is_made_here_while_it_runs(void **state)
{
    scene *s = *state;
    pql_identity *id = NULL;
    pql_error err = {0};
    const pqi_rotation_opts opts = {.pq = true, .plan = {.keep = 1}};
    const pqi_identity_keys keys = {.passphrase_file = NULL};
    start(s, PQI_SIGNER_SERVER, 1);
    assert_int_equal(pql_identity_ephemeral(&id, NULL, &err), PQL_E_STATE);
    assert_int_equal(pqi_rotation_prepare(s->dir, &keys, &opts, &err), PQL_E_STATE);
    assert_non_null(strstr(err.message, "pqlink rotate prepare"));
}

static void a_directory_without_an_identity_is_an_error_of_the_start(void **state)
{
    scene *s = *state;
    const pqi_signer_opts opts = {
        .dir = s->dir, .must_exist = true, .roles = PQI_SIGNER_SERVER, .channels = 1};
    pql_error err = {0};
    assert_int_equal(pqi_signer_start(&s->signer, &opts, &err), PQL_E_IDENTITY);
    assert_non_null(strstr(err.message, "keygen"));
    assert_null(s->signer);
    assert_null(pqi_keys_holder());
}

/* ---- rotation ---- */

/* As 'pqlink rotate' does it: in another process, which has the keys. */
static void in_another_process(scene *s, bool switch_now)
{
    (void)fflush(NULL);
    const pid_t pid = fork();
    if (pid == 0) {
        const pqi_rotation_opts opts = {.pq = true, .plan = {.keep = 1000}};
        const pqi_identity_keys keys = {.passphrase_file = s->passphrase_file};
        pqi_keys_move_out(NULL);
        const pql_status status = switch_now ? pqi_rotation_switch(s->dir, &keys, 1000, NULL, NULL)
                                             : pqi_rotation_prepare(s->dir, &keys, &opts, NULL);
        _exit(status == PQL_OK ? 0 : 1);
    }
    int status = 1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/* From the start over a next identity to the overlap after the switch. */
static void sign_through_a_rotation(scene *s)
{
    uint8_t in[INPUT_LEN];
    pqi_rotation all;
    pql_error err = {0};
    start(s, PQI_SIGNER_SERVER, 2);
    in_another_process(s, false);
    if (pqi_rotation_load(&all, s->dir, NULL, &err) != PQL_OK) {
        fail_msg("%s", err.message);
    }
    assert_non_null(all.next);
    input_of(in, "server");
    pql_identity *current = s->id;
    s->id = all.next;
    assert_int_equal(ask(s, PQL_LEAF_PQ, SSL_SIGN_MLDSA87, in, INPUT_LEN), PQI_SIGNER_SIGNED);
    in_another_process(s, true);
    assert_int_equal(ask(s, PQL_LEAF_PQ, SSL_SIGN_MLDSA87, in, INPUT_LEN), PQI_SIGNER_SIGNED);
    s->id = current;
    assert_int_equal(ask(s, PQL_LEAF_PQ, SSL_SIGN_MLDSA87, in, INPUT_LEN), PQI_SIGNER_SIGNED);
    pqi_rotation_clear(&all);
}

static void a_key_that_came_with_a_rotation_signs_too(void **state)
{
    sign_through_a_rotation(*state);
}

/* The key process reads the passphrase again for a key that it did not know at its start. */
static void encrypted_keys_sign_and_rotate_too(void **state)
{
    scene *s = *state;
    char file[PATH_MAX];
    static const char passphrase[] = "correct horse battery staple\n";
    (void)snprintf(file, sizeof(file), "%s.passphrase", s->dir);
    assert_int_equal(pqi_file_write_atomic(file, passphrase, strlen(passphrase), 0600, NULL),
                     PQL_OK);
    s->passphrase_file = file;
    sign_through_a_rotation(s);
    assert_int_equal(remove(file), 0);
}

/* A passphrase that is not there when it is wanted costs the new keys, until it is. */
static void keys_that_could_not_be_read_are_tried_again(void **state)
{
    static const char passphrase[] = "correct horse battery staple\n";
    const struct timespec pause = {.tv_nsec = 100 * 1000 * 1000};
    scene *s = *state;
    char file[PATH_MAX];
    char away[PATH_MAX];
    pqi_rotation all;
    (void)snprintf(file, sizeof(file), "%s.passphrase", s->dir);
    (void)snprintf(away, sizeof(away), "%s.away", s->dir);
    assert_int_equal(pqi_file_write_atomic(file, passphrase, strlen(passphrase), 0600, NULL),
                     PQL_OK);
    s->passphrase_file = file;
    start(s, PQI_SIGNER_SERVER, 1);
    assert_int_equal(rename(file, away), 0);
    s->passphrase_file = away;
    in_another_process(s, false);
    assert_int_equal(pqi_rotation_load(&all, s->dir, NULL, NULL), PQL_OK);
    assert_true(pqi_keys_fit(all.current));
    assert_false(pqi_keys_fit(all.next));
    assert_int_equal(rename(away, file), 0);
    for (unsigned tries = 0; tries < 600 && !pqi_keys_fit(all.next); tries++) {
        (void)nanosleep(&pause, NULL);
    }
    assert_true(pqi_keys_fit(all.next));
    pqi_rotation_clear(&all);
    assert_int_equal(remove(file), 0);
}

/* ---- links ---- */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t change;
    unsigned opened, closed;
    pql_close last;
    pql_signature_failure failure; /* of the server's last handshake */
} seen = {.lock = PTHREAD_MUTEX_INITIALIZER, .change = PTHREAD_COND_INITIALIZER};

static void client_open(pql_link *link, void *user)
{
    (void)user;
    pthread_mutex_lock(&seen.lock);
    seen.opened++;
    pthread_mutex_unlock(&seen.lock);
    pql_link_close(link, 0, "done");
}

static void client_close(pql_link *link, const pql_close *why, void *user)
{
    (void)link;
    (void)user;
    pthread_mutex_lock(&seen.lock);
    seen.closed++;
    seen.last = *why;
    pthread_cond_broadcast(&seen.change);
    pthread_mutex_unlock(&seen.lock);
}

static void server_handshake(const pql_link_info *link, const pql_close *failure, void *user)
{
    (void)user;
    pthread_mutex_lock(&seen.lock);
    seen.failure = failure == NULL ? PQL_SIGNATURE_FINE : link->posture->signature_failure;
    pthread_mutex_unlock(&seen.lock);
}

static const pql_handlers server_handlers = {.link_open = NULL};
static const pql_handlers client_handlers = {.link_open = client_open, .link_close = client_close};

typedef struct ends {
    pql_context *server, *client;
    char url[64];
    pql_fingerprint pins[2]; /* by pql_leaf */
} ends;

static void open_ends(scene *s, ends *e, unsigned workers, const pql_peer *clients)
{
    static const pql_alpn alpn[] = {{ALPN, PQL_LEAF_PQ}, {ALPN_CLASSICAL, PQL_LEAF_CLASSICAL}};
    const pql_context_opts server = {
        .identity = s->id, .workers = workers, .observer = {.handshake = server_handshake}};
    const pql_context_opts client = {.workers = workers};
    const pql_listen_opts opts = {
        .alpn = alpn, .alpn_count = 2, .handlers = &server_handlers, .clients = clients};
    pql_listener *listener = NULL;
    assert_int_equal(pql_context_new(&e->server, &server, NULL), PQL_OK);
    assert_int_equal(pql_context_new(&e->client, &client, NULL), PQL_OK);
    assert_int_equal(pql_listen(e->server, "quic://127.0.0.1:0", &opts, &listener, NULL), PQL_OK);
    (void)snprintf(e->url, sizeof(e->url), "quic://127.0.0.1:%u",
                   (unsigned)pql_listener_port(listener));
    for (int leaf = PQL_LEAF_PQ; leaf <= PQL_LEAF_CLASSICAL; leaf++) {
        pql_identity_fingerprint(s->id, (pql_leaf)leaf, PQL_FINGERPRINT_CERT, &e->pins[leaf]);
    }
    seen.opened = seen.closed = 0;
}

static void close_ends(ends *e)
{
    pql_context_free(e->client);
    pql_context_free(e->server);
}

static void connect_once(ends *e, pql_leaf leaf, pql_identity *identity)
{
    const pql_peer peer = {.pins = &e->pins[leaf], .pin_count = 1};
    const pql_connect_opts opts = {.alpn = leaf == PQL_LEAF_PQ ? ALPN : ALPN_CLASSICAL,
                                   .identity = identity,
                                   .handlers = &client_handlers};
    assert_int_equal(pql_connect(e->client, e->url, &peer, &opts, NULL, NULL), PQL_OK);
}

static void wait_closed(unsigned count)
{
    pthread_mutex_lock(&seen.lock);
    while (seen.closed < count) {
        pthread_cond_wait(&seen.change, &seen.lock);
    }
    pthread_mutex_unlock(&seen.lock);
}

static void links_open_with_either_leaf(void **state)
{
    scene *s = *state;
    ends e;
    start(s, PQI_SIGNER_SERVER, 2);
    open_ends(s, &e, 1, NULL);
    connect_once(&e, PQL_LEAF_PQ, NULL);
    wait_closed(1);
    connect_once(&e, PQL_LEAF_CLASSICAL, NULL);
    wait_closed(2);
    assert_int_equal(seen.opened, 2);
    close_ends(&e);
}

static void many_links_on_many_workers_share_few_channels(void **state)
{
    scene *s = *state;
    ends e;
    start(s, PQI_SIGNER_SERVER, 2);
    open_ends(s, &e, 4, NULL);
    for (unsigned i = 0; i < MANY; i++) {
        connect_once(&e, PQL_LEAF_PQ, NULL);
    }
    wait_closed(MANY);
    assert_int_equal(seen.opened, MANY);
    close_ends(&e);
}

/* Mutual TLS: the key process signs for both sides here. */
static void a_client_shows_a_certificate_whose_key_is_elsewhere(void **state)
{
    scene *s = *state;
    ends e;
    pql_fingerprint pin;
    start(s, PQI_SIGNER_SERVER | PQI_SIGNER_CLIENT, 2);
    pql_identity_fingerprint(s->id, PQL_LEAF_PQ, PQL_FINGERPRINT_CERT, &pin);
    const pql_peer clients = {.pins = &pin, .pin_count = 1};
    open_ends(s, &e, 1, &clients);
    connect_once(&e, PQL_LEAF_PQ, s->id);
    wait_closed(1);
    assert_int_equal(seen.opened, 1);
    close_ends(&e);
}

static void a_key_process_that_is_killed_is_noticed_and_no_link_opens_without_it(void **state)
{
    scene *s = *state;
    ends e;
    pql_error err = {0};
    siginfo_t info;
    start(s, PQI_SIGNER_SERVER, 1);
    open_ends(s, &e, 1, NULL);
    assert_int_equal(pqi_signer_check(s->signer, &err), PQL_OK);
    assert_int_equal(kill((pid_t)pqi_signer_pid(s->signer), SIGKILL), 0);
    assert_int_equal(waitid(P_PID, (id_t)pqi_signer_pid(s->signer), &info, WEXITED | WNOWAIT), 0);
    assert_int_equal(pqi_signer_check(s->signer, &err), PQL_E_STATE);
    assert_non_null(strstr(err.message, "signal 9"));
    connect_once(&e, PQL_LEAF_PQ, NULL);
    wait_closed(1);
    assert_int_equal(seen.opened, 0);
    close_ends(&e); /* the server has said all that it has to say */
    assert_int_equal(seen.failure, PQL_SIGNATURE_NOT_MADE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(both_leaves_sign_what_tls_signs),
        SCENE(it_is_no_oracle_for_anything_else),
        SCENE(a_key_of_a_server_signs_for_no_client),
        SCENE(a_key_of_a_client_signs_for_no_server),
        SCENE(another_scheme_or_certificate_gets_no_signature),
        SCENE(as_many_threads_as_there_may_be_sign_at_once),
        SCENE(an_identity_has_certificates_alone_while_it_runs),
        SCENE(no_key_is_made_here_while_it_runs),
        SCENE(a_directory_without_an_identity_is_an_error_of_the_start),
        SCENE(a_key_that_came_with_a_rotation_signs_too),
        SCENE(encrypted_keys_sign_and_rotate_too),
        SCENE(keys_that_could_not_be_read_are_tried_again),
        SCENE(links_open_with_either_leaf),
        SCENE(many_links_on_many_workers_share_few_channels),
        SCENE(a_client_shows_a_certificate_whose_key_is_elsewhere),
        SCENE(a_key_process_that_is_killed_is_noticed_and_no_link_opens_without_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
