#include "cmd/node_reload.h"

#include "base/error.h"
#include "cmd/config_reload.h"
#include "cmd/security_options.h"

#define SERVICE "node"

pql_status pqi_node_change(const pqi_node_live *live, const pqi_context_change *change,
                           pql_error *err)
{
    const pql_policy before = pql_context_policy(live->ctx);
    const pql_policy after = change->policy != NULL ? *change->policy : before;
    pql_status status = pqi_context_prepare(live->ctx, change, err);
    if (status != PQL_OK) {
        return status;
    }
    if (after != before) {
        status = live->set_source_policy(live->service, after, err);
    }
    if (status != PQL_OK) {
        pqi_context_discard(live->ctx);
        return pqi_fail_context(err, status, "Towards the source");
    }
    pqi_context_publish(live->ctx, change);
    if (after != before) {
        live->policy_changed(live->service, after);
    }
    return PQL_OK;
}

/* All that was read, and is not in use yet. */
typedef struct fresh {
    const pqi_node_live *live;
    pqi_config_reload *settings;
    pql_policy policy; /* of the settings */
    uint64_t days;     /* between rotations by age */
    pqi_node_caps_fresh caps;
    pqi_tokens_fresh *tokens;
    pqi_rotation rotation;
    pqi_node_clients clients;
} fresh;

static pql_status note_policy(void *service, pql_policy policy, pql_error *err)
{
    (void)err; /* whether it can hold shows when all is read */
    ((fresh *)service)->policy = policy;
    return PQL_OK;
}

static void note_days(void *service, uint64_t days)
{
    ((fresh *)service)->days = days;
}

static pql_status read_all(fresh *f, pqi_security_live *notes, pql_error *err)
{
    const pqi_node_live *live = f->live;
    pql_status status = pqi_config_reload_begin(&f->settings, SERVICE, notes, err);
    if (status == PQL_OK) {
        status = pqi_node_caps_read(live->caps, &f->caps, err);
    }
    if (status == PQL_OK && live->tokens != NULL) {
        status = pqi_tokens_read(live->tokens, &f->tokens, err);
    }
    if (status == PQL_OK) {
        status = pqi_node_clients_open(&f->clients, live->clients->path, err);
    }
    if (status == PQL_OK) {
        status = pqi_node_rotation_read(live->rotation, &f->rotation, err);
    }
    return status;
}

/* The last that can fail: identity, clients and policy, which have to go together. */
static pql_status change_links(const fresh *f, pql_error *err)
{
    const pql_policy policy = pqi_node_control_would(f->live->control, f->policy);
    const pqi_context_change change = {.current = f->rotation.current,
                                       .other = pqi_node_rotation_other(&f->rotation),
                                       .clients = pqi_node_clients_peer(&f->clients),
                                       .policy = &policy};
    return pqi_node_change(f->live, &change, err);
}

static void take_all(fresh *f, pqi_changes *changes)
{
    const pqi_node_live *live = f->live;
    pqi_config_reload_finish(f->settings, changes);
    pqi_node_control_settings(live->control, f->policy);
    pqi_node_rotation_by_age(live->rotation, f->days);
    pqi_node_caps_take(live->caps, &f->caps, changes);
    if (f->tokens != NULL && pqi_tokens_differ(live->tokens, f->tokens)) {
        const size_t before = pqi_tokens_count(live->tokens);
        pqi_tokens_take(live->tokens, f->tokens);
        pqi_changes_add(changes, "tokens: %zu -> %zu", before, pqi_tokens_count(live->tokens));
    } else {
        pqi_tokens_discard(f->tokens);
    }
    if (f->clients.path != NULL) {
        pqi_node_clients_take(live->clients, &f->clients, changes);
    }
    pqi_node_rotation_take(live->rotation, &f->rotation, changes);
    live->check_grants(live->service);
}

static void discard_all(fresh *f)
{
    pqi_config_reload_undo(f->settings);
    pqi_node_caps_discard(&f->caps);
    pqi_tokens_discard(f->tokens);
    pqi_node_clients_close(&f->clients);
    pqi_rotation_clear(&f->rotation);
}

bool pqi_node_reload(const pqi_node_live *live)
{
    fresh f = {
        .live = live, .policy = live->control->policy.settings, .days = live->rotation->days};
    pqi_security_live notes = {
        .set_policy = note_policy, .set_rotation_days = note_days, .service = &f};
    pqi_changes changes = {.text = ""};
    pql_error err = {0};
    pql_status status = read_all(&f, &notes, &err);
    if (status == PQL_OK) {
        status = change_links(&f, &err);
    }
    if (status == PQL_OK) {
        take_all(&f, &changes);
    } else {
        discard_all(&f);
    }
    pqi_config_reload_log(SERVICE, status, &err, &changes);
    return status == PQL_OK;
}
