#include "observe/health.h"

#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct condition_state {
    char name[PQI_HEALTH_NAME_SIZE];
    char reason[PQI_HEALTH_REASON_SIZE]; /* empty: fulfilled */
} condition_state;

struct pqi_health {
    pthread_mutex_t lock;
    condition_state conditions[PQI_HEALTH_CONDITIONS_MAX];
    unsigned count;
};

pql_status pqi_health_new(pqi_health **out, pql_error *err)
{
    *out = calloc(1, sizeof(**out));
    if (*out == NULL) {
        return pqi_fail(err, PQL_E_NOMEM, "No memory for the readiness state.");
    }
    pthread_mutex_init(&(*out)->lock, NULL);
    return PQL_OK;
}

void pqi_health_free(pqi_health *h)
{
    if (h != NULL) {
        pthread_mutex_destroy(&h->lock);
        free(h);
    }
}

static bool name_valid(const char *name)
{
    const size_t len = strlen(name);
    return len > 0 && len < PQI_HEALTH_NAME_SIZE &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz_") == len;
}

static bool name_known(const pqi_health *h, const char *name)
{
    for (unsigned i = 0; i < h->count; i++) {
        if (strcmp(h->conditions[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* An empty reason would mean "fulfilled". */
static void reason_set(condition_state *c, const char *reason)
{
    const bool given = reason != NULL && reason[0] != '\0';
    (void)snprintf(c->reason, sizeof(c->reason), "%s", given ? reason : "No reason was given.");
}

static pql_status condition_add(pqi_health *h, const char *name, const char *reason, pql_error *err)
{
    if (name_known(h, name)) {
        return pqi_fail(err, PQL_E_EXISTS, "The readiness condition %s exists already.", name);
    }
    if (h->count == PQI_HEALTH_CONDITIONS_MAX) {
        return pqi_fail(err, PQL_E_LIMIT, "There are %d readiness conditions already.",
                        PQI_HEALTH_CONDITIONS_MAX);
    }
    condition_state *c = &h->conditions[h->count++];
    (void)snprintf(c->name, sizeof(c->name), "%s", name);
    reason_set(c, reason);
    return PQL_OK;
}

pql_status pqi_health_add(pqi_health *h, const char *name, const char *reason, unsigned *condition,
                          pql_error *err)
{
    if (!name_valid(name)) {
        return pqi_fail(err, PQL_E_USAGE, "A readiness condition cannot be named \"%s\".", name);
    }
    pthread_mutex_lock(&h->lock);
    const pql_status status = condition_add(h, name, reason, err);
    if (status == PQL_OK) {
        *condition = h->count - 1;
    }
    pthread_mutex_unlock(&h->lock);
    return status;
}

void pqi_health_set_ok(pqi_health *h, unsigned condition)
{
    if (h == NULL) {
        return;
    }
    pthread_mutex_lock(&h->lock);
    if (condition < h->count) {
        h->conditions[condition].reason[0] = '\0';
    }
    pthread_mutex_unlock(&h->lock);
}

void pqi_health_set_failed(pqi_health *h, unsigned condition, const char *reason)
{
    if (h == NULL) {
        return;
    }
    pthread_mutex_lock(&h->lock);
    if (condition < h->count) {
        reason_set(&h->conditions[condition], reason);
    }
    pthread_mutex_unlock(&h->lock);
}

/* The conditions as they are now, to be read without the lock. */
static void health_copy(pqi_health *h, condition_state *out, unsigned *count)
{
    pthread_mutex_lock(&h->lock);
    *count = h->count;
    memcpy(out, h->conditions, sizeof(h->conditions));
    pthread_mutex_unlock(&h->lock);
}

bool pqi_health_ready(pqi_health *h)
{
    condition_state conditions[PQI_HEALTH_CONDITIONS_MAX];
    unsigned count;
    health_copy(h, conditions, &count);
    for (unsigned i = 0; i < count; i++) {
        if (conditions[i].reason[0] != '\0') {
            return false;
        }
    }
    return true;
}

/* A reason may quote a file name, and those need not be UTF-8; a cut one may end in half a
 * character. */
static json_t *reason_json(const char *reason)
{
    json_t *text = json_string(reason);
    return text != NULL ? text : json_string("The reason is no valid UTF-8 text; see the log.");
}

static bool condition_json(const condition_state *c, json_t *conditions, json_t *missing)
{
    json_t *entry = json_object();
    const bool ok = c->reason[0] == '\0';
    bool good = json_object_set_new(entry, "ok", json_boolean(ok)) == 0;
    if (good && !ok) {
        good = json_object_set_new(entry, "reason", reason_json(c->reason)) == 0 &&
               json_array_append_new(missing, json_string(c->name)) == 0;
    }
    return json_object_set_new(conditions, c->name, entry) == 0 && good;
}

/* NULL without memory. */
static json_t *health_json(const condition_state *list, unsigned count, bool *ready)
{
    json_t *root = json_object();
    json_t *conditions = json_object();
    json_t *missing = json_array();
    bool good = root != NULL && conditions != NULL && missing != NULL;
    for (unsigned i = 0; good && i < count; i++) {
        good = condition_json(&list[i], conditions, missing);
    }
    *ready = json_array_size(missing) == 0;
    good = good && json_object_set(root, "ready", json_boolean(*ready)) == 0 &&
           json_object_set(root, "degraded", json_boolean(!*ready)) == 0 &&
           json_object_set(root, "conditions", conditions) == 0;
    if (good && !*ready) {
        good = json_object_set(root, "missing", missing) == 0 &&
               json_object_set_new(root, "retry_after",
                                   json_integer(PQI_HEALTH_RETRY_AFTER_SECONDS)) == 0;
    }
    json_decref(conditions);
    json_decref(missing);
    if (!good) {
        json_decref(root);
        return NULL;
    }
    return root;
}

pql_status pqi_health_write(pqi_health *h, pqi_buf *out, bool *ready, pql_error *err)
{
    condition_state conditions[PQI_HEALTH_CONDITIONS_MAX];
    unsigned count;
    health_copy(h, conditions, &count);
    json_t *root = health_json(conditions, count, ready);
    char *text = root == NULL ? NULL : json_dumps(root, JSON_COMPACT);
    const bool written =
        text != NULL && pqi_buf_append(out, text, strlen(text)) && pqi_buf_append(out, "\n", 1);
    free(text);
    json_decref(root);
    return written ? PQL_OK : pqi_fail(err, PQL_E_NOMEM, "No memory to write the readiness state.");
}

static double ready_value(void *user, unsigned series)
{
    (void)series;
    return pqi_health_ready(user) ? 1 : 0;
}

void pqi_health_register(pqi_health *h, pqi_metrics *registry)
{
    (void)pqi_metrics_register(
        registry, &(pqi_metric_desc){.type = PQI_GAUGE,
                                     .name = "pqlink_ready",
                                     .help = "1 when every readiness condition is fulfilled.",
                                     .compute = ready_value,
                                     .user = h});
}
