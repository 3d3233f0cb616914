/* Who gets to the admin port when it asks for capability tokens: the decision, and the server. */
#include "test.h"

#include "admin/admin.h"
#include "unit/caps_scene.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define REPLY_MAX 4096
#define SOCKET_TIMEOUT_SECONDS 60
#define HEADER_MAX (PQI_CAP_TEXT_MAX + 64)

typedef struct world {
    char dir[64];
    char path[96];
    pqi_cap_keys keys;
    pqi_cap_keyring *ring;
    pqi_metrics *metrics;
    pqi_cap_metrics *counters;
    pqi_health *health;
    pqi_admin_auth auth;
    pqi_admin *admin;
} world;

static pql_status snapshot_json(void *user, pqi_buf *out, pql_error *err)
{
    (void)user;
    return pqi_buf_printf(out, "{}") ? PQL_OK : pqi_fail(err, PQL_E_NOMEM, "No memory.");
}

static int setup(void **state)
{
    const pqi_cap_policy policy = {.skew = SCENE_SKEW};
    world *w = calloc(1, sizeof(*w));
    assert_non_null(w);
    (void)snprintf(w->dir, sizeof(w->dir), "/tmp/pqlink-auth-XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    (void)snprintf(w->path, sizeof(w->path), "%s/keys", w->dir);
    w->keys = scene_keys("k1", "acme");
    assert_int_equal(pqi_cap_keys_save(&w->keys, w->path, true, NULL), PQL_OK);
    assert_int_equal(pqi_cap_keyring_open(&w->ring, w->path, &policy, NULL, NULL), PQL_OK);
    assert_int_equal(pqi_metrics_new(&w->metrics, NULL), PQL_OK);
    assert_int_equal(pqi_health_new(&w->health, NULL), PQL_OK);
    assert_int_equal(pqi_cap_metrics_new(&w->counters, w->metrics, pqi_cap_reason_names,
                                         PQI_CAP_REASON_COUNT, NULL),
                     PQL_OK);
    w->auth = (pqi_admin_auth){.keys = w->ring, .metrics = w->counters};
    const pqi_admin_opts opts = {.metrics = w->metrics,
                                 .health = w->health,
                                 .snapshot_json = snapshot_json,
                                 .auth = &w->auth};
    assert_int_equal(pqi_admin_start(&w->admin, &opts, NULL), PQL_OK);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    world *w = *state;
    pqi_admin_stop(w->admin);
    pqi_cap_metrics_free(w->counters);
    pqi_metrics_free(w->metrics);
    pqi_health_free(w->health);
    pqi_cap_keyring_free(w->ring);
    pqi_cap_keys_clear(&w->keys);
    (void)unlink(w->path);
    (void)rmdir(w->dir);
    free(w);
    return 0;
}

/* A token for |audience| with |rule| besides, unless that is NULL. */
static char *mint(const world *w, const char *audience, const pqi_cap_rule *rule)
{
    pqi_cap_rule rules[2] = {scene_text(PQI_CAP_RULE_AUDIENCE, audience)};
    if (rule != NULL) {
        rules[1] = *rule;
    }
    return scene_mint(&w->keys.keys[0], rules, rule == NULL ? 1 : 2, false);
}

/* What comes of "SCHEME TOKEN" for GET |path|; *reason as of pqi_admin_auth_check. */
static pqi_admin_admission ask(const world *w, const char *scheme, const char *token,
                               const char *path, const char **reason)
{
    char header[HEADER_MAX];
    const struct sockaddr_in from = {.sin_family = AF_INET,
                                     .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    (void)snprintf(header, sizeof(header), "%s%s", scheme, token);
    const pqi_admin_asked asked = {.authorization = header,
                                   .authorizations = 1,
                                   .method = "GET",
                                   .path = path,
                                   .from = (const struct sockaddr *)&from};
    return pqi_admin_auth_check(&w->auth, &asked, SCENE_NOW, reason);
}

static void both_schemes_are_taken_in_any_case(void **state)
{
    static const char *const good[] = {"Bearer ", "bearer ", "BEARER ", "Macro ", "mACRO  "};
    static const char *const bad[] = {"", " ", "Bearer", "Basic ", "Bearers ", "Macro\t", "Token "};
    const world *w = *state;
    const char *reason;
    char *token = mint(w, "admin", NULL);
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_int_equal(ask(w, good[i], token, "/status", &reason), PQI_ADMIN_ADMITTED);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(ask(w, bad[i], token, "/status", &reason), PQI_ADMIN_NO_TOKEN);
    }
    free(token);
}

static void probes_need_no_token_and_nothing_else_is_free(void **state)
{
    static const char *const closed[] = {"/",        "/metrics",  "/status",
                                         "/version", "/healthz/", "/healthzz",
                                         "/HEALTHZ", "//healthz", ""};
    const world *w = *state;
    const char *reason;
    const pqi_admin_asked health = {.method = "GET", .path = "/healthz"};
    const pqi_admin_asked ready = {.method = "GET", .path = "/readyz"};
    assert_int_equal(pqi_admin_auth_check(&w->auth, &health, SCENE_NOW, &reason),
                     PQI_ADMIN_ADMITTED);
    assert_int_equal(pqi_admin_auth_check(&w->auth, &ready, SCENE_NOW, &reason),
                     PQI_ADMIN_ADMITTED);
    for (size_t i = 0; i < sizeof(closed) / sizeof(closed[0]); i++) {
        const pqi_admin_asked asked = {.method = "GET", .path = closed[i]};
        assert_int_equal(pqi_admin_auth_check(&w->auth, &asked, SCENE_NOW, &reason),
                         PQI_ADMIN_NO_TOKEN);
    }
}

static void audience_method_path_and_address_are_enforced(void **state)
{
    uint8_t bytes[16];
    const world *w = *state;
    const char *reason;
    const struct {
        const char *audience;
        pqi_cap_rule rule;
        const char *reason;
    } cases[] = {
        {"miner", scene_methods("GET"), "audience"},
        {"admin", scene_methods("HEAD"), "method"},
        {"admin", scene_text(PQI_CAP_RULE_PATH, "/metrics"), "path"},
        {"admin", scene_cidr(bytes, "10.0.0.0/8"), "address"},
        {"admin", scene_number(PQI_CAP_RULE_EXPIRES, 1), "expired"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *token = mint(w, cases[i].audience, &cases[i].rule);
        assert_int_equal(ask(w, "Bearer ", token, "/status", &reason), PQI_ADMIN_DENIED);
        assert_string_equal(reason, cases[i].reason);
        free(token);
    }
    const pqi_cap_rule nothing = scene_number(PQI_CAP_RULE_BYTES, 0);
    char *token = mint(w, "admin", &nothing); /* a request here has no payload, and says so */
    assert_int_equal(ask(w, "Bearer ", token, "/status", &reason), PQI_ADMIN_ADMITTED);
    free(token);
}

static void two_headers_are_none(void **state)
{
    const world *w = *state;
    const char *reason;
    const pqi_admin_asked asked = {
        .authorization = "Bearer x", .authorizations = 2, .method = "GET", .path = "/"};
    assert_int_equal(pqi_admin_auth_check(&w->auth, &asked, SCENE_NOW, &reason),
                     PQI_ADMIN_NO_TOKEN);
}

/* ---- Over a socket ---- */

/* A connection on which GET |path| was asked for with |header| (a whole line or ""). */
static int dial(const world *w, const char *path, const char *header)
{
    char *request = malloc(PQI_ADMIN_SIGNED_REQUEST_MAX);
    const struct timeval limit = {.tv_sec = SOCKET_TIMEOUT_SECONDS};
    const struct sockaddr_in to = {.sin_family = AF_INET,
                                   .sin_port = htons(pqi_admin_port(w->admin)),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_non_null(request);
    const int len =
        snprintf(request, PQI_ADMIN_SIGNED_REQUEST_MAX,
                 "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%s\r\n", path, header);
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof(to)), 0);
    for (int sent = 0; sent < len;) {
        const ssize_t n = send(fd, request + sent, (size_t)(len - sent), MSG_NOSIGNAL);
        assert_true(n > 0);
        sent += (int)n;
    }
    free(request);
    return fd;
}

static void get(const world *w, const char *path, const char *header, char reply[REPLY_MAX])
{
    const int fd = dial(w, path, header);
    size_t have = 0;
    ssize_t n;
    while ((n = recv(fd, reply + have, REPLY_MAX - 1 - have, 0)) > 0) {
        have += (size_t)n;
    }
    reply[have] = '\0';
    (void)close(fd);
}

static void the_server_says_what_it_wants(void **state)
{
    const world *w = *state;
    char reply[REPLY_MAX];
    char header[HEADER_MAX];
    get(w, "/healthz", "", reply);
    assert_non_null(strstr(reply, "HTTP/1.1 200"));
    get(w, "/metrics", "", reply);
    assert_non_null(strstr(reply, "HTTP/1.1 401"));
    assert_non_null(strstr(reply, "WWW-Authenticate: Bearer realm=\"pqlink\", Macro"));
    assert_null(strstr(reply, "pqlink_capability"));
    const pqi_cap_rule rule = scene_text(PQI_CAP_RULE_PATH, "/metrics");
    char *token = mint(w, "admin", &rule);
    (void)snprintf(header, sizeof(header), "authorization: macro %s\r\n", token);
    get(w, "/metrics", header, reply);
    assert_non_null(strstr(reply, "HTTP/1.1 200"));
    assert_non_null(strstr(reply, "pqlink_capability_verify_total{result=\"allowed\"} 1"));
    get(w, "/version", header, reply);
    assert_non_null(strstr(reply, "HTTP/1.1 403"));
    assert_non_null(strstr(reply, "\r\n\r\npath\n"));
    get(w, "/%2e%2e/metrics", header, reply);
    assert_non_null(strstr(reply, "HTTP/1.1 403"));
    free(token);
}

/* True when more came before the server closed. */
static bool hear(int fd)
{
    char bytes[REPLY_MAX];
    return recv(fd, bytes, sizeof(bytes), 0) > 0;
}

static void a_stream_of_events_ends_with_its_token(void **state)
{
    const world *w = *state;
    char header[HEADER_MAX];
    char *token = mint(w, "admin", NULL);
    (void)snprintf(header, sizeof(header), "Authorization: Bearer %s\r\n", token);
    const int fd = dial(w, "/events", header);
    char bytes[REPLY_MAX] = "";
    size_t have = 0;
    while (strstr(bytes, "data: {}") == NULL) {
        const ssize_t n = recv(fd, bytes + have, sizeof(bytes) - 1 - have, 0);
        assert_true(n > 0);
        have += (size_t)n;
    }
    pqi_cap_keys others = scene_keys("k2", "acme");
    assert_int_equal(pqi_cap_keys_save(&others, w->path, true, NULL), PQL_OK);
    assert_int_equal(pqi_cap_keyring_reload(w->ring, NULL), PQL_OK);
    unsigned more = 0;
    while (more < 10 && hear(fd)) {
        more++;
    }
    assert_true(more < 10);
    (void)close(fd);
    pqi_cap_keys_clear(&others);
    free(token);
}

/* As long as a token with SLH-DSA signatures is at most. */
static void the_longest_token_fits_a_request(void **state)
{
    const world *w = *state;
    char reply[REPLY_MAX];
    char *header = malloc(HEADER_MAX);
    assert_non_null(header);
    const int prefix = snprintf(header, HEADER_MAX, "Authorization: Bearer %s", PQI_CAP_PREFIX);
    memset(header + prefix, 'A', PQI_CAP_TEXT_MAX - PQI_CAP_PREFIX_LEN);
    memcpy(header + prefix + PQI_CAP_TEXT_MAX - PQI_CAP_PREFIX_LEN, "\r\n", 3);
    get(w, "/metrics", header, reply);
    assert_non_null(strstr(reply, "HTTP/1.1 403"));
    assert_non_null(strstr(reply, "\r\n\r\nparse\n"));
    free(header);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(both_schemes_are_taken_in_any_case, setup, teardown),
        cmocka_unit_test_setup_teardown(probes_need_no_token_and_nothing_else_is_free, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(audience_method_path_and_address_are_enforced, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(two_headers_are_none, setup, teardown),
        cmocka_unit_test_setup_teardown(the_server_says_what_it_wants, setup, teardown),
        cmocka_unit_test_setup_teardown(a_stream_of_events_ends_with_its_token, setup, teardown),
        cmocka_unit_test_setup_teardown(the_longest_token_fits_a_request, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
