/* What the network process and the key process say to each other, one packet of a SOCK_SEQPACKET
 * socket pair each; big-endian.
 *
 *   request   u8 1, u8 1, u64 id, 32 bytes SHA-256 of the certificate, u16 SignatureScheme,
 *             u16 length, that many bytes to be signed
 *   answer    u8 1, u8 2, u64 id, u8 verdict, u16 length, that many bytes of signature
 *   hello     u8 1, u8 3, u16 minus pql_status, u16 length, that many bytes of a sentence
 *
 * The key process says hello once, before it is asked anything.  Whoever asks is held to be the
 * attacker: all that it may have signed is what TLS 1.3 has signed in a CertificateVerify. */
#ifndef PQI_SIGNER_WIRE_H
#define PQI_SIGNER_WIRE_H

#include <pqlink/error.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PQI_SIGNER_CERT_LEN 32
/* 64 spaces, 33 characters, a zero, and a SHA-384 (RFC 8446, section 4.4.3). */
#define PQI_SIGNER_INPUT_MAX 146
/* Of an ML-DSA-87 (4627 bytes, FIPS 204, table 2); RSA of 16384 bits has 2048. */
#define PQI_SIGNER_SIGNATURE_MAX 4627
#define PQI_SIGNER_REQUEST_MAX (2 + 8 + PQI_SIGNER_CERT_LEN + 2 + 2 + PQI_SIGNER_INPUT_MAX)
#define PQI_SIGNER_ANSWER_MAX (2 + 8 + 1 + 2 + PQI_SIGNER_SIGNATURE_MAX)
#define PQI_SIGNER_HELLO_MAX (2 + 2 + 2 + 512)

/* Whose CertificateVerify an input is. */
typedef enum pqi_signer_role {
    PQI_SIGNER_NOBODY = 0, /* it is none */
    PQI_SIGNER_SERVER = 1,
    PQI_SIGNER_CLIENT = 2
} pqi_signer_role;

/* What became of a request. */
typedef enum pqi_signer_verdict {
    PQI_SIGNER_SIGNED = 0,
    PQI_SIGNER_NOT_TLS,   /* the input is no CertificateVerify of a role that is allowed */
    PQI_SIGNER_NO_KEY,    /* no key for that certificate */
    PQI_SIGNER_NO_SCHEME, /* the key does not sign by that scheme */
    PQI_SIGNER_FAILED,    /* the cryptographic library failed */
    PQI_SIGNER_MALFORMED, /* the request could not be read; its id is 0 */
    PQI_SIGNER_VERDICTS
} pqi_signer_verdict;

/* A few words for log lines: "not_tls", ...; static. */
const char *pqi_signer_verdict_name(pqi_signer_verdict verdict);

typedef struct pqi_signer_request {
    uint64_t id;
    uint8_t cert[PQI_SIGNER_CERT_LEN];
    uint16_t scheme;
    const uint8_t *input; /* borrowed */
    size_t input_len;     /* at most PQI_SIGNER_INPUT_MAX */
} pqi_signer_request;

typedef struct pqi_signer_answer {
    uint64_t id;
    pqi_signer_verdict verdict;
    const uint8_t *signature; /* borrowed */
    size_t signature_len;     /* 0 unless it was signed */
} pqi_signer_answer;

/* What the whole of |input| is: exactly 64 spaces, "TLS 1.3, server CertificateVerify" or the same
 * of the client, a zero byte and a hash of 32 or 48 bytes (RFC 8446, section 4.4.3).  Pure. */
pqi_signer_role pqi_signer_input_role(const uint8_t *input, size_t len);

/* Pure.  Writers return the length, 0 when |size| or a bound above does not suffice; readers take
 * exactly one whole packet, and leave *out zeroed when it is none. */
size_t pqi_signer_request_write(uint8_t *out, size_t size, const pqi_signer_request *request);
bool pqi_signer_request_read(pqi_signer_request *out, const uint8_t *data, size_t len);
size_t pqi_signer_answer_write(uint8_t *out, size_t size, const pqi_signer_answer *answer);
bool pqi_signer_answer_read(pqi_signer_answer *out, const uint8_t *data, size_t len);
/* |sentence| is cut where it does not fit. */
size_t pqi_signer_hello_write(uint8_t *out, size_t size, pql_status status, const char *sentence);
/* The status and sentence go to |err|, with PQL_OK also the return; PQL_E_PROTOCOL: no hello. */
pql_status pqi_signer_hello_read(const uint8_t *data, size_t len, pql_error *err);

#endif
