/* docs/metrics.md is what operators build dashboards on: it must name what we expose. */
#include "test.h"

#include "base/file.h"
#include "base/secret.h"
#include "caps/rules.h"
#include "link/worker_metrics.h"
#include "observe/cap_metrics.h"
#include "observe/health.h"
#include "observe/miner_metrics.h"
#include "observe/pq_metrics.h"
#include "observe/process_metrics.h"
#include "observe/source_metrics.h"

#include <stdio.h>
#include <string.h>

#define DOCUMENT_MAX 100000

typedef struct everything {
    pql_context *ctx;
    pqi_metrics *registry;
    pqi_health *health;
    pqi_pq_metrics *links;
    pqi_process_metrics *process;
    pqi_node_metrics *node;
    pqi_mine_metrics *mine;
    pqi_source_metrics *source;
    pqi_cap_metrics *caps;
} everything;

static everything register_everything(void)
{
    everything e;
    assert_int_equal(pqi_metrics_new(&e.registry, NULL), PQL_OK);
    assert_int_equal(pqi_health_new(&e.health, NULL), PQL_OK);
    pqi_health_register(e.health, e.registry);
    assert_int_equal(pqi_pq_metrics_new(&e.links, e.registry, NULL, NULL), PQL_OK);
    assert_int_equal(pqi_process_metrics_new(&e.process, e.registry, NULL), PQL_OK);
    const pql_context_opts one_worker = {.workers = 1};
    assert_int_equal(pql_context_new(&e.ctx, &one_worker, NULL), PQL_OK);
    assert_int_equal(pqi_worker_metrics(e.ctx, e.registry, NULL), PQL_OK);
    assert_int_equal(pqi_node_metrics_new(&e.node, e.registry, NULL), PQL_OK);
    assert_int_equal(pqi_mine_metrics_new(&e.mine, e.registry, NULL), PQL_OK);
    assert_int_equal(pqi_source_metrics_new(&e.source, e.registry, NULL), PQL_OK);
    assert_int_equal(
        pqi_cap_metrics_new(&e.caps, e.registry, pqi_cap_reason_names, PQI_CAP_REASON_COUNT, NULL),
        PQL_OK);
    return e;
}

static void free_everything(everything *e)
{
    pqi_cap_metrics_free(e->caps);
    pql_context_free(e->ctx);
    pqi_source_metrics_free(e->source);
    pqi_mine_metrics_free(e->mine);
    pqi_node_metrics_free(e->node);
    pqi_pq_metrics_free(e->links);
    pqi_metrics_free(e->registry);
    pqi_process_metrics_free(e->process);
    pqi_health_free(e->health);
}

/* Not inlined, or GCC 12 sees pointers into the text as such to the variable here.
 * To be freed with pqi_secret_free.  PQLINK_TEST_DATA is <project>/tests/data. */
static __attribute__((noinline)) uint8_t *document_read(size_t *len)
{
    uint8_t *document = NULL;
    char path[1024];
    const size_t root_len = strlen(PQLINK_TEST_DATA) - strlen("/tests/data");
    (void)snprintf(path, sizeof(path), "%.*s/docs/metrics.md", (int)root_len, PQLINK_TEST_DATA);
    assert_int_equal(pqi_file_read(path, DOCUMENT_MAX, &document, len, NULL), PQL_OK);
    return document;
}

static void assert_all_named(const char *document, const char *const *names, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        char quoted[64];
        (void)snprintf(quoted, sizeof(quoted), "`%s`", names[i]);
        if (strstr(document, quoted) == NULL) {
            fail_msg("docs/metrics.md does not name %s", quoted);
        }
    }
}

static void every_series_is_documented_with_its_type(void **state)
{
    (void)state;
    size_t len;
    uint8_t *document = document_read(&len);
    pqi_buf text = {0};
    everything e = register_everything();
    assert_int_equal(pqi_metrics_write(e.registry, PQI_METRICS_PROMETHEUS, &text, NULL), PQL_OK);
    assert_true(pqi_buf_append(&text, "", 1));

    const char *line = (const char *)text.data;
    unsigned families = 0;
    while ((line = strstr(line, "# TYPE ")) != NULL) {
        char name[64];
        char type[16];
        char row[128];
        assert_int_equal(sscanf(line, "# TYPE %63s %15s", name, type), 2);
        (void)snprintf(row, sizeof(row), "\n| `%s` | %s |", name, type);
        if (strstr((const char *)document, row) == NULL) {
            fail_msg("docs/metrics.md has no row for %s (%s)", name, type);
        }
        families++;
        line++;
    }

    assert_true(families >= 30); /* the registry was written at all */
    pqi_buf_free(&text);
    pqi_secret_free(document, len);
    free_everything(&e);
}

