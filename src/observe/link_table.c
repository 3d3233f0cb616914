#include "observe/link_table.h"

#include "base/clock.h"
#include "observe/pq_metrics.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct row {
    uint64_t id;
    uint64_t opened_ms;
    bool used;
    bool server;
    char address[PQI_LINK_ADDRESS_SIZE];
    char alpn[PQI_LINK_ALPN_SIZE];
    pql_posture posture;
} row;

typedef struct downgrade {
    uint64_t time_ms;
    pql_downgrade reason;
    uint16_t group;
    bool server;
    bool refused;
    char address[PQI_LINK_ADDRESS_SIZE];
    char alpn[PQI_LINK_ALPN_SIZE];
} downgrade;

/* Links fall on stripes by their number, which rises by one: the rows of all stripes together are
 * about the newest links. */
typedef struct stripe {
    pthread_mutex_t lock;
    row rows[PQI_LINK_TABLE_ROWS];
} stripe;

struct pqi_link_table {
    stripe stripes[PQI_LINK_TABLE_STRIPES];
    pthread_mutex_t downgrade_lock;
    downgrade downgrades[PQI_DOWNGRADES_KEPT]; /* a ring */
    uint64_t downgrade_count;
    atomic_uint_fast64_t opened;
    atomic_uint_fast64_t closed[PQI_POSTURE_COUNT];
    atomic_uint_fast64_t opened_as[PQI_POSTURE_COUNT];
    atomic_uint_fast64_t completed;
    atomic_uint_fast64_t failed;
    atomic_uint_fast64_t latency[PQI_LATENCY_BUCKETS];
};

pql_status pqi_link_table_new(pqi_link_table **out, pql_error *err)
{
    pqi_link_table *table = calloc(1, sizeof(*table));
    *out = table;
    if (table == NULL) {
        return pqi_fail(err, PQL_E_NOMEM, "No memory for the table of links.");
    }
    for (size_t i = 0; i < PQI_LINK_TABLE_STRIPES; i++) {
        (void)pthread_mutex_init(&table->stripes[i].lock, NULL);
    }
    (void)pthread_mutex_init(&table->downgrade_lock, NULL);
    return PQL_OK;
}

void pqi_link_table_free(pqi_link_table *table)
{
    if (table == NULL) {
        return;
    }
    for (size_t i = 0; i < PQI_LINK_TABLE_STRIPES; i++) {
        (void)pthread_mutex_destroy(&table->stripes[i].lock);
    }
    (void)pthread_mutex_destroy(&table->downgrade_lock);
    free(table);
}

/* ---- What observers hear ---- */

static void copy_text(char *out, size_t size, const char *text)
{
    (void)snprintf(out, size, "%s", text == NULL ? "" : text);
}

static void note_downgrade(pqi_link_table *table, const pql_link_info *link, bool refused,
                           uint64_t now_ms)
{
    (void)pthread_mutex_lock(&table->downgrade_lock);
    downgrade *d = &table->downgrades[table->downgrade_count++ % PQI_DOWNGRADES_KEPT];
    *d = (downgrade){.time_ms = now_ms,
                     .server = link->server,
                     .refused = refused,
                     .reason = link->posture->downgrade,
                     .group = link->posture->group};
    copy_text(d->address, sizeof(d->address), link->address);
    copy_text(d->alpn, sizeof(d->alpn), link->alpn);
    (void)pthread_mutex_unlock(&table->downgrade_lock);
}

static size_t bucket_of(uint64_t ns)
{
    if ((double)ns <= PQI_LATENCY_FIRST_NS) {
        return 0;
    }
    const double steps = log((double)ns / PQI_LATENCY_FIRST_NS) / log(PQI_LATENCY_STEP);
    return steps >= PQI_LATENCY_BUCKETS - 1 ? PQI_LATENCY_BUCKETS - 1 : (size_t)ceil(steps);
}

void pqi_link_table_handshake(pqi_link_table *table, const pql_link_info *link,
                              const pql_close *failure, uint64_t now_ms)
{
    if (table == NULL) {
        return;
    }
    /* A handshake that failed is a downgrade where that is why. */
    const pql_downgrade reason = link->posture->downgrade;
    const bool noted =
        failure == NULL ? reason != PQL_DOWNGRADE_NONE : reason == PQL_DOWNGRADE_REMEMBERED;
    if (noted) {
        note_downgrade(table, link, failure != NULL, now_ms);
    }
    if (failure != NULL) {
        atomic_fetch_add(&table->failed, 1);
        return;
    }
    atomic_fetch_add(&table->completed, 1);
    atomic_fetch_add(&table->latency[bucket_of(link->posture->handshake_ns)], 1);
}

