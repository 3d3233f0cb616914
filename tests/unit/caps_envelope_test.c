/* The hybrid signatures of a token, and the file that their keys stand in.
 *
 * SLH-DSA needs OpenSSL 3.5: of this machine, or the libcrypto.so.3 that PQLINK_TEST_LIBCRYPTO
 * names.  Without one its test is skipped, and says so. */
#include "test.h"

#include "base/file.h"
#include "base/hex.h"
#include "caps/envelope.h"
#include "caps/keyring.h"
#include "unit/caps_scene.h"

#include <dlfcn.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static const pqi_cap_request plain_request = {.audience = "admin"};

static pqi_cap_keys signing_keys(pqi_cap_algorithm algorithm)
{
    pqi_cap_keys keys = {0};
    pqi_cap_key key;
    pql_error err = {0};
    if (pqi_cap_key_make(&key, "k1", "acme", algorithm, &err) != PQL_OK) {
        fail_msg("%s", err.message);
    }
    assert_int_equal(pqi_cap_keys_add(&keys, &key, NULL), PQL_OK);
    pqi_secret_wipe(&key, sizeof(key));
    return keys;
}

static char *signed_token(const pqi_cap_keys *keys)
{
    const pqi_cap_rule rules[] = {scene_text(PQI_CAP_RULE_AUDIENCE, "admin"),
                                  scene_number(PQI_CAP_RULE_EXPIRES, SCENE_NOW)};
    return scene_mint(&keys->keys[0], rules, 2, true);
}

static char *unsigned_token(const pqi_cap_keys *keys)
{
    const pqi_cap_rule rule = scene_text(PQI_CAP_RULE_AUDIENCE, "admin");
    return scene_mint(&keys->keys[0], &rule, 1, false);
}

/* |text| with its parts changed by |change|. */
static char *changed(const char *text, void (*change)(pqi_cap_token *token))
{
    pqi_cap_token token;
    char *out = NULL;
    assert_int_equal(pqi_cap_token_read(&token, text, strlen(text)), PQI_CAP_ALLOWED);
    change(&token);
    assert_int_equal(pqi_cap_token_write(&out, &token, NULL), PQL_OK);
    pqi_cap_token_free(&token);
    return out;
}

static void drop_ed25519(pqi_cap_token *token)
{
    token->envelope.ed25519.len = 0;
}

static void drop_pq(pqi_cap_token *token)
{
    token->envelope.pq.len = 0;
}

static void drop_both(pqi_cap_token *token)
{
    drop_ed25519(token);
    drop_pq(token);
}

static void swap_legs(pqi_cap_token *token)
{
    const pqi_span kept = token->envelope.ed25519;
    token->envelope.ed25519 = token->envelope.pq;
    token->envelope.pq = kept;
}

static void flip_ed25519(pqi_cap_token *token)
{
    token->data[token->envelope.ed25519.at - token->data] ^= 1;
}

static void flip_pq(pqi_cap_token *token)
{
    token->data[token->envelope.pq.at - token->data] ^= 1;
}

static void sign_less(pqi_cap_token *token)
{
    token->envelope.minted--;
}

static void other_algorithm(pqi_cap_token *token)
{
    token->envelope.algorithm ^= 1;
}

static void unknown_algorithm(pqi_cap_token *token)
{
    token->envelope.algorithm = 77;
}

static void drop_envelope(pqi_cap_token *token)
{
    token->has_envelope = false;
}

static void assert_both_legs_count(const pqi_cap_keys *keys)
{
    static void (*const changes[])(pqi_cap_token *token) = {
        drop_ed25519, drop_pq,   drop_both,       swap_legs,        flip_ed25519,
        flip_pq,      sign_less, other_algorithm, unknown_algorithm};
    char *text = signed_token(keys);
    assert_int_equal(scene_verify(keys, text, &plain_request), PQI_CAP_ALLOWED);
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        char *wrong = changed(text, changes[i]);
        const pqi_cap_reason reason = scene_verify(keys, wrong, &plain_request);
        if (reason != PQI_CAP_SIGNATURE) {
            fail_msg("change %zu: %s", i, pqi_cap_reason_names[reason]);
        }
        free(wrong);
    }
    free(text);
}

static void both_signatures_must_be_there_and_hold(void **state)
{
    (void)state;
    pqi_cap_keys keys = signing_keys(PQI_CAP_ML_DSA_65);
    assert_both_legs_count(&keys);
    pqi_cap_keys_clear(&keys);
}

