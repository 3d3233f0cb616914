/* What a miner needs to log in to one node: where it is, which dialect it speaks, how it is
 * recognised, and the token; the last two perhaps from files that are read anew before each
 * attempt, so that a node whose operator has rotated them is found again.
 * quantus.md, sections 2.5 and 2.7.
 *
 * Files: a token file holds one line (white space at both ends is cut off), and nobody but its
 * owner and group may read or write it.  A pin file holds up to PQI_LOGIN_PINS_MAX fingerprints,
 * one a line, in any form of pql_fingerprint_parse.  A directory is that of an official node,
 * <base>/chains/<chain>, with the files miner-auth-token and miner-tls-cert-sha256.
 *
 * One thread at a time. */
#ifndef PQI_MINER_LOGIN_H
#define PQI_MINER_LOGIN_H

#include "miner/session.h"

#include <pqlink/link.h>

/* As pql_peer.pin_count. */
#define PQI_LOGIN_PINS_MAX ((size_t)8)
/* Fingerprints with a comma and a space between them, + NUL. */
#define PQI_LOGIN_PINS_TEXT ((PQL_FINGERPRINT_SIZE + 2) * PQI_LOGIN_PINS_MAX)

/* All texts and what |peer| points to are borrowed for the life of the login. */
typedef struct pqi_login_opts {
    const char *url;  /* quic://HOST:PORT, for pql_connect */
    const char *text; /* the URL for people, with the scheme of the dialect */
    pqi_miner_dialect dialect;
    pql_peer peer;          /* its pins are not used when a pin file or directory is given */
    const char *token;      /* NULL: none, or from a file */
    const char *token_file; /* of these and |dir|, NULL: not given */
    const char *pin_file;
    const char *dir; /* takes the place of both files */
} pqi_login_opts;

/* |opts| may be read by anybody; the other members are for login.c alone. */
typedef struct pqi_login {
    pqi_login_opts opts;
    bool was_read;
    size_t pin_count;
    pql_fingerprint pins[PQI_LOGIN_PINS_MAX];
    char token[PQI_MINER_TOKEN_MAX + 1]; /* secret; "": none */
} pqi_login;

/* What a reading of the files has brought. */
typedef struct pqi_login_change {
    bool any;  /* pins or token are others than those of the last successful reading */
    bool pins; /* the pins are; the two texts say which they were and are */
    char before[PQI_LOGIN_PINS_TEXT];
    char after[PQI_LOGIN_PINS_TEXT];
} pqi_login_change;

void pqi_login_init(pqi_login *login, const pqi_login_opts *opts);
/* Wipes the token.  Nothing else is to be freed. */
void pqi_login_wipe(pqi_login *login);

/* True when something comes from files. */
bool pqi_login_has_files(const pqi_login *login);
/* Reads the files.  The first successful reading changes nothing (*change is all zero).
 * PQL_E_NOT_FOUND, PQL_E_IO, PQL_E_LIMIT: a file is missing, unreadable, too long, open to
 * everybody, or holds no token or pin; the sentence names it, and what was read before stays. */
pql_status pqi_login_read(pqi_login *login, pqi_login_change *change, pql_error *err);

/* Who the node has to be, after a successful reading; borrowed from |login| until the next. */
pql_peer pqi_login_peer(const pqi_login *login);
/* The token, NULL for none; borrowed as above. */
const char *pqi_login_token(const pqi_login *login);

/* Adds the fingerprints in |text|, separated by commas or line ends, to |pins|.  PQL_E_USAGE: one
 * of them is none, or there are more than PQI_LOGIN_PINS_MAX, or none at all. */
pql_status pqi_login_pins_parse(pql_fingerprint pins[PQI_LOGIN_PINS_MAX], size_t *count,
                                const char *text, pql_error *err);

#endif
