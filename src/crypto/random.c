#include "crypto/random.h"

#include <openssl/rand.h>

#include <stdlib.h>

void pqi_random(void *out, size_t len)
{
    if (RAND_bytes(out, len) != 1) {
        abort(); /* weak randomness is worse than no process */
    }
}
