/* Durable state of one endpoint: an SQLite database in a directory of its own.
 *
 * Files in the directory (made 0700 when it is new; an existing one keeps its mode, and is
 * refused when its group or others may write to it):
 *   store.sqlite3        the database, mode 0600; -wal and -shm stand beside it while it is open
 *   store.sqlite3.new    a database that is just being made; renamed when complete
 *   store.lock           flock(2)ed by the process that has the store open; holds its process id
 *
 * What a call reported as stored is there after kill -9 and after a power cut: write-ahead log,
 * synchronous=FULL, so every writing call costs one sync of the disk (milliseconds).  Do not call a
 * writing function once per datagram.
 *
 * Threads: every function may be called from any thread; one internal mutex makes them take turns.
 * Processes: one at a time.  The lock is flock(2) on store.lock: the kernel releases it when the
 * process dies, and `sqlite3 store.sqlite3 .backup` still works while the store is open.
 * A fork must not use the parent's store.
 *
 * Errors common to all functions:
 *   PQL_E_IO       the disk is full, failing or the file is damaged.  Nothing stored before is
 *                  lost, nothing of this call is stored, and later calls work once there is room.
 *   PQL_E_TIMEOUT  another program (an SQLite shell) held the database for over 5 seconds
 *   PQL_E_NOMEM    memory could not be had
 *
 * Secrets are in the file in the clear, guarded by its mode alone, and SQLite does not wipe its
 * page cache; what is deleted or replaced is overwritten in the file (secure_delete). */
#ifndef PQI_STORE_STORE_H
#define PQI_STORE_STORE_H

#include "base/error.h"

#include <stdbool.h>

/* A directory name that stands for a store in memory, gone when it is closed. */
#define PQI_STORE_MEMORY ":memory:"

typedef struct pqi_store pqi_store;

/* Opens the store in |directory|, making both when they do not exist, or a store in memory for
 * PQI_STORE_MEMORY.  An older schema is migrated forward in one transaction.  The whole file is
 * checked (PRAGMA quick_check), so the time grows with it: 0.2 s per 100 MB (400,000 blocks) in the
 * page cache, the time to read it otherwise.
 *
 * Errors: PQL_E_IO: another process, or this one, has the store open; it cannot be opened, others
 * may write to the directory, or the file is damaged; an existing file is never made anew.
 * PQL_E_UNSUPPORTED: a newer program wrote it, or it is not a pqlink store.  *out is
 * NULL after a failure; the caller closes it. */
pql_status pqi_store_open(pqi_store **out, const char *directory, pql_error *err);

/* PQL_E_IO with a remedy when |directory| exists and its group or others may write to it: they
 * could exchange what is in it, a sticky bit or not.  PQL_OK when it does not exist. pqi_store_open
 * asks this itself; it is for the directory above a store. */
pql_status pqi_store_check_directory(const char *directory, pql_error *err);

/* Whether |directory| has a store; nothing is opened or made. */
bool pqi_store_exists(const char *directory);

/* Calls |changed| when a block cannot be stored or pqi_store_look fails (|ok| false, |reason| a
 * sentence, borrowed), and again when one, or a probe, is: at changes only, in the thread of the
 * call that found out, with the store locked, so |changed| must not call the store.  At first all
 * is well.  To be called once, before other threads use the store. */
void pqi_store_watch(pqi_store *store, void (*changed)(void *user, bool ok, const char *reason),
                     void *user);

/* True while the last block or probe could not be stored. */
bool pqi_store_is_failing(pqi_store *store);

/* Writes and syncs a page that changes nothing, to find out whether the disk works again: without
 * it nobody would know before the next block.  The errors common to all functions. */
pql_status pqi_store_probe(pqi_store *store, pql_error *err);

/* Looks whether the store's directory, lock and database are still where they were opened: a store
 * whose files were removed or replaced goes on into files that the next start will not find, and
 * nothing else would tell.  Counts as a block that could not be stored (and none can), until the
 * same files are back and a probe works.  Two looks at the file system, nothing is written; a store
 * in memory is always there.  PQL_E_IO with a sentence. */
pql_status pqi_store_look(pqi_store *store, pql_error *err);

/* Closes and frees; no other thread may be in a call.  NULL is a no-op. */
void pqi_store_close(pqi_store *store);

#endif
