/* Memory that holds secrets: wiped before it is given back, compared in constant time. */
#ifndef PQI_BASE_SECRET_H
#define PQI_BASE_SECRET_H

#include <stdbool.h>
#include <stddef.h>

/* Overwrites |len| bytes in a way that the compiler may not leave out. */
void pqi_secret_wipe(void *data, size_t len);

/* Wipes |len| bytes and frees.  NULL is a no-op. */
void pqi_secret_free(void *data, size_t len);

/* Equality in time that depends on |len| alone. */
bool pqi_secret_equal(const void *a, const void *b, size_t len);

#endif
