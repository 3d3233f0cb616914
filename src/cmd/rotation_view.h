/* A rotation as people and programs read it: rotate status, fingerprint, and /status of a node. */
#ifndef PQI_CMD_ROTATION_VIEW_H
#define PQI_CMD_ROTATION_VIEW_H

#include "cmd/rotation_age.h"
#include "identity/rotation.h"

#include <jansson.h>

/* "2026-12-01T12:00:00Z"; "never" for 0. */
#define PQI_TIME_TEXT_SIZE 32
void pqi_time_format(char out[PQI_TIME_TEXT_SIZE], uint64_t unix_seconds);

/* Reads "YYYY-MM-DDTHH:MM:SSZ" or "YYYY-MM-DD" (UTC, midnight), of a year up to 9999.  False for
 * anything else, *out then untouched.  Pure. */
bool pqi_time_parse(uint64_t *out, const char *text);

/* A number; null for 0. */
json_t *pqi_number_or_null(uint64_t number);

/* "prepared", "overlap" or "none"; a static string. */
const char *pqi_rotation_state_name(const pqi_rotation *rotation);

/* When the previous identity goes or will go, as far as it is known; 0: it is not. */
uint64_t pqi_rotation_drop_at(const pqi_rotation *rotation);

/* One JSON object: state; switch_at, drop_at and in_use_since (Unix seconds or null); by_age_days
 * (null when somebody typed the rotation under way, or none is); and current, next and previous
 * as pqi_fingerprint_json makes them or null.  NULL without memory; owned by the caller. */
json_t *pqi_rotation_json(const pqi_rotation *rotation);

/* What happens by itself, |step| of a rotation by age after |days|, and what follows from that: an
 * object with days, prepare_at, switch_at, drop_at (Unix seconds or null); null when that is
 * nothing.  NULL without memory; owned by the caller. */
json_t *pqi_rotation_automatic_json(const pqi_age_step *step, uint64_t days);

/* The same as sentences; |now_unix| tells what is overdue. */
void pqi_rotation_print_automatic(const pqi_age_step *step, uint64_t days, uint64_t now_unix);

/* Prints next and previous with their times, the leaves that differ from the current ones only;
 * nothing when there is neither. */
void pqi_rotation_print(const pqi_rotation *rotation);

#endif
