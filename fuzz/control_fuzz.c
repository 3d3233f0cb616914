/* A request of the control socket is read or refused with a sentence, and what is read is within
 * its bounds. */
#include "admin/control.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    pqi_control_request request;
    pql_error err = {0};
    const pql_status status = pqi_control_parse(&request, (const char *)data, size, &err);
    if (status != PQL_OK ? status != PQL_E_USAGE || err.message[0] == '\0'
                         : request.kind == PQI_CONTROL_OVERRIDE &&
                               (request.seconds < 1 || request.seconds > PQI_CONTROL_SECONDS_MAX)) {
        abort();
    }
    return 0;
}
