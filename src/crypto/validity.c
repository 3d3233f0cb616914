#include "crypto/validity.h"

#include <openssl/asn1.h>

#define NO_END INT64_C(253402300799) /* 9999-12-31 23:59:59 UTC */

uint64_t pqi_validity_end(const X509 *cert)
{
    int64_t end = 0;
    if (ASN1_TIME_to_posix(X509_get0_notAfter(cert), &end) != 1 || end < 0) {
        return 0;
    }
    return end == NO_END ? PQI_VALID_FOR_EVER : (uint64_t)end;
}
