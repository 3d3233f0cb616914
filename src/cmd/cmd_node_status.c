/* pqlink node status: what a running node does, for people. */
#include "base/clock.h"
#include "base/secret.h"
#include "base/text.h"
#include "cmd/commands.h"
#include "cmd/http_get.h"
#include "cmd/mine_status.h"
#include "cmd/token_input.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#define TIMEOUT (10 * PQI_NS_PER_SEC)
/* Some 600 bytes a miner: enough for 50,000. */
#define ANSWER_MAX ((size_t)32 << 20)
#define HTTP_OK 200
#define HTTP_UNAUTHORIZED 401
#define HTTP_FORBIDDEN 403
#define MS_PER_SEC 1000
#define CELL_SIZE 96
#define NODE_SIZE 512

typedef struct status_options {
    pqi_endpoint admin;
    const char *token_file;
    bool json;
} status_options;

static const pqi_option status_table[] = {
    {.name = "admin",
     .kind = PQI_OPTION_ENDPOINT,
     .at = PQI_AT(status_options, admin, pqi_endpoint),
     .arg = "ADDRESS:PORT",
     .help = "Admin port of the node.",
     .fallback = "127.0.0.1:9834"},
    {.name = "token-file",
     .kind = PQI_OPTION_FILE,
     .at = PQI_AT(status_options, token_file, const char *),
     .arg = "FILE",
     .help = "Ask with the capability token in a file, for a node with --admin-capabilities; - is "
             "standard input."},
    {.name = "json",
     .kind = PQI_OPTION_FLAG,
     .at = PQI_AT(status_options, json, bool),
     .help = "Print the JSON object as the node gives it."},
};

static pql_status status_check(const void *options, pql_error *err)
{
    const status_options *o = options;
    return o->admin.off
               ? pqi_fail(err, PQL_E_USAGE, "A node whose admin port is off cannot be asked.")
               : PQL_OK;
}

/* ---- Members of the answer; what a node of another version does not say is empty or 0 ---- */

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

static uint64_t number_of(const json_t *object, const char *key)
{
    const json_int_t value = json_integer_value(json_object_get(object, key));
    return value > 0 ? (uint64_t)value : 0;
}

/* ---- The table: a column is a title and how its cell is written ---- */

typedef void (*cell_writer)(char out[CELL_SIZE], const json_t *miner);

static void put_text(char out[CELL_SIZE], const json_t *miner, const char *key)
{
    (void)snprintf(out, CELL_SIZE, "%s", text_of(miner, key));
    pqi_text_clean(out);
    if (out[0] == '\0') {
        (void)snprintf(out, CELL_SIZE, "-");
    }
}

static void put_number(char out[CELL_SIZE], uint64_t number)
{
    (void)snprintf(out, CELL_SIZE, "%llu", (unsigned long long)number);
}

static void name_cell(char out[CELL_SIZE], const json_t *miner)
{
    put_text(out, miner, "name");
}

static void token_cell(char out[CELL_SIZE], const json_t *miner)
{
    put_text(out, miner, "token");
}

static void protocol_cell(char out[CELL_SIZE], const json_t *miner)
{
    put_text(out, miner, "protocol");
}

static void group_cell(char out[CELL_SIZE], const json_t *miner)
{
    put_text(out, miner, "group");
}

static void rate_cell(char out[CELL_SIZE], const json_t *miner)
{
    char rate[PQI_RATE_SIZE];
    pqi_rate_format(rate, (double)number_of(miner, "hash_rate"));
    (void)snprintf(out, CELL_SIZE, "%s", rate);
}

static void jobs_cell(char out[CELL_SIZE], const json_t *miner)
{
    put_number(out, number_of(miner, "jobs"));
}

static void shares_cell(char out[CELL_SIZE], const json_t *miner)
{
    put_number(out, number_of(miner, "shares"));
}

static void blocks_cell(char out[CELL_SIZE], const json_t *miner)
{
    put_number(out, number_of(miner, "blocks"));
}

static void stale_cell(char out[CELL_SIZE], const json_t *miner)
{
    put_number(out, number_of(miner, "stale"));
}

static void refused_cell(char out[CELL_SIZE], const json_t *miner)
{
    put_number(out, number_of(miner, "invalid") + number_of(miner, "duplicate") +
                        number_of(miner, "flood") + number_of(miner, "rejected") +
                        number_of(miner, "unavailable"));
}

