/* Second names of the security settings, under which other programs of the same family know them:
 * the table [security] of pqlink.conf and variables without our prefix, for every command that has
 * the option.
 *
 * An alias about the policy says something about it rather than naming it: pq_only = true that it
 * refuses sessions without ML-KEM, pq_hybrid = true that ML-KEM is used where the peer has it, and
 * false the opposite.  It counts on the level where it stands (environment before file), as the
 * option's own names do; the value of a lower level stays where nothing above contradicts it, so
 * that PQ_HYBRID=1 does not weaken a policy "pq-only" of the file.  What contradicts each other is
 * an error with both places:
 *   - pq_only true and pq_hybrid false, on one level, or as they are after the environment has
 *     replaced the file, name by name;
 *   - an alias and the option's own name on one level, whatever stands above. */
#ifndef PQI_CMD_SECURITY_ALIAS_H
#define PQI_CMD_SECURITY_ALIAS_H

#include "cmd/options.h"

/* The table of pqlink.conf. */
#define PQI_SECURITY_TABLE "security"

typedef struct pqi_alias {
    const char *key;      /* in [security]; NULL: only the variable */
    const char *variable; /* of the environment */
    const char *option;   /* that it says something about */
    const char *type;     /* what its value looks like, in a few words */
    const char *help;     /* sentences */
} pqi_alias;

/* Alias number |i|; NULL behind the last. */
const pqi_alias *pqi_security_alias(size_t i);
/* True when a command has the option in a form that can be configured. */
bool pqi_security_alias_works(const pqi_alias *alias);
/* True when |key| may stand in [security]. */
bool pqi_security_alias_is_key(const char *key);

/* What is asked about one option.  All borrowed. */
typedef struct pqi_alias_question {
    const pqi_command *command;
    const pqi_option *option;
    const pqi_conf *conf; /* NULL: no file */
    pqi_env env;
    bool typed;                      /* the option stands on the command line */
    const char *own_variable;        /* the variable of its own that is set, */
    const char *own_env;             /* and its value; NULL: none is */
    const pqi_conf_entry *own_entry; /* its own key in |conf|; NULL: it is not there */
} pqi_alias_question;

/* What takes the place of the option's value.  Texts are borrowed from the question, or static. */
typedef struct pqi_alias_answer {
    const char *value; /* as it would be typed; NULL: the option's own names and default count */
    const char *name;  /* of the alias, a key or a variable */
    pqi_layer layer;   /* FILE or ENV */
    unsigned line;     /* FILE */
    unsigned column;   /* FILE */
} pqi_alias_answer;

/* PQL_E_USAGE with a sentence and the places: a value that is none, or a contradiction.  *out is
 * all zero then.  Pure but for question->env. */
pql_status pqi_security_alias_find(pqi_alias_answer *out, const pqi_alias_question *question,
                                   pql_error *err);

/* Refuses what no command with links can do: pq_sign_algo slh-dsa, which TLS does not have.
 * PQL_E_USAGE with the place.  Pure but for |env|; |conf| may be NULL. */
pql_status pqi_security_alias_check_links(const pqi_command *command, const pqi_conf *conf,
                                          pqi_env env, pql_error *err);

#endif
