/* The URL parser takes any text; what it accepts has a normal form that parses to itself. */
#include "net/url.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    pqi_url url;
    pqi_url again;
    pqi_endpoint endpoint;
    if (text == NULL) {
        return 0;
    }
    if (size > 0) {
        memcpy(text, data, size);
    }
    text[size] = '\0';
    if (pqi_url_parse(&url, text, NULL) == PQL_OK &&
        (pqi_url_parse(&again, url.text, NULL) != PQL_OK || strcmp(url.text, again.text) != 0)) {
        abort();
    }
    pqi_node_url node;
    pqi_node_url node_again;
    if (pqi_node_url_parse(&node, text, NULL) == PQL_OK &&
        (pqi_node_url_parse(&node_again, node.text, NULL) != PQL_OK ||
         strcmp(node.text, node_again.text) != 0 || node_again.fragment != NULL)) {
        abort();
    }
    (void)pqi_endpoint_parse(&endpoint, text, NULL);
    free(text);
    return 0;
}
