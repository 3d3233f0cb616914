/* The file of keys takes any bytes; what was read finds each of its keys, and has one current key a
 * tenant at most. */
#include "caps/keys.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    pqi_cap_keys keys;
    pql_error err = {0};
    if (pqi_cap_keys_parse(&keys, "keys", data, size, &err) != PQL_OK) {
        if (keys.count > 0 || keys.revoked_count > 0 || err.message[0] == '\0') {
            abort();
        }
        return 0;
    }
    for (size_t i = 0; i < keys.count; i++) {
        const pqi_cap_key *key = &keys.keys[i];
        if (pqi_cap_keys_find(&keys, key->kid, strlen(key->kid)) != key ||
            !pqi_cap_name_ok(key->tenant, strlen(key->tenant))) {
            abort();
        }
    }
    for (size_t i = 0; i < keys.revoked_count; i++) {
        if (!pqi_cap_keys_revoked(&keys, keys.revoked[i].nonce)) {
            abort();
        }
    }
    pqi_cap_keys_clear(&keys);
    return 0;
}
