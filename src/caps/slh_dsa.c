#include "caps/slh_dsa.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>

#define LIBRARY "libcrypto.so.3"
#define ALGORITHM "SLH-DSA-SHA2-192s"
/* OpenSSL 3.5.0 as OpenSSL_version_num says it. */
#define VERSION_NEEDED 0x30500000UL

/* What is used of OpenSSL's interface (OpenSSL 3.5, crypto.h and evp.h), declared here because the
 * headers on the include path are AWS-LC's.  Objects are opaque. */
typedef struct openssl {
    unsigned long (*version)(void);
    const char *(*version_text)(int what);
    void (*clear_error)(void);
    void *(*pkey_ctx_new)(void *libctx, const char *name, const char *properties);
    void (*pkey_ctx_free)(void *ctx);
    int (*keygen_init)(void *ctx);
    int (*generate)(void *ctx, void **pkey);
    void *(*private_new)(void *libctx, const char *name, const char *properties,
                         const unsigned char *key, size_t len);
    void *(*public_new)(void *libctx, const char *name, const char *properties,
                        const unsigned char *key, size_t len);
    int (*private_get)(const void *pkey, unsigned char *out, size_t *len);
    int (*public_get)(const void *pkey, unsigned char *out, size_t *len);
    void (*pkey_free)(void *pkey);
    void *(*md_ctx_new)(void);
    void (*md_ctx_free)(void *ctx);
    int (*sign_init)(void *ctx, void **pctx, const char *md, void *libctx, const char *properties,
                     void *pkey, const void *params);
    int (*sign)(void *ctx, unsigned char *out, size_t *out_len, const unsigned char *message,
                size_t len);
    int (*verify_init)(void *ctx, void **pctx, const char *md, void *libctx, const char *properties,
                       void *pkey, const void *params);
    int (*verify)(void *ctx, const unsigned char *signature, size_t signature_len,
                  const unsigned char *message, size_t len);
} openssl;

/* Written once, under |once|. */
static openssl lib;
static pql_error why_not;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* dlsym gives an object pointer, which POSIX lets be a function's; ISO C wants the detour. */
static bool find(void *handle, const char *name, void *slot)
{
    *(void **)slot = dlsym(handle, name);
    return *(void **)slot != NULL;
}

static bool find_all(void *handle)
{
    const struct {
        const char *name;
        void *slot;
    } wanted[] = {
        {"OpenSSL_version", &lib.version_text},
        {"ERR_clear_error", &lib.clear_error},
        {"EVP_PKEY_CTX_new_from_name", &lib.pkey_ctx_new},
        {"EVP_PKEY_CTX_free", &lib.pkey_ctx_free},
        {"EVP_PKEY_keygen_init", &lib.keygen_init},
        {"EVP_PKEY_generate", &lib.generate},
        {"EVP_PKEY_new_raw_private_key_ex", &lib.private_new},
        {"EVP_PKEY_new_raw_public_key_ex", &lib.public_new},
        {"EVP_PKEY_get_raw_private_key", &lib.private_get},
        {"EVP_PKEY_get_raw_public_key", &lib.public_get},
        {"EVP_PKEY_free", &lib.pkey_free},
        {"EVP_MD_CTX_new", &lib.md_ctx_new},
        {"EVP_MD_CTX_free", &lib.md_ctx_free},
        {"EVP_DigestSignInit_ex", &lib.sign_init},
        {"EVP_DigestSign", &lib.sign},
        {"EVP_DigestVerifyInit_ex", &lib.verify_init},
        {"EVP_DigestVerify", &lib.verify},
    };
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        if (!find(handle, wanted[i].name, wanted[i].slot)) {
            return false;
        }
    }
    return true;
}

static bool has_algorithm(void)
{
    void *ctx = lib.pkey_ctx_new(NULL, ALGORITHM, NULL);
    const bool has = ctx != NULL;
    lib.pkey_ctx_free(ctx);
    lib.clear_error();
    return has;
}

