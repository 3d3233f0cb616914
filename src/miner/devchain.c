#include "miner/devchain.h"

#include "base/clock.h"
#include "base/cursor.h"
#include "base/log.h"
#include "miner/poseidon2.h"
#include "miner/pow.h"
#include "store/blocks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HASH_SIZE PQI_JOB_HASH_SIZE
#define NONCE_SIZE PQI_JOB_NONCE_SIZE
#define HEADER_VERSION 1
#define HEADER_SIZE (4 + HASH_SIZE + 8 + 8 + PQI_U512_BYTES + HASH_SIZE)
#define GENESIS_TIME_MS UINT64_C(1767225600000) /* 2026-01-01 00:00 UTC */

/* Between two lines about blocks that cannot be stored. */
#define NOT_STORED_PAUSE (10 * PQI_NS_PER_SEC)

static const char body_label[] = "pqlink development chain body";

/* What a template and a stored block have in common. */
typedef struct header {
    uint8_t parent[HASH_SIZE];
    uint64_t height;
    uint64_t time_ms;
    pqi_u512 difficulty;
} header;

/* The block that the next one stands on. */
typedef struct tip {
    uint8_t hash[HASH_SIZE];
    uint64_t height;
    uint64_t time_ms;
} tip;

/* A result that made a block. */
typedef struct accepted_result {
    char job_id[PQI_JOB_ID_SIZE];
    uint8_t nonce[NONCE_SIZE];
} accepted_result;

typedef struct devchain {
    pqi_source base; /* first: a pqi_source * is a devchain * */
    pqi_store *store;
    pqi_difficulty_rules rules;
    uint64_t refresh_ns;
    pqi_source_events events;
    bool started;

    tip tip;
    pqi_u512 next_difficulty;

    header candidate; /* what the current job makes */
    pqi_job job;
    pqi_u512 target;
    uint64_t jobs; /* how many were made; the current job's id */
    uint64_t refresh_at_ns;

    uint64_t say_again_at; /* before then a block that cannot be stored is worth no line */
    uint64_t left_out;     /* such lines */

    accepted_result accepted[PQI_DEVCHAIN_REMEMBERED_RESULTS]; /* a ring */
    size_t accepted_next;
} devchain;

static devchain *from_source(pqi_source *source)
{
    return (devchain *)source;
}

/* ---- headers and hashes ---- */

static void short_hash(uint8_t out[HASH_SIZE], const uint8_t *data, size_t len)
{
    uint8_t hash[PQI_POSEIDON2_HASH_SIZE];
    pqi_poseidon2_hash(hash, data, len);
    memcpy(out, hash, HASH_SIZE);
}

static void body_root(uint8_t out[HASH_SIZE], const header *h)
{
    uint8_t bytes[sizeof(body_label) - 1 + HASH_SIZE + 8 + 8];
    pqi_writer w;
    pqi_writer_init(&w, bytes, sizeof(bytes));
    pqi_write_bytes(&w, body_label, sizeof(body_label) - 1);
    pqi_write_bytes(&w, h->parent, HASH_SIZE);
    pqi_write_u64(&w, h->height);
    pqi_write_u64(&w, h->time_ms);
    short_hash(out, bytes, w.len);
}

static void encode_header(uint8_t out[HEADER_SIZE], const header *h)
{
    uint8_t difficulty[PQI_U512_BYTES];
    uint8_t root[HASH_SIZE];
    pqi_writer w;
    pqi_u512_to_bytes(difficulty, &h->difficulty);
    body_root(root, h);
    pqi_writer_init(&w, out, HEADER_SIZE);
    pqi_write_u32(&w, HEADER_VERSION);
    pqi_write_bytes(&w, h->parent, HASH_SIZE);
    pqi_write_u64(&w, h->height);
    pqi_write_u64(&w, h->time_ms);
    pqi_write_bytes(&w, difficulty, sizeof(difficulty));
    pqi_write_bytes(&w, root, sizeof(root));
}

static void mining_hash(uint8_t out[HASH_SIZE], const header *h)
{
    uint8_t bytes[HEADER_SIZE];
    encode_header(bytes, h);
    short_hash(out, bytes, sizeof(bytes));
}

static void block_hash(uint8_t out[HASH_SIZE], const header *h, const uint8_t nonce[NONCE_SIZE])
{
    uint8_t bytes[HEADER_SIZE + NONCE_SIZE];
    encode_header(bytes, h);
    memcpy(bytes + HEADER_SIZE, nonce, NONCE_SIZE);
    short_hash(out, bytes, sizeof(bytes));
}

