#include "cmd/expiry.h"

#include "base/clock.h"
#include "base/log.h"
#include "cmd/rotation_view.h"
#include "crypto/validity.h"
#include "identity/identity.h"
#include "trust/authority.h"

#include <math.h>
#include <string.h>

#define SECONDS_PER_DAY (UINT64_C(24) * 3600)
#define MS_PER_SEC 1000

/* Falling; the last is the end itself. */
static const uint64_t thresholds[] = {30 * SECONDS_PER_DAY, 7 * SECONDS_PER_DAY, SECONDS_PER_DAY,
                                      0};
#define THRESHOLDS (sizeof(thresholds) / sizeof(thresholds[0]))
/* From this one on it is an error: a day is left, or nothing. */
#define URGENT (THRESHOLDS - 1)

static const char *const leaf_names[] = {"pq", "classical"};
static const char *const watched_names[] = {"pq", "classical", "ca"};

/* ---- The metric ---- */

/* Seconds left; negative when it is over. */
static double compute(void *user, unsigned series)
{
    pqi_expiry *e = user;
    const uint64_t not_after = atomic_load(&e->watched[series].not_after);
    const uint64_t now = pqi_clock_unix_ms() / MS_PER_SEC;
    return not_after == PQI_VALID_FOR_EVER ? INFINITY : (double)not_after - (double)now;
}

void pqi_expiry_register(pqi_expiry *e, const char *service, pqi_metrics *registry)
{
    *e = (pqi_expiry){.service = service};
    for (size_t i = 0; i < PQI_EXPIRY_WATCHED; i++) {
        atomic_store(&e->watched[i].not_after, PQI_VALID_FOR_EVER);
    }
    if (registry != NULL) {
        (void)pqi_metrics_register(
            registry, &(pqi_metric_desc){.type = PQI_GAUGE,
                                         .name = "pqlink_certificate_expiry_seconds",
                                         .help = "Time until a certificate that is shown ends; "
                                                 "negative: it is over, +Inf: it has no end.",
                                         .labels = {{"leaf", leaf_names, PQI_EXPIRY_LEAVES}},
                                         .compute = compute,
                                         .user = e});
    }
}

/* ---- The log ---- */

static void say(const pqi_expiry *e, size_t which, uint64_t left)
{
    char end[PQI_TIME_TEXT_SIZE];
    const bool over = left == 0;
    const bool root = which == PQI_EXPIRY_ROOT;
    pqi_time_format(end, atomic_load(&e->watched[which].not_after));
    pqi_log(e->watched[which].said >= URGENT ? PQI_LOG_ERROR : PQI_LOG_WARN, e->service,
            over ? "certificate_expired" : "certificate_expires",
            PQI_STR("leaf", watched_names[which]),
            PQI_STR(root ? "file" : "fingerprint", root ? e->file : e->watched[which].name),
            PQI_STR("not_after", end), PQI_U64("days_left", left / SECONDS_PER_DAY),
            PQI_STR("message",
                    root ? "A root of the CA file ends: nodes below it are refused from then on. "
                           "Ask the authority for the next one and add it to the file."
                         : "This endpoint shows a certificate that ends: peers that look at its "
                           "dates refuse it from then on, those that pinned it do not. 'pqlink "
                           "rotate prepare --leaf classical' makes another one."));
}

static void look_at(pqi_expiry *e, size_t which, uint64_t now_unix)
{
    const uint64_t not_after = atomic_load(&e->watched[which].not_after);
    const uint64_t left = not_after > now_unix ? not_after - now_unix : 0;
    unsigned reached = 0;
    while (reached < THRESHOLDS && left <= thresholds[reached]) {
        reached++;
    }
    if (reached > e->watched[which].said) {
        e->watched[which].said = reached;
        say(e, which, left);
    }
}

/* Another certificate than before begins anew. */
static void watch_leaf(pqi_expiry *e, const pql_identity *id, pql_leaf leaf)
{
    pql_fingerprint fp;
    char name[PQL_FINGERPRINT_SIZE];
    pql_identity_fingerprint(id, leaf, PQL_FINGERPRINT_CERT, &fp);
    pql_fingerprint_format(&fp, name);
    if (strcmp(name, e->watched[leaf].name) != 0) {
        memcpy(e->watched[leaf].name, name, sizeof(name));
        e->watched[leaf].said = 0;
        atomic_store(&e->watched[leaf].not_after, pqi_identity_not_after(id, leaf));
    }
}

void pqi_expiry_look(pqi_expiry *e, const pql_identity *id, uint64_t now_unix)
{
    for (int leaf = PQL_LEAF_PQ; id != NULL && leaf <= PQL_LEAF_CLASSICAL; leaf++) {
        watch_leaf(e, id, (pql_leaf)leaf);
    }
    for (size_t i = 0; i < PQI_EXPIRY_WATCHED; i++) {
        look_at(e, i, now_unix);
    }
}

pql_status pqi_expiry_roots(pqi_expiry *e, const char *file, pql_error *err)
{
    uint64_t not_after = PQI_VALID_FOR_EVER;
    if (file == NULL) {
        return PQL_OK;
    }
    const pql_status status = pqi_authority_first_end(file, &not_after, err);
    if (status == PQL_OK) {
        e->file = file;
        atomic_store(&e->watched[PQI_EXPIRY_ROOT].not_after, not_after);
    }
    return status;
}
