/* Files that survive a crash: whole-file reads with a bound, atomic durable writes. */
#ifndef PQI_BASE_FILE_H
#define PQI_BASE_FILE_H

#include "base/error.h"

#include <stdint.h>
#include <sys/types.h>

/* Reads the whole of |path| into a new NUL-terminated buffer (*data, to be freed by the caller with
 * pqi_secret_free(*data, *len)); *len is without the NUL.  Over |max| bytes: PQL_E_LIMIT.
 * Missing: PQL_E_NOT_FOUND.  On failure *data is NULL. */
pql_status pqi_file_read(const char *path, size_t max, uint8_t **data, size_t *len, pql_error *err);

/* Fails when |path| is a regular file that its group or others may write: whoever can change it
 * decides for its owner.  One that is not there is for the reader to complain about. */
pql_status pqi_file_check_writers(const char *path, pql_error *err);

/* Writes to a unique temporary file in the same directory with |mode|, syncs it, renames it over
 * |path|, syncs the directory.  Either the old or the new content is there after a crash at any
 * moment; a full disk leaves the old one, and the temporary file is removed. */
pql_status pqi_file_write_atomic(const char *path, const void *data, size_t len, mode_t mode,
                                 pql_error *err);

/* As mkdir -p with |mode| for what is made anew; an existing directory is fine. */
pql_status pqi_dir_make(const char *path, mode_t mode, pql_error *err);

/* Keeps other programs that ask for the same out of changing |path|, until *fd is closed: a lock of
 * its directory, which must be there.  Waits up to ten seconds.  PQL_E_IO; *fd is then -1. */
pql_status pqi_file_lock(const char *path, int *fd, pql_error *err);

#endif
