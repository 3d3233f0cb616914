/* Private keys that another process holds: this one has the certificates and asks for signatures.
 */
#ifndef PQI_IDENTITY_ELSEWHERE_H
#define PQI_IDENTITY_ELSEWHERE_H

#include "identity/leaf.h"

#include <openssl/ssl.h>

/* Who signs. */
typedef struct pqi_key_holder {
    /* Signs |in| by TLS SignatureScheme |scheme| with the key of the certificate whose SHA-256 is
     * |cert|.  False when that cannot be done; *out_len is at most |size| otherwise.  Any thread;
     * waits for the answer. */
    bool (*sign)(void *user, const uint8_t cert[PQL_SHA256_SIZE], uint16_t scheme,
                 const uint8_t *in, size_t in_len, uint8_t *out, size_t *out_len, size_t size);
    void *user;
} pqi_key_holder;

/* From now on this process reads no private key and makes none: identities that are opened have
 * certificates alone, and |holder|, which is borrowed until the end, signs for them.  Identities
 * that were opened before keep their keys: call it first.  NULL takes it back, for tests.  Before
 * any other thread uses identities. */
void pqi_keys_move_out(const pqi_key_holder *holder);

/* NULL: keys are in this process. */
const pqi_key_holder *pqi_keys_holder(void);

/* Whether what the certificates of |id| prove can be signed: true when keys are in this process,
 * else when the holder signs for both of them, which is asked with an input that is no handshake's.
 * Waits for the answers. */
bool pqi_keys_fit(const pql_identity *id);

/* Gives |ssl_ctx| the certificate of |leaf|, which has no key, and the way to have it signed for.
 * False when the TLS library refuses. */
bool pqi_keys_use_elsewhere(const pqi_leaf *leaf, SSL_CTX *ssl_ctx);

#endif
