/* Capability tokens for people. */
#ifndef PQI_CMD_TOKEN_VIEW_H
#define PQI_CMD_TOKEN_VIEW_H

#include "caps/token.h"

/* Prints everything that stands in |token|, and that none of it was verified. */
void pqi_token_print(const pqi_cap_token *token);

/* True when |token| is for |audience|: that of its scope. */
bool pqi_token_is_for(const pqi_cap_token *token, const char *audience);

#endif
