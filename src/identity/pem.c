#include "identity/pem.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/mem.h>
#include <openssl/pem.h>

#include <limits.h>
#include <stdlib.h>
#include <string.h>

static const char begin[] = "-----BEGIN ";
#define BEGIN_LEN (sizeof(begin) - 1)

static bool only_white_space(BIO *bio)
{
    char c = 0;
    while (BIO_read(bio, &c, 1) == 1) {
        if (c != '\n' && c != '\r' && c != ' ' && c != '\t') {
            return false;
        }
    }
    return true;
}

bool pqi_pem_decode(const uint8_t *pem, size_t pem_len, const char *label, uint8_t **der,
                    size_t *der_len)
{
    char *name = NULL;
    char *header = NULL;
    unsigned char *data = NULL;
    long data_len = 0;
    *der = NULL;
    *der_len = 0;
    if (pem_len > INT_MAX || pem_len < BEGIN_LEN || memcmp(pem, begin, BEGIN_LEN) != 0) {
        return false;
    }
    BIO *bio = BIO_new_mem_buf(pem, (int)pem_len);
    bool ok = bio != NULL && PEM_read_bio(bio, &name, &header, &data, &data_len) == 1;
    ok = ok && strcmp(name, label) == 0 && header[0] == '\0' && data_len > 0 &&
         only_white_space(bio);
    if (ok) {
        *der = data;
        *der_len = (size_t)data_len;
    } else {
        OPENSSL_free(data);
        ERR_clear_error();
    }
    OPENSSL_free(name);
    OPENSSL_free(header);
    BIO_free(bio);
    return ok;
}

bool pqi_pem_encode(const uint8_t *der, size_t der_len, const char *label, uint8_t **pem,
                    size_t *pem_len)
{
    const uint8_t *text = NULL;
    *pem = NULL;
    *pem_len = 0;
    BIO *bio = BIO_new(BIO_s_mem());
    if (bio != NULL && der_len <= LONG_MAX &&
        PEM_write_bio(bio, label, "", der, (long)der_len) != 0 &&
        BIO_mem_contents(bio, &text, pem_len) == 1) {
        *pem = malloc(*pem_len);
    }
    if (*pem != NULL) {
        memcpy(*pem, text, *pem_len);
    } else {
        *pem_len = 0;
        ERR_clear_error();
    }
    BIO_free(bio);
    return *pem != NULL;
}
