#include "cmd/rotation_view.h"

#include "cmd/fingerprint.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

void pqi_time_format(char out[PQI_TIME_TEXT_SIZE], uint64_t unix_seconds)
{
    const time_t when = (time_t)unix_seconds;
    struct tm utc;
    if (unix_seconds == 0 || gmtime_r(&when, &utc) == NULL ||
        strftime(out, PQI_TIME_TEXT_SIZE, "%Y-%m-%dT%H:%M:%SZ", &utc) == 0) {
        (void)snprintf(out, PQI_TIME_TEXT_SIZE, "never");
    }
}

/* True when |text| has the shape of |form|: '0' stands for a digit, anything else for itself. */
static bool has_form(const char *text, const char *form)
{
    for (; *form != '\0'; form++, text++) {
        if (*form == '0' ? *text < '0' || *text > '9' : *text != *form) {
            return false;
        }
    }
    return *text == '\0';
}

bool pqi_time_parse(uint64_t *out, const char *text)
{
    struct tm utc = {0};
    const char *end = NULL;
    if (has_form(text, "0000-00-00T00:00:00Z")) {
        end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &utc);
    } else if (has_form(text, "0000-00-00")) {
        end = strptime(text, "%Y-%m-%d", &utc);
    }
    if (end == NULL || *end != '\0') {
        return false;
    }
    const int day = utc.tm_mday;
    const time_t when = timegm(&utc);
    if (when < 0 || utc.tm_mday != day) { /* such as the 31st of a short month */
        return false;
    }
    *out = (uint64_t)when;
    return true;
}

const char *pqi_rotation_state_name(const pqi_rotation *rotation)
{
    return rotation->next != NULL ? "prepared" : rotation->previous != NULL ? "overlap" : "none";
}

uint64_t pqi_rotation_drop_at(const pqi_rotation *rotation)
{
    const pqi_rotation_plan *plan = &rotation->plan;
    if (rotation->next != NULL) {
        return plan->switch_at == 0 ? 0 : plan->switch_at + plan->keep;
    }
    return rotation->previous != NULL ? plan->drop_at : 0;
}

json_t *pqi_number_or_null(uint64_t number)
{
    return number == 0 ? json_null() : json_integer((json_int_t)number);
}

static json_t *identity_or_null(const pql_identity *id)
{
    return id == NULL ? json_null() : pqi_fingerprint_json(id);
}

json_t *pqi_rotation_json(const pqi_rotation *rotation)
{
    const uint64_t switch_at = rotation->next != NULL ? rotation->plan.switch_at : 0;
    return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "state",
                     pqi_rotation_state_name(rotation), "switch_at", pqi_number_or_null(switch_at),
                     "drop_at", pqi_number_or_null(pqi_rotation_drop_at(rotation)), "in_use_since",
                     pqi_number_or_null(rotation->since), "by_age_days",
                     pqi_number_or_null(rotation->plan.by_age), "current",
                     identity_or_null(rotation->current), "next", identity_or_null(rotation->next),
                     "previous", identity_or_null(rotation->previous));
}

/* Times of the three steps; 0: behind us, or nothing of the kind. */
typedef struct automatic {
    uint64_t prepare_at;
    uint64_t switch_at;
    uint64_t drop_at;
} automatic;

static automatic automatic_of(const pqi_age_step *step, uint64_t days)
{
    automatic a = {0};
    if (step->action == PQI_AGE_PREPARE) {
        a.prepare_at = step->when;
        a.switch_at = step->when + pqi_age_notice(days);
    } else if (step->action == PQI_AGE_SWITCH) {
        a.switch_at = step->when;
    } else if (step->action == PQI_AGE_DROP) {
        a.drop_at = step->when;
    }
    if (a.switch_at != 0) {
        a.drop_at = a.switch_at + pqi_age_keep(days);
    }
    return a;
}

json_t *pqi_rotation_automatic_json(const pqi_age_step *step, uint64_t days)
{
    if (step->action == PQI_AGE_NOTHING) {
        return json_null();
    }
    const automatic a = automatic_of(step, days);
    return json_pack("{s:I, s:o, s:o, s:o}", "days", (json_int_t)days, "prepare_at",
                     pqi_number_or_null(a.prepare_at), "switch_at", pqi_number_or_null(a.switch_at),
                     "drop_at", pqi_number_or_null(a.drop_at));
}

void pqi_rotation_print_automatic(const pqi_age_step *step, uint64_t days, uint64_t now_unix)
{
    const automatic a = automatic_of(step, days);
    char prepare_at[PQI_TIME_TEXT_SIZE];
    char switch_at[PQI_TIME_TEXT_SIZE];
    char drop_at[PQI_TIME_TEXT_SIZE];
    pqi_time_format(prepare_at, a.prepare_at);
    pqi_time_format(switch_at, a.switch_at);
    pqi_time_format(drop_at, a.drop_at);
    if (step->action == PQI_AGE_PREPARE && a.prepare_at <= now_unix) {
        printf("The key is older than %" PRIu64 " days less the notice: a node with "
               "--key-rotation-days %" PRIu64 " prepares the next one within an hour.\n",
               days, days);
    } else if (step->action == PQI_AGE_PREPARE) {
        printf("A node with --key-rotation-days %" PRIu64 " prepares the next one at %s, switches "
               "at %s, and drops the old one at %s.\n",
               days, prepare_at, switch_at, drop_at);
    } else if (step->action == PQI_AGE_NOTE) {
        printf("A node with --key-rotation-days %" PRIu64
               " counts the age of the key from its next look on.\n",
               days);
    }
}

/* The leaves of |other| that are not those in use. */
static void print_changed(const char *prefix, const pql_identity *other,
                          const pql_identity *current)
{
    for (int leaf = PQL_LEAF_PQ; leaf <= PQL_LEAF_CLASSICAL; leaf++) {
        if (!pqi_rotation_same_leaf(other, current, (pql_leaf)leaf)) {
            pqi_fingerprint_print_leaf(prefix, other, (pql_leaf)leaf);
        }
    }
}

static void print_next(const pqi_rotation *rotation)
{
    char switch_at[PQI_TIME_TEXT_SIZE];
    pqi_time_format(switch_at, rotation->plan.switch_at);
    if (rotation->plan.switch_at == 0) {
        printf("next, from 'pqlink rotate switch' on; miners can pin it already, beside the "
               "current one:\n");
    } else {
        printf("next, from %s on; miners can pin it already, beside the current one:\n", switch_at);
    }
    print_changed("next     ", rotation->next, rotation->current);
}

static void print_previous(const pqi_rotation *rotation)
{
    char drop_at[PQI_TIME_TEXT_SIZE];
    pqi_time_format(drop_at, rotation->plan.drop_at);
    printf("previous, accepted until %s:\n",
           rotation->plan.drop_at == 0 ? "'pqlink rotate finish'" : drop_at);
    print_changed("previous ", rotation->previous, rotation->current);
}

void pqi_rotation_print(const pqi_rotation *rotation)
{
    if (rotation->next != NULL) {
        print_next(rotation);
    }
    if (rotation->previous != NULL) {
        print_previous(rotation);
    }
}
