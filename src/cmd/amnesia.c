#include "cmd/amnesia.h"

#include "base/error.h"
#include "base/lockdown.h"
#include "base/log.h"
#include "signer/sandbox.h"

pql_status pqi_amnesia_check(const pqi_security_options *security, const pqi_amnesia_files *files,
                             pql_error *err)
{
    if (!security->amnesia) {
        return PQL_OK;
    }
    if (files->keylog_file != NULL || files->qlog_dir != NULL) {
        return pqi_fail(err, PQL_E_USAGE,
                        "--amnesia and --%s contradict each other: with amnesia nothing is "
                        "written. Leave one of them out.",
                        files->keylog_file != NULL ? "keylog" : "qlog");
    }
    if (files->passphrase_file != NULL) {
        return pqi_fail(err, PQL_E_USAGE,
                        "--amnesia and --passphrase-file contradict each other: with amnesia there "
                        "are no files of keys. Leave one of them out.");
    }
    if (files->dir->typed) {
        return pqi_fail(err, PQL_E_USAGE,
                        "--amnesia and --dir contradict each other: with amnesia no directory is "
                        "read or written, and the identity in it would not be used. Leave one of "
                        "them out.");
    }
    if (security->key_rotation_days != 0) {
        return pqi_fail(err, PQL_E_USAGE,
                        "--amnesia and --key-rotation-days contradict each other: an identity of "
                        "amnesia ends with the process, and nobody could pin the next one. Leave "
                        "one of them out.");
    }
    return PQL_OK;
}

pql_status pqi_amnesia_begin(const char *service, const pqi_security_options *security,
                             pql_error *err)
{
    if (!security->amnesia) {
        return PQL_OK;
    }
    pql_status status = pqi_lockdown_dumps(err);
    if (status == PQL_OK) {
        status = pqi_lockdown_memory(err);
    }
    if (status == PQL_OK) {
        status = pqi_sandbox_no_rings(err);
    }
    if (status == PQL_OK) {
        pqi_runtime_shout(service, "amnesia_on",
                          "nothing is written to a disk; identity, known peers and chain end with "
                          "this process, and the next start has another fingerprint");
    }
    return status;
}

pql_status pqi_amnesia_identity(const char *service, pql_identity **out, pql_error *err)
{
    pql_fingerprint fp;
    char pq[PQL_FINGERPRINT_SIZE];
    char classical[PQL_FINGERPRINT_SIZE];
    const pql_status status = pql_identity_ephemeral(out, NULL, err);
    if (status != PQL_OK) {
        return status;
    }
    pql_identity_fingerprint(*out, PQL_LEAF_PQ, PQL_FINGERPRINT_CERT, &fp);
    pql_fingerprint_format(&fp, pq);
    pql_identity_fingerprint(*out, PQL_LEAF_CLASSICAL, PQL_FINGERPRINT_CERT, &fp);
    pql_fingerprint_format(&fp, classical);
    pqi_log(PQI_LOG_WARN, service, "identity_in_memory", PQI_STR("fingerprint", pq),
            PQI_STR("fingerprint_classical", classical),
            PQI_STR("reason", "This identity ends with the process; miners need the fingerprint of "
                              "each start."));
    return PQL_OK;
}
