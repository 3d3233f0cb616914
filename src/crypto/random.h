/* Random bytes from the library's generator, which the kernel seeds. */
#ifndef PQI_CRYPTO_RANDOM_H
#define PQI_CRYPTO_RANDOM_H

#include <stddef.h>

/* Fills |out| with |len| unpredictable bytes.  Never fails: AWS-LC ends the process when the kernel
 * gives no entropy.  Any thread.  Protocol code takes random bytes as an argument instead. */
void pqi_random(void *out, size_t len);

#endif
