#include "cmd/changes.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char separator[] = "; ";
static const char cut[] = "...";

void pqi_changes_add(pqi_changes *changes, const char *fmt, ...)
{
    char *text = changes->text;
    va_list args;
    size_t used = strlen(text);
    if (used + sizeof(separator) > PQI_CHANGES_SIZE) {
        return; /* it was cut before */
    }
    if (used > 0) {
        memcpy(text + used, separator, sizeof(separator));
        used += sizeof(separator) - 1;
    }
    va_start(args, fmt);
    const int wanted = vsnprintf(text + used, PQI_CHANGES_SIZE - used, fmt, args);
    va_end(args);
    if (wanted >= 0 && (size_t)wanted >= PQI_CHANGES_SIZE - used) {
        memcpy(text + PQI_CHANGES_SIZE - sizeof(cut), cut, sizeof(cut));
    }
}
