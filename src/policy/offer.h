/* What a ClientHello offers, as sets of pql_posture.  Pure; for bytes of strangers. */
#ifndef PQI_POLICY_OFFER_H
#define PQI_POLICY_OFFER_H

#include <stddef.h>
#include <stdint.h>

/* RFC 8446, section 4.2: supported_groups and signature_algorithms. */
#define PQI_EXTENSION_GROUPS 10
#define PQI_EXTENSION_SIGNATURES 13

/* Code points of one list that are read at most; the rest is passed over. */
#define PQI_OFFER_MAX 128

/* The set that the extension's content of |len| bytes names: a list of 16-bit code points behind
 * its length in bytes (RFC 8446, sections 4.2.3 and 4.2.7).  Values of GREASE (RFC 8701) do not
 * count.  0 when the list is malformed or empty. */
uint32_t pqi_offer_groups(const uint8_t *data, size_t len);
uint32_t pqi_offer_signatures(const uint8_t *data, size_t len);

/* The bit of one code point; PQL_OFFER_OTHER when it is not in the closed list. */
uint32_t pqi_offer_group_bit(uint16_t group);
uint32_t pqi_offer_signature_bit(uint16_t scheme);

/* The names of a set, separated by commas, cut at |size|; "nothing known" for an empty set. */
void pqi_offer_write_groups(char *out, size_t size, uint32_t set);
void pqi_offer_write_signatures(char *out, size_t size, uint32_t set);

#endif
