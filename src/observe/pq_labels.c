/* The closed label sets of pq_metrics.h: their names, and the way from TLS code points to them. */
#include "observe/pq_metrics.h"

const char *const pqi_group_names[PQI_GROUP_COUNT] = {"x25519mlkem768",
                                                      "secp256r1mlkem768",
                                                      "secp384r1mlkem1024",
                                                      "mlkem1024",
                                                      "x25519",
                                                      "p256",
                                                      "p384",
                                                      "other"};
const char *const pqi_signature_names[PQI_SIGNATURE_COUNT] = {
    "ml-dsa-44", "ml-dsa-65", "ml-dsa-87", "ecdsa-p256", "ed25519", "rsa", "other"};
const char *const pqi_kex_class_names[PQI_KEX_COUNT] = {"x25519", "ml-kem", "hybrid", "other"};
const char *const pqi_signature_class_names[PQI_SIGCLASS_COUNT] = {"ed25519", "ml-dsa", "slh-dsa",
                                                                   "ecdsa",   "rsa",    "other"};
const char *const pqi_role_names[PQI_ROLE_COUNT] = {"client", "server"};
const char *const pqi_transport_names[PQI_TRANSPORT_COUNT] = {"quic", "tls", "lp"};
const char *const pqi_posture_names[PQI_POSTURE_COUNT] = {"hybrid", "pq", "classical"};
const char *const pqi_direction_names[PQI_DIRECTION_COUNT] = {"in", "out"};
const char *const pqi_signature_failure_names[PQI_SIGFAIL_COUNT] = {
    "bad_signature", "not_allowed", "malformed", "sign_failed", "other"};
const char *const pqi_downgrade_names[PQI_DOWNGRADE_COUNT] = {"peer_groups", "tls12",      "compat",
                                                              "resumed",     "remembered", "other"};
const char *const pqi_reject_names[PQI_REJECT_COUNT] = {
    "policy",   "trust", "token",    "alpn",     "handshake", "timeout",
    "capacity", "flood", "protocol", "draining", "address",   "other"};
const char *const pqi_answer_names[PQI_ANSWER_COUNT] = {"retry", "reset", "version"};
const char *const pqi_crypto_op_names[PQI_CRYPTO_OP_COUNT] = {"kex", "sign", "verify"};

typedef struct code_point {
    uint16_t code;
    uint16_t label;
} code_point;

/* IANA "TLS Supported Groups". */
static const code_point groups[] = {
    {0x11ec, PQI_GROUP_X25519MLKEM768},
    {0x11eb, PQI_GROUP_SECP256R1MLKEM768},
    {0x11ed, PQI_GROUP_SECP384R1MLKEM1024},
    {0x0202, PQI_GROUP_MLKEM1024},
    {0x001d, PQI_GROUP_X25519},
    {0x0017, PQI_GROUP_P256},
    {0x0018, PQI_GROUP_P384},
};

/* IANA "TLS SignatureScheme". */
static const code_point schemes[] = {
    {0x0904, PQI_SIGNATURE_ML_DSA_44}, {0x0905, PQI_SIGNATURE_ML_DSA_65},
    {0x0906, PQI_SIGNATURE_ML_DSA_87}, {0x0403, PQI_SIGNATURE_ECDSA_P256},
    {0x0807, PQI_SIGNATURE_ED25519},   {0x0401, PQI_SIGNATURE_RSA}, /* rsa_pkcs1_sha256 */
    {0x0501, PQI_SIGNATURE_RSA},                                    /* rsa_pkcs1_sha384 */
    {0x0601, PQI_SIGNATURE_RSA},                                    /* rsa_pkcs1_sha512 */
    {0x0804, PQI_SIGNATURE_RSA},                                    /* rsa_pss_rsae_sha256 */
    {0x0805, PQI_SIGNATURE_RSA},                                    /* rsa_pss_rsae_sha384 */
    {0x0806, PQI_SIGNATURE_RSA},                                    /* rsa_pss_rsae_sha512 */
    {0x0809, PQI_SIGNATURE_RSA},                                    /* rsa_pss_pss_sha256 */
    {0x080a, PQI_SIGNATURE_RSA},                                    /* rsa_pss_pss_sha384 */
    {0x080b, PQI_SIGNATURE_RSA},                                    /* rsa_pss_pss_sha512 */
};

static unsigned label_find(const code_point *table, size_t count, uint16_t code, unsigned other)
{
    for (size_t i = 0; i < count; i++) {
        if (table[i].code == code) {
            return table[i].label;
        }
    }
    return other;
}

pqi_label_group pqi_label_group_of(uint16_t tls_group)
{
    return (pqi_label_group)label_find(groups, sizeof(groups) / sizeof(groups[0]), tls_group,
                                       PQI_GROUP_OTHER);
}

pqi_label_signature pqi_label_signature_of(uint16_t tls_scheme)
{
    return (pqi_label_signature)label_find(schemes, sizeof(schemes) / sizeof(schemes[0]),
                                           tls_scheme, PQI_SIGNATURE_OTHER);
}

pqi_label_posture pqi_label_posture_of(pqi_label_group group)
{
    switch (group) {
    case PQI_GROUP_X25519MLKEM768:
    case PQI_GROUP_SECP256R1MLKEM768:
    case PQI_GROUP_SECP384R1MLKEM1024:
        return PQI_POSTURE_HYBRID;
    case PQI_GROUP_MLKEM1024:
        return PQI_POSTURE_PQ;
    default:
        return PQI_POSTURE_CLASSICAL;
    }
}

pqi_label_kex_class pqi_label_kex_class_of(pqi_label_group group)
{
    switch (pqi_label_posture_of(group)) {
    case PQI_POSTURE_HYBRID:
        return PQI_KEX_HYBRID;
    case PQI_POSTURE_PQ:
        return PQI_KEX_ML_KEM;
    default:
        return group == PQI_GROUP_X25519 ? PQI_KEX_X25519 : PQI_KEX_OTHER;
    }
}

pqi_label_signature_class pqi_label_signature_class_of(pqi_label_signature algo)
{
    switch (algo) {
    case PQI_SIGNATURE_ML_DSA_44:
    case PQI_SIGNATURE_ML_DSA_65:
    case PQI_SIGNATURE_ML_DSA_87:
        return PQI_SIGCLASS_ML_DSA;
    case PQI_SIGNATURE_ECDSA_P256:
        return PQI_SIGCLASS_ECDSA;
    case PQI_SIGNATURE_ED25519:
        return PQI_SIGCLASS_ED25519;
    case PQI_SIGNATURE_RSA:
        return PQI_SIGCLASS_RSA;
    default:
        return PQI_SIGCLASS_OTHER;
    }
}
