/* Any text is a list of fingerprints or an error with the number of a line, and reading it twice
 * gives the same. */
#include "cmd/node_clients.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    pql_fingerprint *first = NULL;
    pql_fingerprint *second = NULL;
    size_t first_count = 0;
    size_t second_count = 0;
    pql_error err;
    char *text = malloc(size + 1);
    require(text != NULL);
    memcpy(text, data, size);
    text[size] = '\0';
    const pql_status status =
        pqi_node_clients_parse("file", text, size, &first, &first_count, &err);
    require(pqi_node_clients_parse("file", text, size, &second, &second_count, &err) == status);
    require(first_count == second_count && (status == PQL_OK) == (first_count > 0));
    require(first_count == 0 || memcmp(first, second, first_count * sizeof(*first)) == 0);
    free(first);
    free(second);
    free(text);
    return 0;
}
