/* A program of somebody else's, which calls a function of the library. */
#include <pqlink/error.h>

#include <string.h>

int main(void)
{
    return strcmp(pql_status_name(PQL_E_TRUST), "PQL_E_TRUST") == 0 ? 0 : 1;
}