static tip genesis(void)
{
    const uint8_t no_nonce[NONCE_SIZE] = {0};
    const header h = {.time_ms = GENESIS_TIME_MS, .difficulty = pqi_u512_from_u64(1)};
    tip t = {.height = 0, .time_ms = GENESIS_TIME_MS};
    block_hash(t.hash, &h, no_nonce);
    return t;
}

static tip tip_of(const pqi_store_block *block)
{
    tip t = {.height = block->height, .time_ms = block->time_ms};
    memcpy(t.hash, block->hash, HASH_SIZE);
    return t;
}

static header header_of(const pqi_store_block *block)
{
    header h = {
        .height = block->height,
        .time_ms = block->time_ms,
        .difficulty = pqi_u512_from_bytes(block->difficulty),
    };
    memcpy(h.parent, block->parent, HASH_SIZE);
    return h;
}

/* ---- resuming ---- */

/* Is |block| whole in itself: hashes that fit the header, and work that fits the difficulty? */
static bool block_is_sound(const pqi_store_block *block)
{
    const header h = header_of(block);
    uint8_t hash[HASH_SIZE];
    pqi_u512 target;
    mining_hash(hash, &h);
    if (memcmp(hash, block->mining_hash, HASH_SIZE) != 0) {
        return false;
    }
    block_hash(hash, &h, block->nonce);
    return memcmp(hash, block->hash, HASH_SIZE) == 0 && pqi_pow_target(&target, &h.difficulty) &&
           pqi_pow_verify(block->mining_hash, block->nonce, &target);
}

static bool block_follows(const pqi_store_block *block, const tip *parent)
{
    return block->height == parent->height + 1 && block->time_ms > parent->time_ms &&
           memcmp(block->parent, parent->hash, HASH_SIZE) == 0;
}

/* The difficulty after |last|.  What the first block took is unknown, as genesis is a fixed date.
 */
static pqi_u512 difficulty_after(const devchain *chain, const pqi_store_block *last,
                                 const tip *parent)
{
    const pqi_u512 difficulty = pqi_u512_from_bytes(last->difficulty);
    const uint64_t took_ms =
        parent->height == 0 ? chain->rules.block_time_ms : last->time_ms - parent->time_ms;
    return pqi_difficulty_next(&chain->rules, &difficulty, took_ms);
}

/* Verifies |blocks|, of which the first stands on |*parent|, and makes the last one the tip.
 * |parent| may be NULL: then nothing is known about what the first one stands on. */
static pql_status resume_on(devchain *chain, const pqi_store_block *blocks, size_t count,
                            const tip *parent, pql_error *err)
{
    for (size_t i = 0; i < count; i++) {
        const pqi_store_block *block = &blocks[i];
        if (!block_is_sound(block) || (parent != NULL && !block_follows(block, parent))) {
            return pqi_fail(err, PQL_E_IO,
                            "The stored development chain is broken at height %llu.  Restore the "
                            "store from a backup, or use another directory to begin a new chain.",
                            (unsigned long long)block->height);
        }
        if (parent != NULL) {
            chain->next_difficulty = difficulty_after(chain, block, parent);
        }
        chain->tip = tip_of(block);
        parent = &chain->tip;
    }
    return PQL_OK;
}

static pql_status resume(devchain *chain, pql_error *err)
{
    const tip origin = genesis();
    pqi_store_block last;
    pqi_store_block *blocks = NULL;
    size_t count = 0;
    const pql_status found = pqi_store_block_last(chain->store, &last, err);
    if (found == PQL_E_NOT_FOUND) {
        pqi_error_clear(err);
        chain->tip = origin;
        return PQL_OK;
    }
    if (found != PQL_OK) {
        return found;
    }
    const uint64_t first = last.height > PQI_DEVCHAIN_CHECKED_BLOCKS
                               ? last.height - PQI_DEVCHAIN_CHECKED_BLOCKS + 1
                               : 1;
    blocks = calloc(PQI_DEVCHAIN_CHECKED_BLOCKS, sizeof(*blocks));
    if (blocks == NULL) {
        return pqi_fail(err, PQL_E_NOMEM, "Out of memory resuming the development chain.");
    }
    pql_status rc =
        pqi_store_block_list(chain->store, first, blocks, PQI_DEVCHAIN_CHECKED_BLOCKS, &count, err);
    if (rc == PQL_OK) {
        rc = resume_on(chain, blocks, count, first == 1 ? &origin : NULL, err);
    }
    free(blocks);
    return rc;
}

