/* The end of a certificate is said 30, 7 and 1 days before, and when it is there, once each; the
 * metric is there from the start. */
#include "test.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "cmd/expiry.h"
#include "crypto/validity.h"
#include "identity/certificate.h"
#include "identity/import.h"
#include "identity/key.h"
#include "identity_directory.h"

#include <openssl/bytestring.h>
#include <openssl/mem.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <stdio.h>
#include <unistd.h>

#define DAY (UINT64_C(24) * 3600)
#define END UINT64_C(1800000000)
#define MS_PER_SEC 1000

typedef struct scene {
    char *dir;
    FILE *log;
    pqi_metrics *metrics;
    pqi_expiry expiry;
    pql_identity *identity;
} scene;

static int scene_make(void **state)
{
    scene *s = calloc(1, sizeof(*s));
    *state = s;
    s->log = tmpfile();
    pqi_log_setup(fileno(s->log), PQI_LOG_INFO, PQI_LOG_JSON);
    if (pqi_metrics_new(&s->metrics, NULL) != PQL_OK) {
        return -1;
    }
    pqi_expiry_register(&s->expiry, "node", s->metrics);
    assert_int_equal(pqi_metrics_check(s->metrics, NULL), PQL_OK);
    return make_dir((void **)&s->dir);
}

static int scene_remove(void **state)
{
    scene *s = *state;
    pqi_log_setup(STDERR_FILENO, PQI_LOG_INFO, PQI_LOG_TEXT);
    (void)fclose(s->log);
    pql_identity_free(s->identity);
    pqi_metrics_free(s->metrics);
    (void)remove_dir((void **)&s->dir);
    free(s);
    return 0;
}

/* A self-signed certificate that ends at |end|; owned by the caller. */
static X509 *make_cert(EVP_PKEY *key, uint64_t end)
{
    CRYPTO_BUFFER *made = pqi_certificate_make(key, PQI_ISSUER_SELF);
    X509 *cert = X509_parse_from_buffer(made);
    CRYPTO_BUFFER_free(made);
    assert_non_null(ASN1_TIME_set_posix(X509_getm_notAfter(cert), (int64_t)end));
    assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
    return cert;
}

/* The files of an official node whose certificate ends at |end|. */
static void write_original(const char *dir, uint64_t end)
{
    EVP_PKEY *key = pqi_key_make_p256();
    X509 *cert = make_cert(key, end);
    uint8_t *der = NULL;
    const int len = i2d_X509(cert, &der);
    assert_int_equal(
        pqi_file_write_atomic(in_dir(dir, PQI_ORIGINAL_CERT), der, (size_t)len, 0600, NULL),
        PQL_OK);
    OPENSSL_free(der);
    CBB cbb;
    size_t key_len = 0;
    assert_int_equal(CBB_init(&cbb, 0), 1);
    assert_int_equal(EVP_marshal_private_key(&cbb, key), 1);
    assert_int_equal(CBB_finish(&cbb, &der, &key_len), 1);
    assert_int_equal(pqi_file_write_atomic(in_dir(dir, PQI_ORIGINAL_KEY), der, key_len, 0600, NULL),
                     PQL_OK);
    OPENSSL_free(der);
    X509_free(cert);
    EVP_PKEY_free(key);
}

/* An identity whose classical leaf ends at |end|. */
static void open_ending(scene *s, uint64_t end)
{
    write_original(s->dir, end);
    pql_identity_free(s->identity);
    assert_int_equal(
        pql_identity_ephemeral(&s->identity, &(pql_identity_opts){.classical_from = s->dir}, NULL),
        PQL_OK);
}

/* Lines of the log with |text|. */
static unsigned lines_with(const scene *s, const char *text)
{
    char line[PQI_LOG_LINE_SIZE];
    unsigned count = 0;
    rewind(s->log);
    while (fgets(line, sizeof(line), s->log) != NULL) {
        count += strstr(line, text) != NULL ? 1 : 0;
    }
    (void)fseek(s->log, 0, SEEK_END);
    return count;
}

/* Looks at |now|; the answer is how many lines the log has of it by then. */
static unsigned look(scene *s, uint64_t now)
{
    pqi_expiry_look(&s->expiry, s->identity, now);
    return lines_with(s, "\"event\":\"certificate_expire");
}

static bool exposes(const scene *s, const char *line)
{
    pqi_buf out = {0};
    assert_int_equal(pqi_metrics_write(s->metrics, PQI_METRICS_PROMETHEUS, &out, NULL), PQL_OK);
    assert_true(pqi_buf_append(&out, "", 1));
    const bool found = strstr((const char *)out.data, line) != NULL;
    pqi_buf_free(&out);
    return found;
}

