/* The certificate of an official quantus-node, taken over as our classical leaf, so that miners go
 * on with the fingerprint that they have pinned. */
#ifndef PQI_IDENTITY_IMPORT_H
#define PQI_IDENTITY_IMPORT_H

#include "identity/leaf.h"

/* The files in the chain directory of such a node (its documentation: <base>/chains/<chain>/). */
#define PQI_ORIGINAL_CERT "miner-tls-cert.der"
#define PQI_ORIGINAL_KEY "miner-tls-key.der"

/* Reads |dir|/miner-tls-cert.der and |dir|/miner-tls-key.der (PKCS#8, PKCS#1 or SEC1) into the
 * empty |leaf|, which stays empty on failure.  The files are left as they are.  PQL_E_NOT_FOUND:
 * neither is there; PQL_E_IDENTITY: one of them is missing, others may read the key, or they are
 * not fit for use together; PQL_E_IO, PQL_E_USAGE. */
pql_status pqi_leaf_import(pqi_leaf *leaf, const char *dir, pql_error *err);

#endif