/* ---- jobs ---- */

static void new_job(devchain *chain, pqi_instant now)
{
    const uint64_t earliest_ms = chain->tip.time_ms + 1; /* also when the clock jumps back */
    header *h = &chain->candidate;
    memcpy(h->parent, chain->tip.hash, HASH_SIZE);
    h->height = chain->tip.height + 1;
    h->time_ms = now.unix_ms > earliest_ms ? now.unix_ms : earliest_ms;
    h->difficulty = chain->next_difficulty;

    pqi_job *job = &chain->job;
    chain->jobs++;
    (void)snprintf(job->id, sizeof(job->id), "%llu", (unsigned long long)chain->jobs);
    mining_hash(job->mining_hash, h);
    job->difficulty = h->difficulty;
    job->height = h->height;
    (void)pqi_pow_target(&chain->target, &h->difficulty); /* never zero: the rules have a minimum */
    chain->refresh_at_ns = now.monotonic_ns + chain->refresh_ns;
    chain->events.on_job(chain->events.user, job);
}

static pql_status devchain_start(pqi_source *source, const pqi_source_events *events,
                                 pqi_instant now, pql_error *err)
{
    devchain *chain = from_source(source);
    if (chain->started) {
        return pqi_fail(err, PQL_E_STATE, "The development chain was started already.");
    }
    chain->started = true;
    chain->events = *events;
    new_job(chain, now);
    return PQL_OK;
}

static void devchain_tick(pqi_source *source, pqi_instant now)
{
    devchain *chain = from_source(source);
    if (chain->started && now.monotonic_ns >= chain->refresh_at_ns) {
        new_job(chain, now);
    }
}

static uint64_t devchain_deadline(const pqi_source *source)
{
    const devchain *chain = (const devchain *)source;
    return chain->started ? chain->refresh_at_ns : PQI_TIME_NEVER;
}

/* ---- results ---- */

static bool made_a_block(const devchain *chain, const char *job_id, const uint8_t *nonce)
{
    for (size_t i = 0; i < PQI_DEVCHAIN_REMEMBERED_RESULTS; i++) {
        const accepted_result *r = &chain->accepted[i];
        if (r->job_id[0] != '\0' && strcmp(r->job_id, job_id) == 0 &&
            memcmp(r->nonce, nonce, NONCE_SIZE) == 0) {
            return true;
        }
    }
    return false;
}

static void remember_result(devchain *chain, const uint8_t nonce[NONCE_SIZE])
{
    accepted_result *r = &chain->accepted[chain->accepted_next];
    memcpy(r->job_id, chain->job.id, sizeof(r->job_id));
    memcpy(r->nonce, nonce, NONCE_SIZE);
    chain->accepted_next = (chain->accepted_next + 1) % PQI_DEVCHAIN_REMEMBERED_RESULTS;
}

static pqi_store_block make_block(const devchain *chain, const uint8_t nonce[NONCE_SIZE],
                                  const char *miner)
{
    const header *h = &chain->candidate;
    pqi_store_block block = {.height = h->height, .time_ms = h->time_ms};
    memcpy(block.parent, h->parent, HASH_SIZE);
    memcpy(block.mining_hash, chain->job.mining_hash, HASH_SIZE);
    memcpy(block.nonce, nonce, NONCE_SIZE);
    pqi_u512_to_bytes(block.difficulty, &h->difficulty);
    block_hash(block.hash, h, nonce);
    (void)snprintf(block.miner, sizeof(block.miner), "%s", miner);
    return block;
}

/* At the difficulty of a development chain a full disk would bring many of these a second. */
static void log_not_stored(devchain *chain, const pqi_store_block *block, const pql_error *err,
                           uint64_t now)
{
    if (now < chain->say_again_at) {
        chain->left_out++;
        return;
    }
    pqi_log(PQI_LOG_ERROR, "miner", "block_not_stored", PQI_U64("height", block->height),
            PQI_STR("miner", block->miner), PQI_STR("reason", err->message),
            PQI_U64("left_out", chain->left_out));
    chain->say_again_at = now + NOT_STORED_PAUSE;
    chain->left_out = 0;
}

