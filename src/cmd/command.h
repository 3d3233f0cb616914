/* What a subcommand is: a name, a table of options, and a function.
 *
 * Everything that users see of a subcommand (help, man page, completions, error messages) is made
 * from these tables, so that they cannot disagree with what the parser accepts. */
#ifndef PQI_CMD_COMMAND_H
#define PQI_CMD_COMMAND_H

#include "net/url.h"

#include <limits.h>
#include <stddef.h>

/* Kinds of option values, each with the type of the member that receives it. */
typedef enum pqi_option_kind {
    PQI_OPTION_FLAG,     /* bool: true when given; takes no value */
    PQI_OPTION_TEXT,     /* const char *: borrowed from the command line; never empty */
    PQI_OPTION_FILE,     /* const char *: as TEXT; completions offer files */
    PQI_OPTION_DIR,      /* pqi_dir: never empty after parsing, see there */
    PQI_OPTION_NUMBER,   /* uint64_t, within min and max */
    PQI_OPTION_DURATION, /* uint64_t nanoseconds, within min and max */
    PQI_OPTION_CHOICE,   /* unsigned or an enum: index into choices */
    PQI_OPTION_EITHER,   /* bool: index into choices, of which there are two */
    PQI_OPTION_URL,      /* pqi_url */
    PQI_OPTION_ENDPOINT, /* pqi_endpoint */
    PQI_OPTION_CUSTOM,   /* what .parse makes of it */
} pqi_option_kind;

/* The directory of our state.  When the user named none: /var/lib/pqlink for root, else
 * $XDG_STATE_HOME/pqlink, else $HOME/.local/state/pqlink, else /var/lib/pqlink. */
typedef struct pqi_dir {
    char text[PATH_MAX];
    bool typed; /* it stood on the command line */
} pqi_dir;

/* One option.  Static data; texts are borrowed for ever. */
typedef struct pqi_option {
    const char *name;           /* without the two dashes */
    size_t at;                  /* PQI_AT: the member that receives the value */
    const char *arg;            /* the value's name in the help, such as "URL"; NULL for flags */
    const char *help;           /* sentences */
    const char *fallback;       /* default as it would be typed; NULL: none, the member stays 0 */
    const char *env;            /* environment variable that stands in when the option is absent */
    const char *const *choices; /* CHOICE and EITHER only, ends with NULL */
    uint64_t min;               /* NUMBER, DURATION */
    uint64_t max;               /* NUMBER, DURATION */
    /* CUSTOM only: reads |value| into the options struct.  May refuse with PQL_E_USAGE. */
    pql_status (*parse)(void *options, const char *value, pql_error *err);
    /* Takes the value over into a program that runs, when a reload (cmd/config_reload.h) finds
     * another than before: |value| is the member in a new options struct, which goes away after
     * the call; |user| is what the program gave to the reload.  Must not fail.  NULL, and no
     * |change| either: a new value needs a restart. */
    void (*apply)(void *user, const void *value);
    /* The same for what can fail, in the place of |apply|: everything is then as it was, and the
     * reload as a whole is refused.  Called again with the old value when another change of the
     * same reload was refused after it. */
    pql_status (*change)(void *user, const void *value, pql_error *err);
    pqi_option_kind kind;
    bool required;
    bool repeatable; /* CUSTOM only: .parse is called once per use */
    bool hidden;     /* left out of help, man page and completions; only on the command line */
    bool typed_only; /* only on the command line: no key of pqlink.conf, no long variable */
    bool secret;     /* the value itself is one (a file with it is not): never shown */
} pqi_option;

/* An offset for pqi_option.at that compiles only when member |m| of struct |s| has type |type|. */
/* NOLINTNEXTLINE(bugprone-macro-parentheses): a type and a member cannot stand in parentheses */
#define PQI_AT(s, m, type) (offsetof(s, m) + 0 * sizeof(_Generic(((s *)0)->m, type: 0)))

/* Words after the options, for the few subcommands that take some: how many unless the subcommand
 * says otherwise, and how many at all. */
#define PQI_OPERANDS_MAX ((size_t)2)
#define PQI_OPERANDS_ROOM ((size_t)64)
typedef struct pqi_operands {
    const char *items[PQI_OPERANDS_ROOM]; /* borrowed from the command line */
    size_t count;
} pqi_operands;

typedef struct pqi_command {
    const char *name;        /* "node"; of a family "pow hash" */
    const char *summary;     /* a few words without a full stop */
    const char *description; /* paragraphs, separated by a newline */
    const pqi_option *options;
    size_t option_count;
    size_t options_size;        /* of the struct that the options fill */
    const char *operands;       /* how the help shows them; NULL: the subcommand takes none */
    size_t operands_at;         /* PQI_AT of a pqi_operands, when operands is not NULL */
    size_t operands_max;        /* 0: PQI_OPERANDS_MAX */
    bool no_config;             /* reads neither pqlink.conf nor the long variables */
    const char *const *example; /* command lines, ends with NULL; NULL: none */
    /* Checks what no single option can: PQL_E_USAGE with a sentence.  NULL: nothing to check. */
    pql_status (*check)(const void *options, pql_error *err);
    /* Does the work.  A failure whose |err| is left empty prints nothing further: the answer was
     * printed already. */
    pql_status (*run)(const void *options, pql_error *err);
} pqi_command;

/* The name of the program, as it stands in every message and document. */
#define PQI_PROGRAM "pqlink"

/* Entries of a static option table. */
#define PQI_OPTIONS(table) .options = (table), .option_count = sizeof(table) / sizeof((table)[0])

#endif
