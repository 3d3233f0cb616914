#include "cmd/exit_codes.h"

static const pqi_exit_row exit_rows[] = {
    {PQI_EXIT_OK, "ok",
     "The work is done; or SIGINT or SIGTERM asked a running program to stop and it did so in "
     "order."},
    {PQI_EXIT_FAILURE, "failure",
     "It did not work for a reason that no other number names; for pow check and token verify: the "
     "answer is no."},
    {PQI_EXIT_USAGE, "usage",
     "The command line, an environment variable or the configuration file is wrong, or that file "
     "is missing or too long.  Nothing was done."},
    {PQI_EXIT_TRUST, "trust",
     "The peer is not the one that was meant: its fingerprint is not the "
     "pinned one, or its certificate could not be verified."},
    {PQI_EXIT_POLICY, "policy", "What could be negotiated is weaker than the policy allows."},
    {PQI_EXIT_NETWORK, "network",
     "The peer could not be reached or did not answer in time, or an "
     "address is not usable here."},
    {PQI_EXIT_IDENTITY, "identity",
     "Our own keys or certificates are missing, unreadable or "
     "unfit, or exist already where new ones were to be made."},
    {PQI_EXIT_IO, "io",
     "A file, directory or disk is the trouble; so is a configuration file that is there but "
     "cannot be read, or that others can change."},
    {PQI_EXIT_PROTOCOL, "protocol", "The peer sent what the protocol forbids."},
    {PQI_EXIT_REFUSED, "refused", "The peer refused us, for example for lack of capacity."},
};

/* Indexed by the negated status.  PQI_EXIT_OK beyond index 0 means: no entry. */
static const pqi_exit status_exits[] = {
    [-PQL_OK] = PQI_EXIT_OK,
    [-PQL_E_FAILED] = PQI_EXIT_FAILURE,
    [-PQL_E_USAGE] = PQI_EXIT_USAGE,
    [-PQL_E_NOMEM] = PQI_EXIT_FAILURE,
    [-PQL_E_IO] = PQI_EXIT_IO,
    [-PQL_E_NETWORK] = PQI_EXIT_NETWORK,
    [-PQL_E_TIMEOUT] = PQI_EXIT_NETWORK,
    [-PQL_E_CANCELLED] = PQI_EXIT_FAILURE,
    [-PQL_E_CLOSED] = PQI_EXIT_NETWORK,
    [-PQL_E_TRUST] = PQI_EXIT_TRUST,
    [-PQL_E_POLICY] = PQI_EXIT_POLICY,
    [-PQL_E_IDENTITY] = PQI_EXIT_IDENTITY,
    [-PQL_E_PROTOCOL] = PQI_EXIT_PROTOCOL,
    [-PQL_E_LIMIT] = PQI_EXIT_FAILURE,
    [-PQL_E_STATE] = PQI_EXIT_FAILURE,
    [-PQL_E_CRYPTO] = PQI_EXIT_FAILURE,
    [-PQL_E_NOT_FOUND] = PQI_EXIT_IO,
    [-PQL_E_EXISTS] = PQI_EXIT_IDENTITY,
    [-PQL_E_UNSUPPORTED] = PQI_EXIT_FAILURE,
    [-PQL_E_REFUSED] = PQI_EXIT_REFUSED,
};
#define STATUS_EXIT_COUNT ((int)(sizeof(status_exits) / sizeof(status_exits[0])))

const pqi_exit_row *pqi_exit_rows(size_t *count)
{
    *count = sizeof(exit_rows) / sizeof(exit_rows[0]);
    return exit_rows;
}

bool pqi_exit_has_status(pql_status status)
{
    const int index = -(int)status;
    return index == 0 ||
           (index > 0 && index < STATUS_EXIT_COUNT && status_exits[index] != PQI_EXIT_OK);
}

pqi_exit pqi_exit_from_status(pql_status status)
{
    return pqi_exit_has_status(status) ? status_exits[-(int)status] : PQI_EXIT_FAILURE;
}
