/* Tokens of miners: who may mine, under which name, read from a file that may change meanwhile.
 *
 * The file has one entry a line, NAME:TOKEN.  Empty lines and lines that begin with '#' count for
 * nothing, and neither does white space at both ends of a line or around the first ':'.  NAME is as
 * pqi_miner_name_ok wants it.  TOKEN has 1 to PQI_MINER_TOKEN_MAX bytes without control characters.
 * A TOKEN that ends in ".*" lets in each token that has a WORKER in place of the '*', 1 to
 * PQI_TOKEN_WORKER_MAX characters of a-z A-Z 0-9 . _ -, as pools do it; that miner is then called
 * NAME.WORKER.  Where several lines fit, a literal one wins over one with '*', and of those the one
 * with the longest text.  Each NAME and each TOKEN may stand there once, and no
 * NAME may be one that a worker of another line with '*' could take.
 *
 * Tokens are not kept: only their SHA-256, which are compared in constant time.  Every buffer that
 * held one is wiped. */
#ifndef PQI_MINER_TOKENS_H
#define PQI_MINER_TOKENS_H

#include "crypto/hash.h"
#include "miner/session.h"

/* Entries of a list; one more is an error.  What a stranger can make us compare: one literal and at
 * most PQI_TOKEN_WORKER_MAX digests with each. */
#define PQI_TOKENS_MAX ((size_t)4096)
#define PQI_TOKENS_FILE_MAX ((size_t)4 << 20) /* bytes */
#define PQI_TOKEN_WORKER_MAX 32
/* "NAME.WORKER" and a NUL. */
#define PQI_TOKEN_MINER_SIZE (PQI_MINER_NAME_MAX + 1 + PQI_TOKEN_WORKER_MAX + 1)

/* ---- Lists: immutable once made ---- */

typedef struct pqi_token_list pqi_token_list;

/* Reads |len| bytes of such a file; |file| is its name for error sentences, which say the line and
 * never repeat a token.  PQL_E_USAGE for what is written wrong, an empty list included (it would
 * lock everybody out); PQL_E_NOMEM.  *out is NULL after a failure, else the caller frees it.
 * Pure but for memory. */
pql_status pqi_token_list_parse(pqi_token_list **out, const char *text, size_t len,
                                const char *file, pql_error *err);
void pqi_token_list_free(pqi_token_list *list);
size_t pqi_token_list_count(const pqi_token_list *list);

/* What a token was good for.  Plain data; nothing in it is secret, but |digest| better stays in the
 * process. */
typedef struct pqi_token_grant {
    char token[PQI_MINER_NAME_MAX + 1]; /* NAME of the line */
    char miner[PQI_TOKEN_MINER_SIZE];   /* NAME, or NAME.WORKER */
    bool prefix;                        /* the line has a '*' */
    uint8_t digest[PQI_SHA256_SIZE];    /* of the line's TOKEN */
} pqi_token_grant;

/* True when a line fits |token| (NUL-terminated, without white space at both ends), *grant is then
 * filled; else it is zeroed. */
bool pqi_token_list_match(const pqi_token_list *list, const char *token, pqi_token_grant *grant);

/* True when the line that gave |grant| is in |list|, under whatever name. */
bool pqi_token_list_has(const pqi_token_list *list, const pqi_token_grant *grant);

/* ---- The list in use, and its file ---- */

typedef struct pqi_tokens pqi_tokens;

/* Reads |path| (copied).  Errors: those of the list; PQL_E_NOT_FOUND, PQL_E_IO, PQL_E_LIMIT (over
 * PQI_TOKENS_FILE_MAX); PQL_E_IDENTITY when users outside of the file's group may read it, or its
 * group may write to it.  The caller frees *out. */
pql_status pqi_tokens_open(pqi_tokens **out, const char *path, pql_error *err);

/* A list of one token that never changes.  PQL_E_USAGE, PQL_E_NOMEM. */
pql_status pqi_tokens_single(pqi_tokens **out, const char *name, const char *token, pql_error *err);
void pqi_tokens_free(pqi_tokens *tokens);

/* As the functions of lists, for the list in use.  Any thread. */
bool pqi_tokens_match(pqi_tokens *tokens, const char *token, pqi_token_grant *grant);
bool pqi_tokens_has(pqi_tokens *tokens, const pqi_token_grant *grant);
size_t pqi_tokens_count(pqi_tokens *tokens);

/* Whether there is a file to look at (pqi_tokens_open). */
bool pqi_tokens_has_file(const pqi_tokens *tokens);

typedef enum pqi_tokens_news {
    PQI_TOKENS_SAME,    /* the file is the one that was read, or was refused already */
    PQI_TOKENS_TAKEN,   /* a new list is in use */
    PQI_TOKENS_REFUSED, /* the file cannot be taken, *err says why; the old list stays in use */
} pqi_tokens_news;

/* Looks whether the file has changed, and if so reads it.  A change is read when the file has been
 * the same for two calls in a row, so that one which is just being written is not taken half.  To
 * be called about once a second by one thread. */
pqi_tokens_news pqi_tokens_look(pqi_tokens *tokens, pql_error *err);

/* A list that was read from the file and is not in use yet. */
typedef struct pqi_tokens_fresh pqi_tokens_fresh;

/* Reads the file now, changed or not; nothing else changes.  The errors of pqi_tokens_open; *out is
 * then NULL, and without a file too.  The thread that looks. */
pql_status pqi_tokens_read(const pqi_tokens *tokens, pqi_tokens_fresh **out, pql_error *err);
/* True when it has other entries than the list in use. */
bool pqi_tokens_differ(pqi_tokens *tokens, const pqi_tokens_fresh *fresh);
/* |fresh| is the list in use from now on, and freed.  NULL is a no-op.  The thread that looks. */
void pqi_tokens_take(pqi_tokens *tokens, pqi_tokens_fresh *fresh);
void pqi_tokens_discard(pqi_tokens_fresh *fresh);

#endif
