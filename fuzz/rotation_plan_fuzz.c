/* The plan of a rotation: what is read is written back as it was. */
#include "identity/directory.h"
#include "identity/rotation.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[PQI_IDENTITY_NOTE_MAX];
    char again[PQI_IDENTITY_NOTE_MAX];
    pqi_rotation_plan plan;
    pqi_rotation_plan second;
    if (size >= sizeof(text)) {
        return 0;
    }
    memcpy(text, data, size);
    text[size] = '\0';
    if (pqi_rotation_plan_parse(&plan, text, NULL) == PQL_OK) {
        pqi_rotation_plan_format(&plan, again, sizeof(again));
        if (pqi_rotation_plan_parse(&second, again, NULL) != PQL_OK ||
            memcmp(&plan, &second, sizeof(plan)) != 0) {
            abort();
        }
    }
    return 0;
}
