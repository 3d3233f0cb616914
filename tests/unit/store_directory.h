/* A directory of its own for each test of the store, removed afterwards. */
#ifndef PQI_TESTS_STORE_DIRECTORY_H
#define PQI_TESTS_STORE_DIRECTORY_H

#include "store/store.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TEST_PATH_SIZE 512

/* cmocka set-up: *state becomes a path below a fresh directory that does not exist yet itself. */
static inline int directory_setup(void **state)
{
    char base[] = "/tmp/pqlink-store-XXXXXX";
    char *path = malloc(TEST_PATH_SIZE);
    if (path == NULL || mkdtemp(base) == NULL) {
        free(path);
        return -1;
    }
    (void)snprintf(path, TEST_PATH_SIZE, "%s/store", base);
    *state = path;
    return 0;
}

static inline void directory_file(char out[TEST_PATH_SIZE], const char *directory, const char *name)
{
    (void)snprintf(out, TEST_PATH_SIZE, "%.255s/%.200s", directory, name);
}

/* cmocka tear-down: removes the files, the directory and the one above it. */
static inline int directory_teardown(void **state)
{
    char *path = *state;
    char file[TEST_PATH_SIZE];
    DIR *dir = opendir(path);
    for (struct dirent *e = dir == NULL ? NULL : readdir(dir); e != NULL; e = readdir(dir)) {
        directory_file(file, path, e->d_name);
        (void)unlink(file);
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
    (void)rmdir(path);
    *strrchr(path, '/') = '\0';
    (void)rmdir(path);
    free(path);
    return 0;
}

#define directory_test(f) cmocka_unit_test_setup_teardown(f, directory_setup, directory_teardown)

/* Opens a store that must open. */
static inline pqi_store *open_store(const char *directory)
{
    pqi_store *store = NULL;
    pql_error err = {0};
    if (pqi_store_open(&store, directory, &err) != PQL_OK) {
        fail_msg("%s", err.message);
    }
    return store;
}

#endif