static void a_verifier_that_wants_signatures_takes_nothing_less(void **state)
{
    const pqi_cap_policy strict = {.skew = SCENE_SKEW, .require_signature = true};
    pqi_cap_verdict verdict;
    (void)state;
    pqi_cap_keys keys = signing_keys(PQI_CAP_ML_DSA_65);
    char *text = signed_token(&keys);
    char *stripped = changed(text, drop_envelope);
    assert_int_equal(scene_verify(&keys, stripped, &plain_request), PQI_CAP_ALLOWED);
    assert_false(pqi_cap_verify(stripped, strlen(stripped), &keys, &strict, &plain_request,
                                SCENE_NOW, &verdict));
    assert_int_equal(verdict.reason, PQI_CAP_SIGNATURE);
    assert_true(
        pqi_cap_verify(text, strlen(text), &keys, &strict, &plain_request, SCENE_NOW, &verdict));
    assert_true(verdict.grant.is_signed);
    keys.keys[0].require_signature = true; /* the key can ask for it too */
    assert_int_equal(scene_verify(&keys, stripped, &plain_request), PQI_CAP_SIGNATURE);
    free(stripped);
    free(text);
    pqi_cap_keys_clear(&keys);
}

/* Hybrid never lets in what the MAC alone would not. */
static void a_good_signature_does_not_make_up_for_a_bad_mac(void **state)
{
    (void)state;
    pqi_cap_keys keys = signing_keys(PQI_CAP_ML_DSA_65);
    char *text = signed_token(&keys);
    keys.keys[0].root[0] ^= 1;
    assert_int_equal(scene_verify(&keys, text, &plain_request), PQI_CAP_MAC);
    free(text);
    pqi_cap_keys_clear(&keys);
}

static void a_holder_can_narrow_a_signed_token(void **state)
{
    (void)state;
    pqi_cap_keys keys = signing_keys(PQI_CAP_ML_DSA_65);
    const pqi_cap_rule rule = scene_methods("GET");
    char *text = signed_token(&keys);
    char *narrow = scene_attenuate(text, &rule, 1);
    keys.keys[0].require_signature = true;
    assert_int_equal(scene_verify(&keys, narrow, &plain_request), PQI_CAP_METHOD);
    const pqi_cap_request get = {.audience = "admin", .method = "GET"};
    assert_int_equal(scene_verify(&keys, narrow, &get), PQI_CAP_ALLOWED);
    free(narrow);
    free(text);
    pqi_cap_keys_clear(&keys);
}

static void a_verifier_without_public_keys_denies_a_signed_token(void **state)
{
    (void)state;
    pqi_cap_keys keys = signing_keys(PQI_CAP_ML_DSA_65);
    char *text = signed_token(&keys);
    keys.keys[0].algorithm = PQI_CAP_UNSIGNED;
    assert_int_equal(scene_verify(&keys, text, &plain_request), PQI_CAP_SIGNATURE);
    free(text);
    pqi_cap_keys_clear(&keys);
}

/* ---- SLH-DSA ---- */

static void slh_dsa_can_stand_in_for_ml_dsa(void **state)
{
    pql_error err = {0};
    (void)state;
    const char *library = getenv("PQLINK_TEST_LIBCRYPTO");
    /* One library of a name is opened once: what is opened here is what the program finds. */
    if (library != NULL && dlopen(library, RTLD_NOW | RTLD_LOCAL) == NULL) {
        fail_msg("PQLINK_TEST_LIBCRYPTO: %s", dlerror());
    }
    if (pqi_slh_dsa_check(&err) != PQL_OK) {
        assert_int_equal(err.code, PQL_E_UNSUPPORTED);
        assert_non_null(strstr(err.message, "OpenSSL 3.5"));
        print_message("SKIPPED, NOT TESTED: %s  Name one in PQLINK_TEST_LIBCRYPTO.\n", err.message);
        skip();
    }
    pqi_cap_keys keys = signing_keys(PQI_CAP_SLH_DSA_192S);
    assert_both_legs_count(&keys);
    pqi_cap_keys_clear(&keys);
}

/* ---- The file ---- */

typedef struct file {
    char dir[64];
    char path[96];
} file;

static file new_file(void)
{
    file f = {.dir = "/tmp/pqlink-caps-XXXXXX"};
    assert_non_null(mkdtemp(f.dir));
    (void)snprintf(f.path, sizeof(f.path), "%s/keys", f.dir);
    return f;
}

static void drop_file(const file *f)
{
    (void)unlink(f->path);
    (void)rmdir(f->dir);
}