static void since_cell(char out[CELL_SIZE], const json_t *miner)
{
    const uint64_t now = pqi_clock_unix_ms();
    const uint64_t since = number_of(miner, "connected_ms");
    const uint64_t seconds = now > since ? (now - since) / MS_PER_SEC : 0;
    (void)snprintf(out, CELL_SIZE, "%llu:%02u:%02u", (unsigned long long)(seconds / 3600),
                   (unsigned)(seconds / 60 % 60), (unsigned)(seconds % 60));
}

static void address_cell(char out[CELL_SIZE], const json_t *miner)
{
    put_text(out, miner, "address");
}

static const struct {
    const char *title;
    cell_writer write;
    bool right; /* numbers stand below each other at the right */
} columns[] = {
    {"NAME", name_cell, false},         {"TOKEN", token_cell, false},
    {"PROTOCOL", protocol_cell, false}, {"KEY EXCHANGE", group_cell, false},
    {"HASH RATE", rate_cell, true},     {"JOBS", jobs_cell, true},
    {"SHARES", shares_cell, true},      {"BLOCKS", blocks_cell, true},
    {"STALE", stale_cell, true},        {"REFUSED", refused_cell, true},
    {"CONNECTED", since_cell, true},    {"ADDRESS", address_cell, false},
};
#define COLUMN_COUNT (sizeof(columns) / sizeof(columns[0]))

static void measure(size_t widths[COLUMN_COUNT], const json_t *miners)
{
    const json_t *miner;
    size_t index;
    char cell[CELL_SIZE];
    for (size_t i = 0; i < COLUMN_COUNT; i++) {
        widths[i] = strlen(columns[i].title);
        json_array_foreach(miners, index, miner)
        {
            columns[i].write(cell, miner);
            const size_t len = strlen(cell);
            widths[i] = len > widths[i] ? len : widths[i];
        }
    }
}

static void print_cell(size_t column, size_t width, const char *text)
{
    const bool last = column + 1 == COLUMN_COUNT;
    const int pad = columns[column].right ? (int)width : -(int)width;
    printf("%s%*s%s", column == 0 ? "" : "  ", last ? 0 : pad, text, last ? "\n" : "");
}

static void print_miners(const json_t *miners)
{
    size_t widths[COLUMN_COUNT];
    const json_t *miner;
    size_t index;
    char cell[CELL_SIZE];
    measure(widths, miners);
    for (size_t i = 0; i < COLUMN_COUNT; i++) {
        print_cell(i, widths[i], columns[i].title);
    }
    json_array_foreach(miners, index, miner)
    {
        for (size_t i = 0; i < COLUMN_COUNT; i++) {
            columns[i].write(cell, miner);
            print_cell(i, widths[i], cell);
        }
    }
}

/* What gives the jobs, where that is not the node itself. */
static void print_source(const json_t *source)
{
    char node[NODE_SIZE];
    if (strcmp(text_of(source, "kind"), "node") != 0) {
        return;
    }
    if (json_is_true(json_object_get(source, "connected"))) {
        (void)snprintf(node, sizeof(node), "%s", text_of(source, "node"));
        pqi_text_clean(node);
        printf("source %s: connected\n", node);
    } else {
        printf("source: not connected; the log of the node says why\n");
    }
}

/* Official nodes tell no height: 0 is none that is known. */
static void print_height(const char *before, uint64_t height, const char *after)
{
    if (height > 0) {
        printf("%s%llu%s", before, (unsigned long long)height, after);
    }
}

static void print_status(const json_t *root)
{
    const json_t *miners = json_object_get(root, "miners");
    const json_t *miner;
    size_t index;
    char cell[CELL_SIZE];
    double rate = 0;
    char rate_text[PQI_RATE_SIZE];
    json_array_foreach(miners, index, miner)
    {
        rate += (double)number_of(miner, "hash_rate");
    }
    pqi_rate_format(rate_text, rate);
    put_text(cell, root, "difficulty");
    print_height("height ", number_of(root, "height"), ", ");
    printf("%llu blocks accepted since the start\n",
           (unsigned long long)number_of(root, "blocks_accepted"));
    if (json_is_true(json_object_get(root, "has_job"))) {
        printf("job %s", text_of(root, "job_id"));
        print_height(" for height ", number_of(root, "job_height"), "");
        printf(", difficulty %s\n", cell);
    } else {
        printf("no job: there is nothing to mine now\n");
    }
    print_source(json_object_get(root, "source"));
    printf("%zu %s, %s\n", json_array_size(miners),
           json_array_size(miners) == 1 ? "miner" : "miners", rate_text);
    if (json_array_size(miners) > 0) {
        printf("\n");
        print_miners(miners);
    }
}