static void open_library(void)
{
    static const char needs[] = "SLH-DSA needs OpenSSL 3.5 or later on this machine";
    void *handle = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL) {
        (void)pqi_fail(&why_not, PQL_E_UNSUPPORTED,
                       "%s, and " LIBRARY " cannot be opened (%.200s).  Install it, or use "
                       "--sign-algo ml-dsa.",
                       needs, dlerror());
        return;
    }
    if (!find(handle, "OpenSSL_version_num", &lib.version) || lib.version() < VERSION_NEEDED ||
        !find_all(handle)) {
        const bool known = find(handle, "OpenSSL_version", &lib.version_text);
        (void)pqi_fail(&why_not, PQL_E_UNSUPPORTED,
                       "%s, and " LIBRARY " is %.80s.  Install a newer one, or use --sign-algo "
                       "ml-dsa.",
                       needs, known ? lib.version_text(0) : "another library");
    } else if (!has_algorithm()) {
        (void)pqi_fail(&why_not, PQL_E_UNSUPPORTED,
                       "%s, and the one that is there (%.80s) was built or set up without it.  Use "
                       "--sign-algo ml-dsa.",
                       needs, lib.version_text(0));
    } else {
        return; /* it stays open */
    }
    (void)dlclose(handle);
}

pql_status pqi_slh_dsa_check(pql_error *err)
{
    (void)pthread_once(&once, open_library);
    return why_not.code == PQL_OK ? PQL_OK : pqi_fail(err, why_not.code, "%s", why_not.message);
}

static pql_status fail(const char *what, pql_error *err)
{
    lib.clear_error();
    return pqi_fail(err, PQL_E_CRYPTO, "OpenSSL failed to %s with " ALGORITHM ".", what);
}

pql_status pqi_slh_dsa_make(uint8_t public_key[PQI_SLH_DSA_PUBLIC_SIZE],
                            uint8_t private_key[PQI_SLH_DSA_PRIVATE_SIZE], pql_error *err)
{
    size_t public_len = PQI_SLH_DSA_PUBLIC_SIZE;
    size_t private_len = PQI_SLH_DSA_PRIVATE_SIZE;
    void *key = NULL;
    const pql_status status = pqi_slh_dsa_check(err);
    if (status != PQL_OK) {
        return status;
    }
    void *ctx = lib.pkey_ctx_new(NULL, ALGORITHM, NULL);
    const bool ok = ctx != NULL && lib.keygen_init(ctx) == 1 && lib.generate(ctx, &key) == 1 &&
                    lib.public_get(key, public_key, &public_len) == 1 &&
                    lib.private_get(key, private_key, &private_len) == 1 &&
                    public_len == PQI_SLH_DSA_PUBLIC_SIZE &&
                    private_len == PQI_SLH_DSA_PRIVATE_SIZE;
    lib.pkey_free(key);
    lib.pkey_ctx_free(ctx);
    return ok ? PQL_OK : fail("make a key", err);
}

pql_status pqi_slh_dsa_sign(uint8_t out[PQI_SLH_DSA_SIGNATURE_SIZE],
                            const uint8_t private_key[PQI_SLH_DSA_PRIVATE_SIZE],
                            const void *message, size_t len, pql_error *err)
{
    size_t signature_len = PQI_SLH_DSA_SIGNATURE_SIZE;
    const pql_status status = pqi_slh_dsa_check(err);
    if (status != PQL_OK) {
        return status;
    }
    void *key = lib.private_new(NULL, ALGORITHM, NULL, private_key, PQI_SLH_DSA_PRIVATE_SIZE);
    void *ctx = lib.md_ctx_new();
    const bool ok = key != NULL && ctx != NULL &&
                    lib.sign_init(ctx, NULL, NULL, NULL, NULL, key, NULL) == 1 &&
                    lib.sign(ctx, out, &signature_len, message, len) == 1 &&
                    signature_len == PQI_SLH_DSA_SIGNATURE_SIZE;
    lib.md_ctx_free(ctx);
    lib.pkey_free(key);
    return ok ? PQL_OK : fail("sign", err);
}

bool pqi_slh_dsa_verify(const uint8_t signature[PQI_SLH_DSA_SIGNATURE_SIZE],
                        const uint8_t public_key[PQI_SLH_DSA_PUBLIC_SIZE], const void *message,
                        size_t len)
{
    if (pqi_slh_dsa_check(NULL) != PQL_OK) {
        return false;
    }
    void *key = lib.public_new(NULL, ALGORITHM, NULL, public_key, PQI_SLH_DSA_PUBLIC_SIZE);
    void *ctx = lib.md_ctx_new();
    const bool ok = key != NULL && ctx != NULL &&
                    lib.verify_init(ctx, NULL, NULL, NULL, NULL, key, NULL) == 1 &&
                    lib.verify(ctx, signature, PQI_SLH_DSA_SIGNATURE_SIZE, message, len) == 1;
    lib.md_ctx_free(ctx);
    lib.pkey_free(key);
    lib.clear_error();
    return ok;
}
