/* What a file of pins may hold is somebody else's text: the parser takes any, and what it accepts
 * reads as the same pins again. */
#include "miner/login.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Writes the pins one a line and reads them back. */
static void read_back(const pql_fingerprint *pins, size_t count)
{
    pql_fingerprint again[PQI_LOGIN_PINS_MAX];
    char text[PQI_LOGIN_PINS_TEXT] = "";
    size_t len = 0;
    size_t read = 0;
    for (size_t i = 0; i < count; i++) {
        pql_fingerprint_format(&pins[i], text + len);
        len += strlen(text + len);
        text[len++] = i % 2 == 0 ? '\n' : ',';
    }
    text[len] = '\0';
    if (pqi_login_pins_parse(again, &read, text, NULL) != PQL_OK || read != count) {
        abort();
    }
    for (size_t i = 0; i < count; i++) {
        if (again[i].form != pins[i].form ||
            memcmp(again[i].sha256, pins[i].sha256, sizeof(pins[i].sha256)) != 0) {
            abort();
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    pql_fingerprint pins[PQI_LOGIN_PINS_MAX];
    size_t count = 0;
    char *text = malloc(size + 1);
    if (text == NULL) {
        return 0;
    }
    if (size > 0) {
        memcpy(text, data, size);
    }
    text[size] = '\0';
    if (pqi_login_pins_parse(pins, &count, text, NULL) == PQL_OK) {
        read_back(pins, count);
    }
    free(text);
    return 0;
}
