# Writes docs/matrix.md: awk -f tests/matrix/page.awk tests/matrix/matrix.tsv tests/matrix/offers.tsv
BEGIN {
    FS = "\t"
    head()
}

/^#/ || NF == 0 { next }

FILENAME ~ /offers/ {
    offers[++offer_count] = "| " $1 " | " $2 " | " $3 " |"
    next
}

{
    rows++
    for (i = 1; i <= NF; i++)
        cell[rows, i] = $i
    if ($3 == "full" && $4 == "-") {
        if (!($2 in known)) {
            known[$2] = 1
            policies[++policy_count] = $2
        }
        met[$1, $2] = $5 == "refused" ? "refused, alert " $7 " of the " $8 : $6
    }
}

END {
    glance()
    print "## Full handshakes\n"
    table("full", 0)
    print "## Resumed\n"
    print "A link under the same two policies before it has brought the client its tickets.\n"
    table("resumed", 0)
    print "## Tickets of another policy\n"
    print "The policies of running contexts have changed since the ticket was given (`pql_context_set_policy`); *ticket of*"
    print "names those of then, client's first. A server resumes no session of a weaker policy, and a client offers only"
    print "sessions of the policy that it has now; either costs a full handshake.\n"
    table("resumed", 1)
    print "## Servers that had ML-KEM before\n"
    print "The client has pinned the server and has a memory of servers (`memory` in `pql_context_opts`); *after* names the policies of a link"
    print "before, client's first. Under an own policy without ML-KEM it refuses nobody.\n"
    table("memory", 1)
    print "## 0-RTT\n"
    print "Early data is not built: our clients send none, and our tickets allow none. In these links somebody else's packets"
    print "of the type 0-RTT stand before and behind the ClientHello. They are dropped unread: they move no counter but"
    print "`pqlink_datagrams_total` and `pqlink_bytes_total`, and the handshake goes on as if they had not come.\n"
    table("0-rtt", 0)
    print "## What a server hears\n"
    print "What the client of each policy offers, and its server counts in `pqlink_offered_total`, whatever comes of the"
    print "handshake. It is not repeated in the tables above.\n"
    print "| client | groups | signatures |"
    print "| --- | --- | --- |"
    for (i = 1; i <= offer_count; i++)
        print offers[i]
    print ""
    legend()
}

function head() {
    print "# Which policies meet\n"
    print "What becomes of a link between two ends of pqlink, for each policy on each side. This page is made from"
    print "the tables in `tests/matrix` (`ninja -C build/release generated`); do not edit it. The test `matrix` of `make check` makes"
    print "every one of these links over real sockets, with metrics of its own for each side, and compares what both sides saw."
    print "The same with programs of others on one side is in [interop.md](interop.md).\n"
}

function glance(    c, s, line) {
    print "## At a glance\n"
    print "The key exchange of a full handshake over QUIC. Rows are the client's policy, columns the server's.\n"
    line = "| |"
    for (s = 1; s <= policy_count; s++)
        line = line " " policies[s] " |"
    print line
    line = "| --- |"
    for (s = 1; s <= policy_count; s++)
        line = line " --- |"
    print line
    for (c = 1; c <= policy_count; c++) {
        line = "| " policies[c] " |"
        for (s = 1; s <= policy_count; s++)
            line = line " " met[policies[c], policies[s]] " |"
        print line
    }
    print ""
}

# Rows of a mode; |changed|: those whose ticket is of other policies than the link.
function table(mode, changed,    i, other) {
    print "| client | server |" (changed ? (mode == "memory" ? " after |" : " ticket of |") : "") \
        " QUIC | TLS | LP | downgrade: client, server | client's counters | server's counters |"
    print "| --- | --- |" (changed ? " --- |" : "") " --- | --- | --- | --- | --- | --- |"
    for (i = 1; i <= rows; i++) {
        other = cell[i, 4] != "-" && cell[i, 4] != cell[i, 1] "/" cell[i, 2]
        if (cell[i, 3] == mode && (other == changed || mode == "memory"))
            print "| " cell[i, 1] " | " cell[i, 2] " |" (changed ? " " cell[i, 4] " |" : "") " " outcome(i) \
                " | when it lands | when it lands | " cell[i, 11] ", " cell[i, 12] " | " \
                series(cell[i, 13]) " | " series(cell[i, 14]) " |"
    }
    print ""
}

function outcome(i) {
    if (cell[i, 5] == "refused")
        return "refused by the " cell[i, 8] " with alert " cell[i, 7] "; client " status(cell[i, 9]) \
            ", server " status(cell[i, 10])
    return cell[i, 5] ", " cell[i, 6]
}

function status(name) {
    return "`" name "`"
}

function series(names) {
    if (names == "-")
        return "none"
    gsub(/ /, "`<br>`", names)
    return "`" names "`"
}

function legend() {
    print "## What the columns mean\n"
    print "* *QUIC*: `full` is a full handshake, `resumed` one that continues a session, with a new key exchange all the same;"
    print "  then the group. Of a refused link: who refused it, with which TLS alert (RFC 8446, section 6), and what both"
    print "  programs get from the library. `PQL_OK` on both sides otherwise."
    print "* *TLS*, *LP*: these transports are not built yet."
    print "* *downgrade*: what the posture of each side says; `-` where there is no link."
    print "* *counters*: the series that grew, each by one, as in [metrics.md](metrics.md) but with the values of the labels"
    print "  only. Nothing else moves, bytes, datagrams, streams and times left aside."
    print "* Peers are pinned, and proven by ML-DSA-87."
}
