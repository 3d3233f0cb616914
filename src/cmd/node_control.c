#include "cmd/node_control.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"

#include <limits.h>
#include <stdio.h>

#define SERVICE "node"
/* What could not be undone is tried again after this. */
#define AGAIN PQI_NS_PER_SEC

static void wake(void *user)
{
    pqi_runtime_wake(user);
}

pql_status pqi_node_control_open(pqi_node_control *c, const pqi_node_control_opts *opts,
                                 pql_error *err)
{
    char path[PATH_MAX + sizeof("/" PQI_CONTROL_NAME)];
    *c = (pqi_node_control){.rt = opts->rt,
                            .policy = {.settings = opts->policy},
                            .set_policy = opts->set_policy,
                            .facts = opts->facts,
                            .service = opts->service};
    if (opts->dir == NULL) {
        return PQL_OK;
    }
    (void)snprintf(path, sizeof(path), "%s/" PQI_CONTROL_NAME, opts->dir);
    const pql_status status =
        pqi_control_open(&c->control, path, wake, (void *)(uintptr_t)opts->rt, err);
    if (status != PQL_E_IO) {
        return status;
    }
    pqi_log(PQI_LOG_WARN, SERVICE, "control_off",
            PQI_STR("reason", err != NULL ? err->message : ""));
    return PQL_OK; /* miners need no drills */
}

void pqi_node_control_close(pqi_node_control *c)
{
    pqi_control_close(c->control);
    *c = (pqi_node_control){.control = NULL};
}

/* Makes what |next| says hold, or leaves all as it was. */
static pql_status change(pqi_node_control *c, const pqi_policy_override *next, pql_error *err)
{
    const pql_policy before = pqi_policy_in_force(&c->policy);
    const pql_policy after = pqi_policy_in_force(next);
    const pql_status status = before == after ? PQL_OK : c->set_policy(c->service, after, err);
    if (status == PQL_OK) {
        c->policy = *next;
    }
    return status;
}

pql_policy pqi_node_control_would(const pqi_node_control *c, pql_policy policy)
{
    pqi_policy_override next = c->policy;
    next.settings = policy;
    return pqi_policy_in_force(&next);
}

void pqi_node_control_settings(pqi_node_control *c, pql_policy policy)
{
    c->policy.settings = policy;
}

static pql_status begin(pqi_node_control *c, const pqi_control_request *request, uint64_t now,
                        pql_error *err)
{
    pqi_policy_override next = c->policy;
    if (pqi_policy_is_weaker(request->policy, next.settings)) {
        return pqi_fail(
            err, PQL_E_POLICY,
            "The policy of the settings, %s, is stricter than %s, and an override never "
            "makes a node weaker. Change the settings for that.",
            pql_policy_name(next.settings), pql_policy_name(request->policy));
    }
    next.on = true;
    next.policy = request->policy;
    next.until = now + request->seconds * PQI_NS_PER_SEC;
    const pql_status status = change(c, &next, err);
    if (status == PQL_OK) {
        pqi_log(PQI_LOG_WARN, SERVICE, "policy_override_begins",
                PQI_STR("policy", pql_policy_name(request->policy)),
                PQI_STR("settings", pql_policy_name(c->policy.settings)),
                PQI_U64("seconds", request->seconds), PQI_U64("pid", (uint64_t)request->pid),
                PQI_U64("uid", request->uid));
    }
    return status;
}

static pql_status end(pqi_node_control *c, const char *reason, pql_error *err)
{
    pqi_policy_override next = c->policy;
    if (!next.on) {
        return PQL_OK;
    }
    next.on = false;
    const pql_status status = change(c, &next, err);
    if (status == PQL_OK) {
        pqi_log(PQI_LOG_WARN, SERVICE, "policy_override_ends", PQI_STR("reason", reason),
                PQI_STR("policy", pql_policy_name(pqi_policy_in_force(&c->policy))));
    }
    return status;
}

static json_t *facts_of(const pqi_node_control *c, uint64_t now)
{
    json_t *facts = c->facts(c->service);
    const pqi_policy_override *o = &c->policy;
    const uint64_t left = o->on && o->until > now ? (o->until - now) / PQI_NS_PER_SEC + 1 : 0;
    json_t *policy = json_pack(
        "{s:s, s:s, s:b, s:I}", "policy", pql_policy_name(pqi_policy_in_force(o)), "settings",
        pql_policy_name(o->settings), "override", (int)o->on, "seconds_left", (json_int_t)left);
    if (facts != NULL && policy != NULL) {
        (void)json_object_update(facts, policy);
    }
    json_decref(policy);
    return facts;
}

static void carry_out(pqi_node_control *c, const pqi_control_request *request, uint64_t now)
{
    pql_error err = {0};
    pql_status status = PQL_OK;
    switch (request->kind) {
    case PQI_CONTROL_OVERRIDE:
        status = begin(c, request, now, &err);
        break;
    case PQI_CONTROL_END:
        status =
            end(c, request->hung_up ? "the program that asked for it is gone" : "asked for", &err);
        if (status != PQL_OK && request->hung_up) {
            c->policy.until = now; /* nobody else would try again */
        }
        break;
    case PQI_CONTROL_STATUS:
        break;
    }
    pqi_control_answer(c->control, status, &err, status == PQL_OK ? facts_of(c, now) : NULL);
}

uint64_t pqi_node_control_tick(pqi_node_control *c, uint64_t now)
{
    pqi_control_request request;
    pql_error err = {0};
    while (pqi_control_take(c->control, &request)) {
        carry_out(c, &request, now);
    }
    if (pqi_policy_override_over(&c->policy, now) && end(c, "its time is over", &err) != PQL_OK) {
        pqi_log(PQI_LOG_ERROR, SERVICE, "policy_override_stays", PQI_STR("reason", err.message));
        c->policy.until = now + AGAIN;
    }
    return c->policy.on ? c->policy.until : UINT64_MAX;
}
