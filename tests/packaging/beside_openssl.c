/* One process with two TLS libraries: AWS-LC inside libpqlink, and the system's OpenSSL beside it,
 * which libpq, libcurl and others bring along.  Both must work, each on its own functions. */
#include <pqlink/identity.h>

#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { skipped = 77 };

/* A TLS context of OpenSSL's, made and freed by OpenSSL. */
static bool openssl_works(void *libssl)
{
    const void *(*method)(void);
    void *(*new_context)(const void *);
    void (*free_context)(void *);
    void *context;

    *(void **)&method = dlsym(libssl, "TLS_method");
    *(void **)&new_context = dlsym(libssl, "SSL_CTX_new");
    *(void **)&free_context = dlsym(libssl, "SSL_CTX_free");
    if (method == NULL || new_context == NULL || free_context == NULL) {
        return false;
    }
    context = new_context(method());
    if (context == NULL) {
        return false;
    }
    free_context(context);
    return true;
}

/* Keys, certificates and signatures of ours. */
static bool pqlink_works(void)
{
    pql_identity *identity = NULL;
    pql_error err;

    if (pql_identity_ephemeral(&identity, NULL, &err) != PQL_OK) {
        fprintf(stderr, "%s\n", err.message);
        return false;
    }
    pql_identity_free(identity);
    return true;
}

int main(void)
{
    void *libssl = dlopen("libssl.so.3", RTLD_NOW | RTLD_GLOBAL);

    if (libssl == NULL) {
        fprintf(stderr, "OpenSSL 3 is not on this machine: skipped\n");
        return skipped;
    }
    if (dlsym(RTLD_DEFAULT, "awslc_api_version_num") != NULL) {
        fprintf(stderr, "a name of AWS-LC's is visible to the whole process\n");
        return 1;
    }
    if (!openssl_works(libssl) || !pqlink_works() || !openssl_works(libssl)) {
        fprintf(stderr, "one of the two libraries failed beside the other\n");
        return 1;
    }
    return 0;
}