/* The name of the label that begins at |*at|, in quotes for the document; false after the last. */
static bool next_label(const char **at, char quoted[64])
{
    const size_t len = strcspn(*at, "=}\n");
    if ((*at)[len] != '=') {
        return false;
    }
    (void)snprintf(quoted, 64, "`%.*s`", (int)len, *at);
    *at += len + 2;            /* over =" */
    *at += strcspn(*at, "\""); /* no value has one */
    *at += strspn(*at, "\",");
    return true;
}

/* |sample| is the first line of a family, |row| its row of the document. */
static void assert_labels_in_row(const char *sample, const char *row)
{
    char quoted[64];
    const char *at = strpbrk(sample, "{ ");
    if (at == NULL || *at == ' ') {
        return;
    }
    at++;
    const char *end = strchr(row, '\n');
    while (next_label(&at, quoted)) {
        const char *found = strstr(row, quoted);
        if (strcmp(quoted, "`le`") != 0 && (found == NULL || found > end)) {
            fail_msg("docs/metrics.md does not name the label %s in the row %.60s", quoted, row);
        }
    }
}

static void every_series_is_documented_with_its_labels(void **state)
{
    (void)state;
    size_t len;
    uint8_t *document = document_read(&len);
    pqi_buf text = {0};
    unsigned checked = 0;
    everything e = register_everything();
    assert_int_equal(pqi_metrics_write(e.registry, PQI_METRICS_PROMETHEUS, &text, NULL), PQL_OK);
    assert_true(pqi_buf_append(&text, "", 1));

    for (const char *line = (const char *)text.data; (line = strstr(line, "# TYPE ")) != NULL;
         line++) {
        char name[64];
        char row[128];
        assert_int_equal(sscanf(line, "# TYPE %63s", name), 1);
        (void)snprintf(row, sizeof(row), "\n| `%s` |", name);
        const char *sample = strchr(line, '\n') + 1;
        const char *documented = strstr((const char *)document, row);
        assert_non_null(documented);
        if (*sample != '#' && *sample != '\0') { /* a family with members has none yet */
            assert_labels_in_row(sample, documented + 1);
            checked++;
        }
    }

    assert_true(checked >= 30);
    pqi_buf_free(&text);
    pqi_secret_free(document, len);
    free_everything(&e);
}

static void every_label_value_is_documented(void **state)
{
    (void)state;
    size_t len;
    uint8_t *data = document_read(&len);
    const char *document = (const char *)data;

    assert_all_named(document, pqi_group_names, PQI_GROUP_COUNT);
    assert_all_named(document, pqi_signature_names, PQI_SIGNATURE_COUNT);
    assert_all_named(document, pqi_kex_class_names, PQI_KEX_COUNT);
    assert_all_named(document, pqi_signature_class_names, PQI_SIGCLASS_COUNT);
    assert_all_named(document, pqi_answer_names, PQI_ANSWER_COUNT);
    assert_all_named(document, pqi_role_names, PQI_ROLE_COUNT);
    assert_all_named(document, pqi_transport_names, PQI_TRANSPORT_COUNT);
    assert_all_named(document, pqi_posture_names, PQI_POSTURE_COUNT);
    assert_all_named(document, pqi_direction_names, PQI_DIRECTION_COUNT);
    assert_all_named(document, pqi_signature_failure_names, PQI_SIGFAIL_COUNT);
    assert_all_named(document, pqi_downgrade_names, PQI_DOWNGRADE_COUNT);
    assert_all_named(document, pqi_reject_names, PQI_REJECT_COUNT);
    assert_all_named(document, pqi_crypto_op_names, PQI_CRYPTO_OP_COUNT);
    assert_all_named(document, pqi_result_names, PQI_RESULT_COUNT);
    assert_all_named(document, pqi_outcome_names, PQI_OUTCOME_COUNT);
    assert_all_named(document, pqi_cap_reason_names, PQI_CAP_REASON_COUNT);
    pqi_secret_free(data, len);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_series_is_documented_with_its_type),
        cmocka_unit_test(every_series_is_documented_with_its_labels),
        cmocka_unit_test(every_label_value_is_documented),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
