#include "quic/tls_tickets.h"

#include "base/cursor.h"
#include "base/secret.h"
#include "crypto/hash.h"
#include "crypto/random.h"
#include "policy/policy.h"

#include <openssl/aead.h>
#include <openssl/err.h>

#include <stdlib.h>
#include <string.h>

#define VERSION 2 /* 1 had no signature */
#define PERIOD_LEN 4
#define NONCE_LEN 12
#define TAG_LEN 16
#define KEY_LEN 32
#define CLEAR_LEN (1 + PERIOD_LEN)
#define HEAD_LEN (CLEAR_LEN + NONCE_LEN)

static const char key_label[] = "pqlink ticket key 1";

static uint32_t period_of(int64_t now_unix)
{
    return now_unix < 0 ? 0 : (uint32_t)(now_unix / PQI_TICKET_PERIOD);
}

/* A nonce that repeats costs AES-GCM-SIV no more than telling that two tickets are the same, so
 * random ones are safe whatever the number of tickets. */
static bool init_aead(EVP_AEAD_CTX *aead, const uint8_t *secret, uint32_t period)
{
    uint8_t info[sizeof(key_label) - 1 + PERIOD_LEN];
    uint8_t key[KEY_LEN];
    pqi_writer w;
    pqi_writer_init(&w, info, sizeof(info));
    pqi_write_bytes(&w, key_label, sizeof(key_label) - 1);
    pqi_write_u32(&w, period);
    const bool ok =
        pqi_hkdf(key, sizeof(key), secret, PQI_TICKET_SECRET_LEN, NULL, 0, info, sizeof(info)) &&
        EVP_AEAD_CTX_init(aead, EVP_aead_aes_256_gcm_siv(), key, sizeof(key), TAG_LEN, NULL) == 1;
    pqi_secret_wipe(key, sizeof(key));
    return ok;
}

static void write_facts(pqi_writer *w, const pqi_ticket_facts *facts)
{
    pqi_write_u8(w, (uint8_t)facts->policy);
    pqi_write_u16(w, facts->group);
    pqi_write_u16(w, facts->signature);
    pqi_write_bytes(w, facts->leaf, sizeof(facts->leaf));
}

static bool seal(const uint8_t *secret, uint32_t period, uint8_t *ticket, size_t size,
                 const uint8_t *plain, size_t len, size_t *out_len)
{
    EVP_AEAD_CTX aead;
    pqi_writer w;
    size_t sealed = 0;
    pqi_writer_init(&w, ticket, HEAD_LEN);
    pqi_write_u8(&w, VERSION);
    pqi_write_u32(&w, period);
    pqi_random(ticket + CLEAR_LEN, NONCE_LEN);
    if (!init_aead(&aead, secret, period)) {
        return false;
    }
    const bool ok =
        EVP_AEAD_CTX_seal(&aead, ticket + HEAD_LEN, &sealed, size - HEAD_LEN, ticket + CLEAR_LEN,
                          NONCE_LEN, plain, len, ticket, CLEAR_LEN) == 1;
    EVP_AEAD_CTX_cleanup(&aead);
    pqi_secret_wipe(&aead, sizeof(aead));
    *out_len = ok ? HEAD_LEN + sealed : 0;
    return ok;
}

bool pqi_ticket_seal(const uint8_t secret[PQI_TICKET_SECRET_LEN], int64_t now_unix,
                     const pqi_ticket_facts *facts, const uint8_t *session, size_t len,
                     uint8_t *out, size_t size, size_t *out_len)
{
    const size_t plain_len = PQI_TICKET_FACTS_LEN + len;
    uint8_t *plain = size >= len + PQI_TICKET_OVERHEAD ? malloc(plain_len) : NULL;
    pqi_writer w;
    *out_len = 0;
    if (plain == NULL) {
        return false;
    }
    pqi_writer_init(&w, plain, plain_len);
    write_facts(&w, facts);
    pqi_write_bytes(&w, session, len);
    const bool ok = pqi_writer_ok(&w) &&
                    seal(secret, period_of(now_unix), out, size, plain, plain_len, out_len);
    pqi_secret_free(plain, plain_len);
    return ok;
}

/* What was sealed: facts, then the session. */
static bool take_apart(const uint8_t *plain, size_t len, pqi_ticket_facts *facts, uint8_t *out,
                       size_t size, size_t *out_len)
{
    pqi_reader r;
    pqi_reader_init(&r, plain, len);
    const uint8_t policy = pqi_read_u8(&r);
    facts->group = pqi_read_u16(&r);
    facts->signature = pqi_read_u16(&r);
    (void)pqi_read_copy(&r, facts->leaf, sizeof(facts->leaf));
    const size_t session_len = pqi_reader_left(&r);
    if (!pqi_reader_ok(&r) || policy >= PQL_POLICY_COUNT || session_len > size) {
        return false;
    }
    facts->policy = (pql_policy)policy;
    *out_len = session_len;
    return pqi_read_copy(&r, out, session_len);
}

static bool still_opens(uint32_t period, int64_t now_unix)
{
    const uint32_t now = period_of(now_unix);
    return period == now || (now > 0 && period == now - 1);
}

/* |plain| has room for as many bytes as are sealed. */
static bool open_sealed(const uint8_t *secret, uint32_t period, const uint8_t *ticket, size_t len,
                        uint8_t *plain, size_t *plain_len)
{
    EVP_AEAD_CTX aead;
    if (!init_aead(&aead, secret, period)) {
        return false;
    }
    const bool ok =
        EVP_AEAD_CTX_open(&aead, plain, plain_len, len - HEAD_LEN, ticket + CLEAR_LEN, NONCE_LEN,
                          ticket + HEAD_LEN, len - HEAD_LEN, ticket, CLEAR_LEN) == 1;
    EVP_AEAD_CTX_cleanup(&aead);
    pqi_secret_wipe(&aead, sizeof(aead));
    return ok;
}

bool pqi_ticket_open(const uint8_t secret[PQI_TICKET_SECRET_LEN], int64_t now_unix,
                     const uint8_t *ticket, size_t len, pqi_ticket_facts *facts, uint8_t *out,
                     size_t size, size_t *out_len)
{
    pqi_reader r;
    size_t plain_len = 0;
    pqi_reader_init(&r, ticket, len);
    const uint8_t version = pqi_read_u8(&r);
    const uint32_t period = pqi_read_u32(&r);
    *out_len = 0;
    if (len < PQI_TICKET_OVERHEAD || version != VERSION || !still_opens(period, now_unix)) {
        return false;
    }
    uint8_t *plain = malloc(len);
    const bool ok = plain != NULL && open_sealed(secret, period, ticket, len, plain, &plain_len) &&
                    take_apart(plain, plain_len, facts, out, size, out_len);
    pqi_secret_free(plain, len);
    ERR_clear_error();
    return ok;
}

bool pqi_ticket_strong_enough(const pqi_ticket_facts *facts, pql_policy policy)
{
    return pqi_policy_row_of(facts->policy)->kind >= pqi_policy_row_of(policy)->kind &&
           (!pql_policy_wants_pq(policy) || pql_group_is_pq(facts->group)) &&
           pqi_policy_check_group(policy, facts->group, NULL) == PQL_OK &&
           pqi_policy_check_own(policy, facts->signature, NULL) == PQL_OK;
}
