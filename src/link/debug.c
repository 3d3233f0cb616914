/* Key logs and qlog traces: for debugging, never on unless somebody typed so. */
#include "base/error.h"
#include "link/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The longest key log line: a label, a random of 32 bytes and a secret of 48 in hex. */
#define KEYLOG_LINE 320
#define FILE_MODE 0600
/* Group and others: nobody but the owner may read secrets. */
#define MODE_OF_OTHERS 077
/* Traces that one process writes; strangers' handshakes are traced too, and must not fill a disk.
 */
#define QLOG_FILES_MAX 10000

static pql_status open_keylog(pql_context *ctx, pql_error *err)
{
    struct stat st;
    const char *path = ctx->opts.keylog_file;
    ctx->keylog_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, FILE_MODE);
    if (ctx->keylog_fd < 0 || fstat(ctx->keylog_fd, &st) != 0) {
        return pqi_fail_errno(err, PQL_E_IO, errno, "Cannot open the key log %s", path);
    }
    if (S_ISREG(st.st_mode) && (st.st_mode & MODE_OF_OTHERS) != 0) {
        return pqi_fail(err, PQL_E_IO,
                        "The key log %s can be read or written by others: run chmod 600 on it.",
                        path);
    }
    return PQL_OK;
}

pql_status pqi_debug_open(pql_context *ctx, pql_error *err)
{
    struct stat st;
    ctx->keylog_fd = -1;
    if (ctx->opts.keylog_file != NULL) {
        const pql_status status = open_keylog(ctx, err);
        if (status != PQL_OK) {
            return status;
        }
    }
    if (ctx->opts.qlog_dir != NULL) {
        if (stat(ctx->opts.qlog_dir, &st) != 0 || !S_ISDIR(st.st_mode)) {
            return pqi_fail(err, PQL_E_IO, "There is no directory %s for qlog traces.",
                            ctx->opts.qlog_dir);
        }
        ctx->qlog_dir = strdup(ctx->opts.qlog_dir);
        if (ctx->qlog_dir == NULL) {
            return pqi_fail(err, PQL_E_NOMEM, "Out of memory making a context.");
        }
    }
    return PQL_OK;
}

void pqi_debug_close(pql_context *ctx)
{
    if (ctx->keylog_fd >= 0) {
        (void)close(ctx->keylog_fd);
    }
    free(ctx->qlog_dir);
}

void pqi_debug_keylog(void *ctx, const char *line)
{
    const pql_context *context = ctx;
    char text[KEYLOG_LINE];
    const int len = snprintf(text, sizeof(text), "%s\n", line);
    if (len > 0 && (size_t)len < sizeof(text)) {
        /* One write, so that lines of several workers do not mix; a full disk loses the line. */
        (void)!write(context->keylog_fd, text, (size_t)len);
    }
}

void pqi_debug_qlog(void *port, void **slot, const void *data, size_t len, bool last)
{
    pql_context *ctx = ((pqi_port *)port)->ctx;
    FILE *file = *slot;
    if (file == NULL && !last) {
        char path[PATH_MAX];
        const uint64_t number = atomic_fetch_add(&ctx->next_qlog, 1);
        if (number >= QLOG_FILES_MAX) {
            return;
        }
        (void)snprintf(path, sizeof(path), "%s/%ld-%llu.sqlog", ctx->qlog_dir, (long)getpid(),
                       (unsigned long long)number);
        const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, FILE_MODE);
        file = fd < 0 ? NULL : fdopen(fd, "w");
        *slot = file;
    }
    if (file != NULL) {
        (void)fwrite(data, 1, len, file);
    }
    if (last && file != NULL) {
        (void)fclose(file);
        *slot = NULL;
    }
}
