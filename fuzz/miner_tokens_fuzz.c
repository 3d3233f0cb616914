/* The file of tokens takes any bytes; a list that was made knows the tokens of its lines, and gives
 * names that fit. */
#include "miner/tokens.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* |token| as a miner sends it: the session has cut white space off. */
static void look_up(const pqi_token_list *list, const char *token)
{
    pqi_token_grant grant;
    const bool found = pqi_token_list_match(list, token, &grant);
    if (found && (!pqi_token_list_has(list, &grant) || !pqi_miner_name_ok(grant.token) ||
                  strncmp(grant.miner, grant.token, strlen(grant.token)) != 0 ||
                  grant.prefix != (strlen(grant.miner) > strlen(grant.token)))) {
        abort();
    }
    if (!found && grant.miner[0] != '\0') {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    pqi_token_list *list = NULL;
    pql_error err;
    if (pqi_token_list_parse(&list, (const char *)data, size, "tokens", &err) != PQL_OK) {
        if (list != NULL || err.message[0] == '\0') {
            abort();
        }
        return 0;
    }
    char *text = malloc(size + 1);
    if (text != NULL) {
        memcpy(text, data, size);
        text[size] = '\0';
        for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
            const char *colon = strchr(line, ':');
            look_up(list, line);
            look_up(list, colon != NULL ? colon + 1 : "");
        }
        free(text);
    }
    pqi_token_list_free(list);
    return 0;
}
