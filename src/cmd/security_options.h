/* Options that say how strong a link has to be, and what the machine may keep: the same for every
 * command that runs links. */
#ifndef PQI_CMD_SECURITY_OPTIONS_H
#define PQI_CMD_SECURITY_OPTIONS_H

#include "cmd/command.h"

#include <pqlink/policy.h>

typedef struct pqi_security_options {
    pql_policy policy;
    bool pq_authentication;     /* peers prove their key with ML-DSA or not at all */
    uint64_t key_rotation_days; /* age at which an identity is replaced; 0: never by itself */
    bool amnesia;               /* nothing is written to a disk */
} pqi_security_options;

/* Names in the order of pql_policy: the one list, for help, completions, file and messages.  Ends
 * with NULL. */
extern const char *const pqi_policy_names[];
/* "any" and "ml-dsa": pq_authentication false and true. */
extern const char *const pqi_authentication_names[];

/* Most days between two rotations by age. */
#define PQI_KEY_ROTATION_DAYS_MAX 3650

/* What a running command does when a security setting changes: the |user| of pqi_config_reload. */
typedef struct pqi_security_live {
    /* All or nothing, as pql_context_set_policy. */
    pql_status (*set_policy)(void *service, pql_policy policy, pql_error *err);
    /* NULL for a command without the option. */
    void (*set_rotation_days)(void *service, uint64_t days);
    void *service;
} pqi_security_live;

/* The pqi_option.change of --policy: |value| is a pql_policy, |user| a pqi_security_live. */
pql_status pqi_policy_change(void *user, const void *value, pql_error *err);

/* The pqi_option.apply of --key-rotation-days: |value| is a uint64_t, |user| as above. */
void pqi_rotation_days_apply(void *user, const void *value);

/* Says in the log of |service| how well links are protected: the event security, with policy, where
 * that comes from, authentication, amnesia, and days between rotations.  The thread that runs the
 * command. */
void pqi_security_log(const char *service, const pqi_security_options *options);

/* Entries of an option table for the members of |security| (pqi_security_options) of the options
 * struct |s|. */
#define PQI_OPTION_POLICY(s)                                                                       \
    {.name = "policy",                                                                             \
     .kind = PQI_OPTION_CHOICE,                                                                    \
     .at = PQI_AT(s, security.policy, pql_policy),                                                 \
     .arg = "POLICY",                                                                              \
     .choices = pqi_policy_names,                                                                  \
     .fallback = "hybrid",                                                                         \
     .change = pqi_policy_change,                                                                  \
     .help = "What may be negotiated: hybrid prefers X25519MLKEM768 and takes X25519 where the "   \
             "peer has nothing better, pq-only refuses a session without ML-KEM, off is "          \
             "classical only, cnsa-2.0 is ML-KEM-1024 with ML-DSA-87 on both sides and AES-256.  " \
             "A name with a year stays what it is."}
/* |note| is what that means for the command: a string literal of sentences. */
#define PQI_OPTION_AUTHENTICATION(s, note)                                                         \
    {.name = "authentication",                                                                     \
     .kind = PQI_OPTION_EITHER,                                                                    \
     .at = PQI_AT(s, security.pq_authentication, bool),                                            \
     .arg = "KIND",                                                                                \
     .choices = pqi_authentication_names,                                                          \
     .fallback = "any",                                                                            \
     .help = "What peers have to prove their key with: any takes what their protocol and the "     \
             "policy allow, ml-dsa refuses whatever else.  " note}
#define PQI_OPTION_KEY_ROTATION_DAYS(s)                                                            \
    {.name = "key-rotation-days",                                                                  \
     .kind = PQI_OPTION_NUMBER,                                                                    \
     .at = PQI_AT(s, security.key_rotation_days, uint64_t),                                        \
     .arg = "N",                                                                                   \
     .min = 0,                                                                                     \
     .max = PQI_KEY_ROTATION_DAYS_MAX,                                                             \
     .apply = pqi_rotation_days_apply,                                                             \
     .fallback = "0",                                                                              \
     .help = "Replace the post-quantum key when it is so many days in use: announced to miners "   \
             "7 days before (a fourth of N when that is less), and the old one accepted for 30 "   \
             "days after (half of N when that is less).  0 leaves rotation to 'pqlink rotate'."}
#define PQI_OPTION_AMNESIA(s)                                                                      \
    {.name = "amnesia",                                                                            \
     .kind = PQI_OPTION_FLAG,                                                                      \
     .at = PQI_AT(s, security.amnesia, bool),                                                      \
     .help =                                                                                       \
         "Write nothing to a disk: identity, known peers, secrets and chain are in memory, and "   \
         "end with the process; so the fingerprint is another one at each start.  Memory "         \
         "stays out of swap, which needs a high limit of locked memory, and there are no core "    \
         "dumps."}

#endif
