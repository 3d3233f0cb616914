/* A directory of its own for each test that keeps identities, removed afterwards. */
#ifndef PQI_TESTS_IDENTITY_DIRECTORY_H
#define PQI_TESTS_IDENTITY_DIRECTORY_H

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static inline void remove_tree(const char *path)
{
    DIR *dir = opendir(path);
    if (dir != NULL) {
        const struct dirent *entry;
        while ((entry = readdir(dir)) != NULL) {
            char child[PATH_MAX];
            if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
                continue;
            }
            (void)snprintf(child, sizeof(child), "%s/%s", path, entry->d_name);
            remove_tree(child);
        }
        (void)closedir(dir);
    }
    (void)remove(path);
}

/* cmocka set-up: *state becomes the path of a fresh directory. */
static inline int make_dir(void **state)
{
    char *dir = strdup("/tmp/pqlink-identity-XXXXXX");
    *state = dir;
    return dir != NULL && mkdtemp(dir) != NULL ? 0 : -1;
}

static inline int remove_dir(void **state)
{
    remove_tree(*state);
    free(*state);
    return 0;
}

/* The path of |name| in |dir|; good until the next call. */
static inline const char *in_dir(const char *dir, const char *name)
{
    static char path[PATH_MAX];
    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    return path;
}

#define DIR_TEST(name) cmocka_unit_test_setup_teardown(name, make_dir, remove_dir)

#endif
