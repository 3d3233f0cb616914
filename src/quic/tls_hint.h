/* A client's hint which leaf it expects: the TLS extension certificate_authorities (RFC 8446,
 * section 4.2.4) with one DistinguishedName for each pin.
 *
 * The name has one attribute, commonName as UTF8String: "sha256:" or "spki-sha256:" and the first
 * 32 digits of the pin.  A server with two identities, as in a rotation, then shows the one that
 * the client knows.  The hint proves nothing and decides nothing else. */
#ifndef PQI_QUIC_TLS_HINT_H
#define PQI_QUIC_TLS_HINT_H

#include <pqlink/identity.h>

#include <stddef.h>

/* RFC 8446, section 4.2. */
#define PQI_TLS_EXTENSION_HINT 47
/* Names that a hint holds at most, and its bytes then. */
#define PQI_TLS_HINT_NAMES 8
#define PQI_TLS_HINT_SIZE 474

/* Writes the extension's content for |count| pins, 1 to PQI_TLS_HINT_NAMES.  Its length; 0 when
 * |count| is out of range. */
size_t pqi_tls_hint_write(uint8_t out[PQI_TLS_HINT_SIZE], const pql_fingerprint *pins,
                          size_t count);

/* True when one of the names in the extension's content is that of |leaf|.  Names of another shape
 * are passed over; what is malformed names nothing. */
bool pqi_tls_hint_names(const uint8_t *data, size_t len, const pql_fingerprint *leaf);

#endif