static void each_threshold_is_said_once(void **state)
{
    scene *s = *state;
    open_ending(s, END);
    assert_int_equal(look(s, END - 31 * DAY), 0);
    assert_int_equal(look(s, END - 30 * DAY), 1);
    assert_int_equal(look(s, END - 8 * DAY), 1);
    assert_int_equal(look(s, END - 7 * DAY), 2);
    assert_int_equal(look(s, END - 2 * DAY), 2);
    assert_int_equal(look(s, END - DAY), 3);
    assert_int_equal(lines_with(s, "certificate_expired"), 0);
    assert_int_equal(lines_with(s, "\"level\":\"error\""), 1);
    assert_int_equal(look(s, END), 4);
    assert_int_equal(lines_with(s, "certificate_expired"), 1);
    assert_int_equal(look(s, END + 30 * DAY), 4);
    assert_int_equal(lines_with(s, "\"leaf\":\"classical\""), 4);
    assert_int_equal(lines_with(s, "\"not_after\":\"2027-01-15T08:00:00Z\""), 4);
}

static void a_start_late_says_the_last_threshold_alone(void **state)
{
    scene *s = *state;
    open_ending(s, END);
    assert_int_equal(look(s, END - 3 * DAY), 1);
    assert_int_equal(lines_with(s, "\"days_left\":3"), 1);
}

static void a_start_after_the_end_says_so_loudly(void **state)
{
    scene *s = *state;
    open_ending(s, END);
    assert_int_equal(look(s, END + DAY), 1);
    assert_int_equal(lines_with(s, "\"level\":\"error\""), 1);
    assert_int_equal(lines_with(s, "certificate_expired"), 1);
}

static void another_certificate_is_watched_anew(void **state)
{
    scene *s = *state;
    open_ending(s, END);
    assert_int_equal(look(s, END - DAY), 1);
    open_ending(s, END + 100 * DAY);
    assert_int_equal(look(s, END - DAY), 1);
    assert_int_equal(look(s, END + 80 * DAY), 2);
}

static void certificates_of_ours_never_end(void **state)
{
    scene *s = *state;
    assert_int_equal(pql_identity_ephemeral(&s->identity, NULL, NULL), PQL_OK);
    assert_int_equal(look(s, END + 100000 * DAY), 0);
    assert_true(exposes(s, "pqlink_certificate_expiry_seconds{leaf=\"pq\"} +Inf\n"));
    assert_true(exposes(s, "pqlink_certificate_expiry_seconds{leaf=\"classical\"} +Inf\n"));
}

static void the_metric_is_there_before_anything_is_shown(void **state)
{
    scene *s = *state;
    assert_true(exposes(s, "pqlink_certificate_expiry_seconds{leaf=\"pq\"} +Inf\n"));
    assert_int_equal(look(s, END), 0);
}

static void the_metric_counts_down_and_goes_below_zero(void **state)
{
    scene *s = *state;
    const uint64_t now = pqi_clock_unix_ms() / MS_PER_SEC;
    open_ending(s, now + 1000 * DAY);
    (void)look(s, now);
    assert_true(exposes(s, "pqlink_certificate_expiry_seconds{leaf=\"classical\"} 86"));
    assert_true(exposes(s, "pqlink_certificate_expiry_seconds{leaf=\"pq\"} +Inf\n"));
    open_ending(s, now - 1000 * DAY);
    (void)look(s, now);
    assert_true(exposes(s, "pqlink_certificate_expiry_seconds{leaf=\"classical\"} -86"));
}

static void append_root(FILE *file, uint64_t end)
{
    EVP_PKEY *key = pqi_key_make_p256();
    X509 *cert = make_cert(key, end);
    X509_EXTENSION *ca =
        X509V3_EXT_nconf_nid(NULL, NULL, NID_basic_constraints, "critical,CA:TRUE");
    assert_int_equal(X509_add_ext(cert, ca, -1), 1);
    assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
    assert_int_equal(PEM_write_X509(file, cert), 1);
    X509_EXTENSION_free(ca);
    X509_free(cert);
    EVP_PKEY_free(key);
}

static void the_root_that_ends_first_is_watched_too(void **state)
{
    scene *s = *state;
    const char *path = in_dir(s->dir, "ca.pem");
    FILE *file = fopen(path, "w");
    append_root(file, END + 500 * DAY);
    append_root(file, END);
    (void)fclose(file);
    pql_error err = {0};
    if (pqi_expiry_roots(&s->expiry, path, &err) != PQL_OK) {
        fail_msg("%s", err.message);
    }
    assert_int_equal(look(s, END - 31 * DAY), 0);
    assert_int_equal(look(s, END - 29 * DAY), 1);
    assert_int_equal(lines_with(s, "\"leaf\":\"ca\",\"file\":\""), 1);
}

#define SCENE_TEST(name) cmocka_unit_test_setup_teardown(name, scene_make, scene_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE_TEST(each_threshold_is_said_once),
        SCENE_TEST(a_start_late_says_the_last_threshold_alone),
        SCENE_TEST(a_start_after_the_end_says_so_loudly),
        SCENE_TEST(another_certificate_is_watched_anew),
        SCENE_TEST(certificates_of_ours_never_end),
        SCENE_TEST(the_metric_is_there_before_anything_is_shown),
        SCENE_TEST(the_metric_counts_down_and_goes_below_zero),
        SCENE_TEST(the_root_that_ends_first_is_watched_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