static pqi_label_posture kind_of(const pql_posture *posture)
{
    return pqi_label_posture_of(pqi_label_group_of(posture->group));
}

/* A free row, or that of the oldest link. */
static row *row_for(stripe *s)
{
    row *best = &s->rows[0];
    for (size_t i = 0; i < PQI_LINK_TABLE_ROWS; i++) {
        row *r = &s->rows[i];
        if (!r->used) {
            return r;
        }
        best = r->id < best->id ? r : best;
    }
    return best;
}

static void enter(stripe *s, const pql_link_info *link, uint64_t now_ms)
{
    row *r = row_for(s);
    *r = (row){.id = link->id,
               .opened_ms = now_ms,
               .used = true,
               .server = link->server,
               .posture = *link->posture};
    copy_text(r->address, sizeof(r->address), link->address);
    copy_text(r->alpn, sizeof(r->alpn), link->alpn);
}

static void leave(stripe *s, uint64_t id)
{
    for (size_t i = 0; i < PQI_LINK_TABLE_ROWS; i++) {
        if (s->rows[i].used && s->rows[i].id == id) {
            s->rows[i].used = false;
        }
    }
}

void pqi_link_table_change(pqi_link_table *table, const pql_link_info *link, const pql_close *why,
                           uint64_t now_ms)
{
    if (table == NULL) {
        return;
    }
    const pqi_label_posture k = kind_of(link->posture);
    stripe *s = &table->stripes[link->id % PQI_LINK_TABLE_STRIPES];
    atomic_fetch_add(why == NULL ? &table->opened_as[k] : &table->closed[k], 1);
    (void)pthread_mutex_lock(&s->lock);
    if (why == NULL) {
        enter(s, link, now_ms);
    } else {
        leave(s, link->id);
    }
    (void)pthread_mutex_unlock(&s->lock);
    if (why == NULL) {
        atomic_fetch_add(&table->opened, 1);
    }
}

/* ---- What is shown ---- */

/* Text of our own and of peers; what is no UTF-8 becomes an empty string. */
static json_t *text_json(const char *text)
{
    json_t *value = json_string(text);
    return value != NULL ? value : json_string("");
}

static json_t *signature_json(uint16_t scheme)
{
    return scheme == 0 ? json_null() : json_string(pql_signature_name(scheme));
}

static json_t *group_json(uint16_t group)
{
    return group == 0 ? json_null() : json_string(pql_group_name(group));
}

static const char *role_name(bool server)
{
    return server ? "server" : "client";
}

static json_t *row_json(const row *r)
{
    const pql_posture *p = &r->posture;
    return json_pack(
        "{s:I, s:s, s:o, s:o, s:I, s:o, s:o, s:o, s:s, s:s, s:b, s:b, s:b, s:b, s:s, s:f, s:o}",
        "id", (json_int_t)r->id, "role", role_name(r->server), "address", text_json(r->address),
        "protocol", text_json(r->alpn), "opened_ms", (json_int_t)r->opened_ms, "group",
        group_json(p->group), "own_signature", signature_json(p->own_signature), "peer_signature",
        signature_json(p->peer_signature), "cipher", pql_cipher_name(p->cipher), "trust",
        pql_trust_name(p->trust), "pq_key_exchange", (int)p->pq_key_exchange, "pq_authentication",
        (int)p->pq_authentication, "resumed", (int)p->resumed, "early_data", (int)p->early_data,
        "downgrade", pql_downgrade_name(p->downgrade), "handshake_ms",
        (double)p->handshake_ns / (double)PQI_NS_PER_MS, "round_trips",
        r->server ? json_null() : json_integer((json_int_t)p->round_trips));
}

static int newest_first(const void *a, const void *b)
{
    const uint64_t x = ((const row *)a)->id;
    const uint64_t y = ((const row *)b)->id;
    return x < y ? 1 : x > y ? -1 : 0;
}