/* Stores the block first: what a miner hears as accepted must be there after a crash. */
static bool store_block(devchain *chain, const pqi_store_block *block, uint64_t now)
{
    pql_error err = {0};
    if (pqi_store_block_append(chain->store, block, &err) == PQL_OK) {
        chain->say_again_at = 0;
        return true;
    }
    log_not_stored(chain, block, &err, now);
    return false;
}

static pqi_source_verdict devchain_submit(pqi_source *source, const char *job_id,
                                          const uint8_t nonce[NONCE_SIZE], const char *miner,
                                          pqi_instant now, pqi_source_block *made)
{
    devchain *chain = from_source(source);
    if (made != NULL) {
        *made = (pqi_source_block){0};
    }
    if (!chain->started || strcmp(job_id, chain->job.id) != 0) {
        return made_a_block(chain, job_id, nonce) ? PQI_SOURCE_DUPLICATE : PQI_SOURCE_STALE;
    }
    if (!pqi_pow_verify(chain->job.mining_hash, nonce, &chain->target)) {
        return PQI_SOURCE_INVALID;
    }
    const pqi_store_block block = make_block(chain, nonce, miner);
    if (!store_block(chain, &block, now.monotonic_ns)) {
        return PQI_SOURCE_UNAVAILABLE;
    }
    remember_result(chain, nonce);
    chain->next_difficulty = difficulty_after(chain, &block, &chain->tip);
    chain->tip = tip_of(&block);
    if (made != NULL) {
        made->height = block.height;
        memcpy(made->hash, block.hash, HASH_SIZE);
    }
    new_job(chain, now);
    return PQI_SOURCE_ACCEPTED;
}

/* ---- life ---- */

static void devchain_destroy(pqi_source *source)
{
    free(from_source(source));
}

static const pqi_source_kind devchain_kind = {
    .start = devchain_start,
    .submit = devchain_submit,
    .tick = devchain_tick,
    .deadline = devchain_deadline,
    .destroy = devchain_destroy,
};

static pql_status check_opts(const pqi_devchain_opts *opts, pql_error *err)
{
    const uint64_t block_time = opts->rules.block_time_ms;
    if (block_time == 0 || block_time > PQI_DIFFICULTY_BLOCK_TIME_MAX_MS) {
        return pqi_fail(err, PQL_E_USAGE, "The block time is 1 to %u ms, not %llu.",
                        PQI_DIFFICULTY_BLOCK_TIME_MAX_MS, (unsigned long long)block_time);
    }
    if (opts->refresh_ms > PQI_DIFFICULTY_BLOCK_TIME_MAX_MS) {
        return pqi_fail(err, PQL_E_USAGE, "The template refresh is at most %u ms, not %llu.",
                        PQI_DIFFICULTY_BLOCK_TIME_MAX_MS, (unsigned long long)opts->refresh_ms);
    }
    if (pqi_u512_is_zero(&opts->rules.minimum)) {
        return pqi_fail(err, PQL_E_USAGE, "The least difficulty is at least 1, not 0.");
    }
    if (pqi_u512_compare(&opts->difficulty, &opts->rules.minimum) < 0) {
        char least[PQI_U512_TEXT_SIZE];
        (void)pqi_u512_to_decimal(least, &opts->rules.minimum);
        return pqi_fail(err, PQL_E_USAGE, "The first difficulty is below the least one, %s.",
                        least);
    }
    return PQL_OK;
}

pql_status pqi_devchain_new(pqi_source **out, const pqi_devchain_opts *opts, pql_error *err)
{
    *out = NULL;
    pql_status rc = check_opts(opts, err);
    if (rc != PQL_OK) {
        return rc;
    }
    devchain *chain = calloc(1, sizeof(*chain));
    if (chain == NULL) {
        return pqi_fail(err, PQL_E_NOMEM, "Out of memory making the development chain.");
    }
    const uint64_t refresh_ms = opts->refresh_ms == 0 ? PQI_DEVCHAIN_REFRESH_MS : opts->refresh_ms;
    chain->base.kind = &devchain_kind;
    chain->store = opts->store;
    chain->rules = opts->rules;
    chain->refresh_ns = refresh_ms * PQI_NS_PER_MS;
    chain->next_difficulty = opts->difficulty;
    rc = resume(chain, err);
    if (rc != PQL_OK) {
        free(chain);
        return rc;
    }
    *out = &chain->base;
    return PQL_OK;
}