static void keys_come_back_from_their_file(void **state)
{
    struct stat st;
    pqi_cap_keys back = {0};
    (void)state;
    const file f = new_file();
    pqi_cap_keys keys = signing_keys(PQI_CAP_ML_DSA_65);
    keys.keys[0].require_signature = true;
    keys.revoked = calloc(1, sizeof(*keys.revoked));
    keys.revoked_count = 1;
    memset(keys.revoked[0].nonce, 0xab, PQI_CAP_NONCE_SIZE);
    (void)snprintf(keys.revoked[0].note, PQI_CAP_NOTE_SIZE, "lost \"laptop\" \\ 2026");
    assert_int_equal(pqi_cap_keys_save(&keys, f.path, true, NULL), PQL_OK);
    assert_int_equal(stat(f.path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(pqi_cap_keys_load(&back, f.path, NULL), PQL_OK);
    assert_int_equal(back.count, 1);
    assert_memory_equal(&back.keys[0], &keys.keys[0], sizeof(keys.keys[0]));
    assert_int_equal(back.revoked_count, 1);
    assert_memory_equal(&back.revoked[0], &keys.revoked[0], sizeof(keys.revoked[0]));
    pqi_cap_keys_clear(&back);
    pqi_cap_keys_clear(&keys);
    drop_file(&f);
}

static void a_file_for_verifiers_cannot_sign(void **state)
{
    pqi_cap_keys back = {0};
    char *text = NULL;
    (void)state;
    const file f = new_file();
    pqi_cap_keys keys = signing_keys(PQI_CAP_ML_DSA_65);
    assert_int_equal(pqi_cap_keys_save(&keys, f.path, false, NULL), PQL_OK);
    assert_int_equal(pqi_cap_keys_load(&back, f.path, NULL), PQL_OK);
    assert_false(back.keys[0].has_private);
    char *token = signed_token(&keys);
    assert_int_equal(scene_verify(&back, token, &plain_request), PQI_CAP_ALLOWED);
    const pqi_cap_rule rule = scene_text(PQI_CAP_RULE_AUDIENCE, "admin");
    const pqi_cap_mint mint = {.rules = &rule, .count = 1, .sign = true};
    assert_int_equal(pqi_cap_mint_token(&text, &back.keys[0], &mint, NULL), PQL_E_IDENTITY);
    assert_null(text);
    free(token);
    pqi_cap_keys_clear(&back);
    pqi_cap_keys_clear(&keys);
    drop_file(&f);
}

#define ROOT "root = \"3031323334353637383961626364656630313233343536373839616263646566\"\n"

static void what_is_wrong_with_a_file_is_a_sentence(void **state)
{
    static const struct {
        const char *text;
        const char *words;
    } cases[] = {
        {"tenant = \"acme\"\n", "stands before the first key"},
        {"[k1]\ntenant = \"acme\"\nstate = \"current\"\n", "needs tenant, state and root"},
        {"[k1]\ntenant = \"a b\"\n", "a name of 1 to 32"},
        {"[k1]\ntenant = \"acme\"\nstate = \"old\"\n", "\"current\" or \"previous\""},
        {"[k1]\nroot = \"abc\"\n", "hexadecimal digits of the right number"},
        {"[k1]\ncolour = \"red\"\n", "no setting 'colour'"},
        {"[k1]\nsign = \"rsa\"\n", "ed25519+ml-dsa-65"},
        {"[k1]\npq_public = \"00\"\n", "behind that of sign"},
        {"[k1]\ntenant = \"acme\"\nstate = \"current\"\n" ROOT "require_signature = true\n",
         "nothing to verify"},
        {"[k1]\ntenant = \"acme\"\nstate = \"current\"\n" ROOT "sign = \"ed25519+ml-dsa-65\"\n",
         "together"},
        {"[k1]\ntenant = \"acme\"\nstate = \"current\"\n" ROOT
         "[k2]\ntenant = \"acme\"\nstate = \"current\"\n" ROOT,
         "are both the current key"},
        {"[revoked]\nabc = \"x\"\n", "32 hexadecimal digits"},
        {"[revoked]\n00112233445566778899aabbccddeeff = 1\n", "a note"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        pqi_cap_keys keys;
        pql_error err = {0};
        assert_int_equal(
            pqi_cap_keys_parse(&keys, "keys", cases[i].text, strlen(cases[i].text), &err),
            PQL_E_USAGE);
        assert_int_equal(keys.count, 0);
        if (strstr(err.message, cases[i].words) == NULL) {
            fail_msg("'%s' is not in: %s", cases[i].words, err.message);
        }
        assert_null(strstr(err.message, "303132"));
    }
}

/* 128 keys with all their settings are more than the reader takes. */
static void keys_that_could_not_be_read_back_are_not_written(void **state)
{
    pqi_cap_key key;
    pqi_cap_keys keys = {0};
    (void)state;
    const file f = new_file();
    assert_int_equal(pqi_cap_key_make(&key, NULL, "tenant", PQI_CAP_UNSIGNED, NULL), PQL_OK);
    key.algorithm = PQI_CAP_SLH_DSA_192S;
    key.has_private = true;
    for (unsigned i = 0; i < PQI_CAP_KEYS_MAX; i++) {
        (void)snprintf(key.kid, sizeof(key.kid), "key-%u", i);
        (void)snprintf(key.tenant, sizeof(key.tenant), "tenant-%u", i);
        assert_int_equal(pqi_cap_keys_add(&keys, &key, NULL), PQL_OK);
    }
    assert_int_equal(pqi_cap_keys_save(&keys, f.path, true, NULL), PQL_E_LIMIT);
    assert_int_equal(access(f.path, F_OK), -1);
    pqi_cap_keys_clear(&keys);
    drop_file(&f);
}

static void a_file_that_others_can_read_is_refused(void **state)
{
    pqi_cap_keys keys = scene_keys("k1", "acme");
    pqi_cap_keys back;
    (void)state;
    const file f = new_file();
    assert_int_equal(pqi_cap_keys_save(&keys, f.path, true, NULL), PQL_OK);
    assert_int_equal(chmod(f.path, 0644), 0);
    assert_int_equal(pqi_cap_keys_load(&back, f.path, NULL), PQL_E_IDENTITY);
    pqi_cap_keys_clear(&keys);
    drop_file(&f);
}

static void keys_in_use_are_replaced_only_by_good_ones(void **state)
{
    const pqi_cap_policy policy = {.skew = SCENE_SKEW};
    pqi_cap_keyring *ring = NULL;
    pqi_cap_verdict verdict;
    (void)state;
    const file f = new_file();
    pqi_cap_keys keys = scene_keys("k1", "acme");
    char *text = unsigned_token(&keys);
    assert_int_equal(pqi_cap_keys_save(&keys, f.path, true, NULL), PQL_OK);
    assert_int_equal(pqi_cap_keyring_open(&ring, f.path, &policy, NULL, NULL), PQL_OK);
    assert_true(
        pqi_cap_keyring_verify(ring, text, strlen(text), &plain_request, SCENE_NOW, &verdict));
    const pqi_cap_grant grant = verdict.grant;
    assert_int_equal(pqi_file_write_atomic(f.path, "[revoked]\n", 10, 0600, NULL), PQL_OK);
    assert_int_equal(pqi_cap_keyring_reload(ring, NULL), PQL_E_USAGE); /* no key at all */
    assert_int_equal(pqi_cap_keyring_recheck(ring, &grant, SCENE_NOW), PQI_CAP_ALLOWED);
    pqi_cap_keys_clear(&keys);
    keys = scene_keys("k2", "acme");
    assert_int_equal(pqi_cap_keys_save(&keys, f.path, true, NULL), PQL_OK);
    assert_int_equal(pqi_cap_keyring_reload(ring, NULL), PQL_OK);
    assert_int_equal(pqi_cap_keyring_recheck(ring, &grant, SCENE_NOW), PQI_CAP_UNKNOWN_KID);
    free(text);
    pqi_cap_keyring_free(ring);
    pqi_cap_keys_clear(&keys);
    drop_file(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_signatures_must_be_there_and_hold),
        cmocka_unit_test(a_verifier_that_wants_signatures_takes_nothing_less),
        cmocka_unit_test(a_good_signature_does_not_make_up_for_a_bad_mac),
        cmocka_unit_test(a_holder_can_narrow_a_signed_token),
        cmocka_unit_test(a_verifier_without_public_keys_denies_a_signed_token),
        cmocka_unit_test(slh_dsa_can_stand_in_for_ml_dsa),
        cmocka_unit_test(keys_come_back_from_their_file),
        cmocka_unit_test(a_file_for_verifiers_cannot_sign),
        cmocka_unit_test(what_is_wrong_with_a_file_is_a_sentence),
        cmocka_unit_test(keys_that_could_not_be_read_back_are_not_written),
        cmocka_unit_test(a_file_that_others_can_read_is_refused),
        cmocka_unit_test(keys_in_use_are_replaced_only_by_good_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
