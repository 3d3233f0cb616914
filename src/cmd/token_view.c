#include "cmd/token_view.h"

#include "base/hex.h"
#include "cmd/rotation_view.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

/* The year 9999 ends; later times are shown as numbers. */
#define TIME_SHOWN_MAX UINT64_C(253402300799)

static void print_time(const char *what, uint64_t seconds)
{
    char text[PQI_TIME_TEXT_SIZE];
    if (seconds == 0 || seconds > TIME_SHOWN_MAX) {
        printf("%s %llu s since 1970\n", what, (unsigned long long)seconds);
        return;
    }
    pqi_time_format(text, seconds);
    printf("%s %s\n", what, text);
}

static void print_methods(const pqi_cap_rule *rule)
{
    printf("methods");
    for (size_t i = 0; i < rule->method_count; i++) {
        printf("%c%.*s", i == 0 ? ' ' : ',', (int)rule->methods[i].len,
               (const char *)rule->methods[i].at);
    }
    printf("\n");
}

static void print_address(const pqi_cap_rule *rule)
{
    char text[INET6_ADDRSTRLEN] = "";
    const int family = rule->address.len == sizeof(struct in_addr) ? AF_INET : AF_INET6;
    (void)inet_ntop(family, rule->address.at, text, sizeof(text));
    printf("address %s/%llu\n", text, (unsigned long long)rule->number);
}

static void print_rule(const pqi_cap_rule *rule)
{
    switch (rule->type) {
    case PQI_CAP_RULE_AUDIENCE:
    case PQI_CAP_RULE_PATH:
        printf("%s %.*s\n", rule->type == PQI_CAP_RULE_PATH ? "path" : "audience",
               (int)rule->text.len, (const char *)rule->text.at);
        break;
    case PQI_CAP_RULE_METHODS:
        print_methods(rule);
        break;
    case PQI_CAP_RULE_BYTES:
        printf("at most %llu bytes\n", (unsigned long long)rule->number);
        break;
    case PQI_CAP_RULE_ADDRESS:
        print_address(rule);
        break;
    case PQI_CAP_RULE_NOT_BEFORE:
        print_time("not before", rule->number);
        break;
    case PQI_CAP_RULE_EXPIRES:
        print_time("expires", rule->number);
        break;
    default:
        printf("number %llu, which this version does not know: every verifier of this version "
               "denies the token\n",
               (unsigned long long)rule->type);
        break;
    }
}

static const char *algorithm_text(uint64_t algorithm)
{
    return algorithm == PQI_CAP_ML_DSA_65      ? "Ed25519 and ML-DSA-65"
           : algorithm == PQI_CAP_SLH_DSA_192S ? "Ed25519 and SLH-DSA-SHA2-192s"
                                               : "an algorithm that this version does not know";
}

static void print_signatures(const pqi_cap_token *token)
{
    const pqi_cap_envelope *e = &token->envelope;
    if (!token->has_envelope) {
        printf("signatures  none\n");
        return;
    }
    printf("signatures  %s, over the first %zu caveats, NOT VERIFIED%s%s\n",
           algorithm_text(e->algorithm), e->minted,
           e->ed25519.len == 0 ? "; that of Ed25519 is missing" : "",
           e->pq.len == 0 ? "; the post-quantum one is missing" : "");
}

void pqi_token_print(const pqi_cap_token *token)
{
    char number[2 * PQI_CAP_NONCE_SIZE + 1];
    pqi_cap_rules at = {0};
    pqi_cap_rule rule;
    pqi_hex_encode(number, token->nonce.at, token->nonce.len);
    printf("MAC         NOT VERIFIED: anybody can write what follows ('pqlink token verify')\n");
    printf("tenant      %.*s\n", (int)token->tenant.len, (const char *)token->tenant.at);
    printf("key         %.*s\n", (int)token->kid.len, (const char *)token->kid.at);
    printf("number      %s\n", number);
    while (pqi_cap_rules_next(token, &at, &rule)) {
        if (at.next == 0) {
            printf("scope       ");
        } else {
            printf("caveat %-4zu ", at.next);
        }
        print_rule(&rule);
    }
    print_signatures(token);
}

bool pqi_token_is_for(const pqi_cap_token *token, const char *audience)
{
    pqi_cap_rules at = {0};
    pqi_cap_rule rule;
    return pqi_cap_rules_next(token, &at, &rule) && rule.text.len == strlen(audience) &&
           memcmp(rule.text.at, audience, rule.text.len) == 0;
}
