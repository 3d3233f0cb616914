/* Every case that a policy can be asked about, in one order: for the table of verdicts in
 * tests/data, and for what must hold whatever that table says. */
#ifndef PQI_TESTS_POLICY_VERDICTS_H
#define PQI_TESTS_POLICY_VERDICTS_H

#include "policy/policy.h"

#include <stdio.h>

#define VERDICT_COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define VERDICT_UNKNOWN 0xfefe
#define VERDICT_GROUPS (PQL_GROUP_COUNT + 2)
#define VERDICT_SIGNATURES (PQL_SIGNATURE_COUNT + 2)
#define VERDICT_AES_256 0x1302

/* One question, and what came of it. */
typedef struct verdict_case {
    pql_policy policy;
    unsigned transport; /* index of verdict_transports */
    unsigned role;      /* index of verdict_roles */
    bool resumed, required;
    uint16_t group, signature, cipher;
} verdict_case;

typedef struct verdict {
    pql_status status, keeps;
    pql_posture posture;
} verdict;

static const struct {
    const char *name;
    bool quic;
    uint16_t version;
} verdict_transports[] = {
    {"quic", true, 0x0304},
    {"tls-1.3", false, 0x0304},
    {"tls-1.2", false, 0x0303},
};

/* What the side shows itself. */
static const struct {
    const char *name;
    bool server;
    uint16_t own;
} verdict_roles[] = {
    {"client", false, 0},
    {"server-ml-dsa-87", true, 0x0906},
    {"server-ecdsa", true, 0x0403},
};

static const pql_policy verdict_policies[] = {PQL_POLICY_OFF_2026, PQL_POLICY_HYBRID_2026,
                                              PQL_POLICY_PQ_ONLY_2026, PQL_POLICY_CNSA_2_0_2026};

static const uint16_t verdict_ciphers[] = {0x1301, 0x1302, 0x1303, 0xc02c, 0};

/* The closed lists, then nothing, then something that we do not know. */
static inline uint16_t verdict_group(unsigned index)
{
    return index <= PQL_GROUP_COUNT ? pql_group_at(index) : VERDICT_UNKNOWN;
}

static inline uint16_t verdict_signature(unsigned index)
{
    return index <= PQL_SIGNATURE_COUNT ? pql_signature_at(index) : VERDICT_UNKNOWN;
}

static inline verdict verdict_of(const verdict_case *c)
{
    const pqi_policy_use use = {.policy = c->policy,
                                .quic = verdict_transports[c->transport].quic,
                                .server = verdict_roles[c->role].server,
                                .pq_authentication = c->required};
    verdict v = {.posture = {.tls_version = verdict_transports[c->transport].version,
                             .group = c->group,
                             .own_signature = verdict_roles[c->role].own,
                             .peer_signature = c->signature,
                             .cipher = c->cipher,
                             .resumed = c->resumed}};
    v.keeps = pqi_policy_keeps(&use, &v.posture, NULL);
    v.status = pqi_policy_judge(&use, &v.posture, NULL);
    return v;
}

/* Calls |each| for every case of one cipher suite. */
static inline void verdict_for_all(void (*each)(const verdict_case *c, void *user), void *user)
{
    verdict_case c = {.cipher = VERDICT_AES_256};
    for (size_t p = 0; p < VERDICT_COUNT(verdict_policies); p++) {
        c.policy = verdict_policies[p];
        for (c.transport = 0; c.transport < VERDICT_COUNT(verdict_transports); c.transport++) {
            for (c.role = 0; c.role < VERDICT_COUNT(verdict_roles); c.role++) {
                for (unsigned flags = 0; flags < 4; flags++) {
                    c.resumed = (flags & 1) != 0;
                    c.required = (flags & 2) != 0;
                    for (unsigned g = 0; g < VERDICT_GROUPS; g++) {
                        c.group = verdict_group(g);
                        for (unsigned s = 0; s < VERDICT_SIGNATURES; s++) {
                            c.signature = verdict_signature(s);
                            each(&c, user);
                        }
                    }
                }
            }
        }
    }
}

static inline void verdict_write_name(FILE *out, uint16_t code, const char *name)
{
    (void)fprintf(out, "\t%s", code == 0 ? "none" : name);
}

static inline void verdict_write_head(FILE *out)
{
    (void)fprintf(out, "# What each policy says of a session.  ok: allowed, no: refused with "
                       "PQL_E_POLICY, *: pq_authentication.\n"
                       "# policy\ttransport\trole\tsession\trequired\tgroup\tpq\tdowngrade");
    for (unsigned s = 0; s < VERDICT_SIGNATURES; s++) {
        const uint16_t scheme = verdict_signature(s);
        verdict_write_name(out, scheme, pql_signature_name(scheme));
    }
}

/* One cell; in front of the first signature of a line, the line's head. */
static inline void verdict_write_case(const verdict_case *c, void *user)
{
    FILE *out = user;
    const verdict v = verdict_of(c);
    if (c->signature == verdict_signature(0)) {
        (void)fprintf(out, "\n%s\t%s\t%s\t%s\t%s", pql_policy_name(c->policy),
                      verdict_transports[c->transport].name, verdict_roles[c->role].name,
                      c->resumed ? "resumed" : "full", c->required ? "ml-dsa" : "any");
        verdict_write_name(out, c->group, pql_group_name(c->group));
        (void)fprintf(out, "\t%s\t%s", v.posture.pq_key_exchange ? "pq" : "-",
                      pql_downgrade_name(v.posture.downgrade));
    }
    (void)fprintf(out, "\t%s%s", v.status == PQL_OK ? "ok" : "no",
                  v.posture.pq_authentication ? "*" : "");
}

/* Suites, with a key exchange and a signature that each policy allows. */
static inline void verdict_write_ciphers(FILE *out)
{
    (void)fprintf(out, "\n# policy\ttransport\tsuite\tverdict");
    for (size_t p = 0; p < VERDICT_COUNT(verdict_policies); p++) {
        verdict_case c = {.policy = verdict_policies[p], .signature = 0x0906};
        c.group = pql_policy_wants_pq(c.policy) ? 0x11ed : 0x001d;
        for (c.transport = 0; c.transport < VERDICT_COUNT(verdict_transports); c.transport++) {
            for (size_t i = 0; i < VERDICT_COUNT(verdict_ciphers); i++) {
                c.cipher = verdict_ciphers[i];
                (void)fprintf(out, "\n%s\t%s\t%s\t%s", pql_policy_name(c.policy),
                              verdict_transports[c.transport].name, pql_cipher_name(c.cipher),
                              verdict_of(&c).status == PQL_OK ? "ok" : "no");
            }
        }
    }
    (void)fprintf(out, "\n");
}

static inline void verdict_write_all(FILE *out)
{
    verdict_write_head(out);
    verdict_for_all(verdict_write_case, out);
    verdict_write_ciphers(out);
}

#endif
