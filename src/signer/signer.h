/* The private keys in a process of their own: the network process asks it for signatures, and never
 * has a key in its memory.  The key process signs what TLS 1.3 signs in a handshake and nothing
 * else (wire.h), has no sockets but those to its parent, and dies with it.
 *
 * It does not help against somebody who can open files as the user of the node: the key files stay
 * where they are. */
#ifndef PQI_SIGNER_SIGNER_H
#define PQI_SIGNER_SIGNER_H

#include "base/error.h"
#include "signer/wire.h"

#include <pqlink/identity.h>

#define PQI_SIGNER_CHANNELS_MAX 64

typedef struct pqi_signer_opts {
    const char *dir;             /* of the identity */
    bool must_exist;             /* make none */
    const char *passphrase_file; /* of the keys; NULL: they are not encrypted */
    unsigned roles;              /* pqi_signer_role or-ed: whose handshakes are signed */
    unsigned channels; /* signatures at once, one thread each; 1 to PQI_SIGNER_CHANNELS_MAX */
} pqi_signer_opts;

typedef struct pqi_signer pqi_signer;

/* Starts the key process, which opens or makes the identity in opts->dir, and waits until it is
 * ready.  From then on identities of this process have no keys (identity/elsewhere.h), until
 * pqi_signer_stop.  To be called before any other thread and before any key is here; one at a time.
 * |opts| is used up by the call.  The errors of pql_identity_open and pqi_rotation_load,
 * PQL_E_STATE when it cannot lock itself in, PQL_E_USAGE, PQL_E_NOMEM, PQL_E_IO; PQL_E_TIMEOUT when
 * it does not say hello.  *out is then NULL. */
pql_status pqi_signer_start(pqi_signer **out, const pqi_signer_opts *opts, pql_error *err);

/* PQL_OK while the key process lives; PQL_E_STATE with a sentence when it has ended.  The thread
 * that started it. */
pql_status pqi_signer_check(pqi_signer *signer, pql_error *err);

/* Process id, for tests and logs. */
long pqi_signer_pid(const pqi_signer *signer);

/* Asks for one signature; as pqi_key_holder.sign.  *verdict (may be NULL) says what became of it.
 */
bool pqi_signer_sign(pqi_signer *signer, const uint8_t cert[PQI_SIGNER_CERT_LEN], uint16_t scheme,
                     const uint8_t *in, size_t in_len, uint8_t *out, size_t *out_len, size_t size,
                     pqi_signer_verdict *verdict);

/* Ends it, and waits for its end.  After the last handshake.  NULL is a no-op. */
void pqi_signer_stop(pqi_signer *signer);

#endif