/* Copies what is used to |out|, which has room for PQI_LINK_TABLE_MAX; answers how many. */
static size_t rows_copy(pqi_link_table *table, row *out)
{
    size_t count = 0;
    for (size_t i = 0; i < PQI_LINK_TABLE_STRIPES; i++) {
        stripe *s = &table->stripes[i];
        (void)pthread_mutex_lock(&s->lock);
        for (size_t j = 0; j < PQI_LINK_TABLE_ROWS; j++) {
            if (s->rows[j].used) {
                out[count++] = s->rows[j];
            }
        }
        (void)pthread_mutex_unlock(&s->lock);
    }
    qsort(out, count, sizeof(*out), newest_first);
    return count;
}

/* Closed is read before opened: a link that does both in between counts as open, never as less
 * than none. */
static json_int_t open_of(pqi_link_table *table, pqi_label_posture k)
{
    const uint64_t closed = atomic_load(&table->closed[k]);
    return (json_int_t)(atomic_load(&table->opened_as[k]) - closed);
}

json_t *pqi_link_table_links_json(pqi_link_table *table)
{
    row *rows = malloc(PQI_LINK_TABLE_MAX * sizeof(*rows));
    json_t *list = rows == NULL ? NULL : json_array();
    const size_t count = list == NULL ? 0 : rows_copy(table, rows);
    for (size_t i = 0; i < count; i++) {
        (void)json_array_append_new(list, row_json(&rows[i]));
    }
    free(rows);
    const json_int_t hybrid = open_of(table, PQI_POSTURE_HYBRID);
    const json_int_t pq = open_of(table, PQI_POSTURE_PQ);
    const json_int_t classical = open_of(table, PQI_POSTURE_CLASSICAL);
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:o}", "open", hybrid + pq + classical, "opened",
                     (json_int_t)atomic_load(&table->opened), "hybrid", hybrid, "pq", pq,
                     "classical", classical, "list", list);
}

static json_t *downgrade_json(const downgrade *d)
{
    return json_pack("{s:I, s:s, s:o, s:o, s:o, s:s, s:b}", "time_ms", (json_int_t)d->time_ms,
                     "role", role_name(d->server), "address", text_json(d->address), "protocol",
                     text_json(d->alpn), "group", group_json(d->group), "reason",
                     pql_downgrade_name(d->reason), "refused", (int)d->refused);
}

json_t *pqi_link_table_downgrades_json(pqi_link_table *table)
{
    downgrade copies[PQI_DOWNGRADES_KEPT];
    (void)pthread_mutex_lock(&table->downgrade_lock);
    memcpy(copies, table->downgrades, sizeof(copies));
    const uint64_t count = table->downgrade_count;
    (void)pthread_mutex_unlock(&table->downgrade_lock);
    json_t *last = json_array();
    for (uint64_t i = 0; i < count && i < PQI_DOWNGRADES_KEPT; i++) {
        (void)json_array_append_new(last,
                                    downgrade_json(&copies[(count - 1 - i) % PQI_DOWNGRADES_KEPT]));
    }
    return json_pack("{s:I, s:o}", "count", (json_int_t)count, "last", last);
}

/* The upper end of the bucket in which the share |q| of |total| is reached, in milliseconds. */
static json_t *quantile_json(const uint64_t *counts, uint64_t total, double q)
{
    if (total == 0) {
        return json_null();
    }
    const double wanted = q * (double)total;
    uint64_t sum = 0;
    size_t i = 0;
    while (i < PQI_LATENCY_BUCKETS - 1 && (double)(sum += counts[i]) < wanted) {
        i++;
    }
    return json_real(PQI_LATENCY_FIRST_NS * pow(PQI_LATENCY_STEP, (double)i) /
                     (double)PQI_NS_PER_MS);
}

json_t *pqi_link_table_handshakes_json(pqi_link_table *table)
{
    uint64_t counts[PQI_LATENCY_BUCKETS];
    uint64_t total = 0;
    for (size_t i = 0; i < PQI_LATENCY_BUCKETS; i++) {
        counts[i] = atomic_load(&table->latency[i]);
        total += counts[i];
    }
    return json_pack(
        "{s:I, s:I, s:o, s:o, s:o}", "completed", (json_int_t)atomic_load(&table->completed),
        "failed", (json_int_t)atomic_load(&table->failed), "p50_ms",
        quantile_json(counts, total, 0.5), "p95_ms", quantile_json(counts, total, 0.95), "p99_ms",
        quantile_json(counts, total, 0.99));
}