/* ---- Asking ---- */

/* A word of the closed list, as far as that goes with whoever answers. */
static pql_status fail_forbidden(const pqi_buf *body, pql_error *err)
{
    char reason[CELL_SIZE] = "";
    const size_t len = body->len < sizeof(reason) ? body->len : sizeof(reason) - 1;
    memcpy(reason, body->data, len);
    reason[strcspn(reason, "\n")] = '\0';
    pqi_text_clean(reason);
    return pqi_fail(err, PQL_E_REFUSED, "The node denied the request: %s.", reason);
}

static pql_status get(const status_options *o, unsigned *code, pqi_buf *body, pql_error *err)
{
    char *token = NULL;
    pql_status status =
        o->token_file == NULL ? PQL_OK : pqi_token_input(&token, o->token_file, err);
    if (status == PQL_OK) {
        status = pqi_http_get_as(&o->admin, "/status", token, TIMEOUT, code, body, err);
    }
    pqi_secret_free(token, token == NULL ? 0 : strlen(token));
    return status;
}

/* *root is a node's answer, owned by the caller. */
static pql_status ask(const status_options *o, pqi_buf *body, json_t **root, pql_error *err)
{
    unsigned code = 0;
    const pql_status status = get(o, &code, body, err);
    if (status == PQL_E_NETWORK) {
        return pqi_fail(err, status,
                        "No node answers at %s:%u.  Is it running, and is this its admin port "
                        "(--admin)?",
                        o->admin.host, (unsigned)o->admin.port);
    }
    if (status != PQL_OK) {
        return status;
    }
    if (code == HTTP_UNAUTHORIZED) {
        return pqi_fail(err, PQL_E_REFUSED,
                        "The node asks for a capability token: give one with --token-file FILE.");
    }
    if (code == HTTP_FORBIDDEN && o->token_file != NULL) {
        return fail_forbidden(body, err);
    }
    *root = code == HTTP_OK
                ? json_loadb((const char *)body->data, body->len, JSON_REJECT_DUPLICATES, NULL)
                : NULL;
    if (!json_is_array(json_object_get(*root, "miners"))) {
        json_decref(*root);
        *root = NULL;
        return pqi_fail(err, PQL_E_PROTOCOL,
                        "What answers at %s:%u is not the admin port of a pqlink node (HTTP %u).",
                        o->admin.host, (unsigned)o->admin.port, code);
    }
    return PQL_OK;
}

static pql_status status_run(const void *options, pql_error *err)
{
    const status_options *o = options;
    pqi_buf body = {.max = ANSWER_MAX};
    json_t *root = NULL;
    const pql_status status = ask(o, &body, &root, err);
    if (status == PQL_OK && o->json) {
        (void)fwrite(body.data, 1, body.len, stdout);
        (void)putchar('\n');
    } else if (status == PQL_OK) {
        print_status(root);
    }
    json_decref(root);
    pqi_buf_free(&body);
    return status;
}

const pqi_command pqi_command_node_status = {
    .name = "node status",
    .summary = "Show what a running node does, and its miners",
    .description =
        "Asks the admin port of a running node and prints the chain's head, the job, the source "
        "(with --source), and a line "
        "for each miner: its name and token, what it speaks and how it is protected, its hash "
        "rate, and what became of its results.  REFUSED counts all but accepted and stale ones.\n"
        "The hash rate of official miners is an estimate from their accepted results of the last "
        "two minutes; --share-difficulty of the node makes it a good one.",
    PQI_OPTIONS(status_table),
    .options_size = sizeof(status_options),
    .example = (const char *const[]){"pqlink node status", "pqlink node status --json", NULL},
    .check = status_check,
    .run = status_run,
};
