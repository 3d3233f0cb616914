#include "cmd/snapshot.h"

#include "base/clock.h"
#include "base/error.h"
#include "cmd/facts.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* The JSON text that |buf| holds, which is freed; NULL when it is none. */
static json_t *parsed(pqi_buf *buf)
{
    json_t *value = json_loadb((const char *)buf->data, buf->len, 0, NULL);
    pqi_buf_free(buf);
    return value;
}

static json_t *health_json(pqi_health *health)
{
    pqi_buf text = {0};
    bool ready = false;
    if (pqi_health_write(health, &text, &ready, NULL) != PQL_OK) {
        pqi_buf_free(&text);
        return NULL;
    }
    return parsed(&text);
}

static json_t *view_json(const pqi_runtime_views *views, pql_error *err)
{
    pqi_buf text = {0};
    if (views->overview(views->user, &text, err) != PQL_OK) {
        pqi_buf_free(&text);
        return NULL;
    }
    return parsed(&text);
}

static json_t *posture_json(const pqi_runtime *rt)
{
    json_t *posture =
        pqi_posture_json((pql_policy)atomic_load(&rt->policy), rt->views.pq_authentication);
    (void)json_object_set_new(posture, "amnesia", json_boolean(rt->amnesia));
    return posture;
}

pql_status pqi_snapshot_write(pqi_runtime *rt, uint64_t now_ms, uint64_t now, pqi_buf *out,
                              pql_error *err)
{
    (void)pqi_fail(err, PQL_E_NOMEM, "Out of memory writing the snapshot.");
    json_t *root = json_pack(
        "{s:I, s:I, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "now_ms", (json_int_t)now_ms,
        "uptime_seconds", (json_int_t)((now - rt->opened) / PQI_NS_PER_SEC), "version",
        PQLINK_VERSION, "service", rt->views.service, "health", health_json(rt->health), "posture",
        posture_json(rt), "keys",
        rt->views.keys == NULL ? json_null() : rt->views.keys(rt->views.user), "links",
        pqi_link_table_links_json(rt->table), "downgrades",
        pqi_link_table_downgrades_json(rt->table), "handshakes",
        pqi_link_table_handshakes_json(rt->table), "view", view_json(&rt->views, err));
    char *text = root == NULL ? NULL : json_dumps(root, JSON_COMPACT);
    json_decref(root);
    const bool ok = text != NULL && pqi_buf_append(out, text, strlen(text));
    free(text);
    if (ok) {
        pqi_error_clear(err);
        return PQL_OK;
    }
    return err == NULL ? PQL_E_NOMEM : err->code;
}
