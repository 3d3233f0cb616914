"""Foreign programs in the place of one side of tests/matrix/matrix.tsv, which says what has to come of each link.

A peer has the groups of one of our policies, as far as it has them; each case is a full handshake and, where that comes
about, a second one with its tickets.
"""
import collections
import csv
import pathlib
import re
import subprocess

from client_cases import PQ, TOKEN, V2, mined
from harness import check
from link_cases import client_of, connect, resumed, serve
from server_cases import PQ as PQ_NODE
from server_cases import V2 as V2_NODE
from tap import Tap

TABLE = pathlib.Path(__file__).resolve().parent.parent / "matrix/matrix.tsv"
COLUMNS = ("client", "server", "mode", "before", "result", "group", "alert", "by", "client_status", "server_status",
           "client_downgrade", "server_downgrade", "client_counters", "server_counters")
CRYPTO_ERROR = 0x100  # RFC 9001, 4.8

# Without the group that the two would meet at (rustls has no SecP384r1MLKEM1024).
NO_GROUP = {"quinn": {frozenset(("pq-only", "cnsa-2.0"))}}
# Peers that know no ML-KEM and no ML-DSA at all.
CLASSICAL = ("aioquic",)
# Servers that end a handshake without saying so, and what they write: OpenSSL 3.6 when all of the ClientHello came at once,
# aioquic because the client has a key share only of a group that it does not know.
SILENT = {"OpenSSL": "no suitable key share", "aioquic": "AssertionError"}
OPENSSL_GROUPS = {"off": "X25519:P-256:P-384", "hybrid": "X25519MLKEM768:X25519",
                  "pq-only": "X25519MLKEM768:SecP256r1MLKEM768:SecP384r1MLKEM1024",
                  "cnsa-2.0": "MLKEM1024:SecP384r1MLKEM1024"}
NOTHING = {"server_counters": "-"}  # of a second link that is not made
READY = b"\0\0\0\x0c" + b'{"Ready":{}}'

Cell = collections.namedtuple("Cell", "client server full again")


def cells():
    """Every pair of policies: what becomes of a full handshake, and of the one after it."""
    with open(TABLE, encoding="utf-8", newline="") as file:
        lines = (line for line in file if not line.startswith("#"))
        rows = [dict(zip(COLUMNS, row)) for row in csv.reader(lines, delimiter="\t")]
    full = {(row["client"], row["server"]): row for row in rows if row["mode"] == "full"}
    again = {(row["client"], row["server"]): row for row in rows
             if row["mode"] == "resumed" and row["before"] == f"{row['client']}/{row['server']}"}
    return [Cell(*pair, full[pair], again[pair]) for pair in full]


def is_refused(cell):
    return cell.full["result"] == "refused"


def expected(name, cell, ours):
    """The cell as it is with this peer; |ours| is the policy of our side."""
    by_policies = {(one.client, one.server): one for one in cells()}
    if frozenset((cell.client, cell.server)) in NO_GROUP.get(name, ()):
        return next(one for one in by_policies.values() if is_refused(one))
    if ours == "off" and not is_refused(cell):
        # The other one of ours would have kept no classical session; theirs does.
        return cell._replace(again=by_policies["off", "off"].again)
    return cell


def counted(program, side, cell, classical):
    """What our side says that it has counted is what the table says."""
    rows = [cell.full] if is_refused(cell) else [cell.full, cell.again]
    wanted = collections.Counter(name for row in rows for name in row[f"{side}_counters"].split(" ") if name != "-")
    if classical:  # another leaf, and at our side a protocol that is served for its sake
        renamed = collections.Counter()
        for name, count in wanted.items():
            name = name.replace("ml-dsa-87", "ecdsa-p256").replace("{ml-dsa}", "{ecdsa}")
            renamed[name.replace("peer_groups", "compat") if side == "server" else name] += count
        wanted = renamed
        if side == "server" and cell.server == "cnsa-2.0":
            # It knows no ML-DSA either, and there is no other leaf: found out before the groups.
            wanted["pq_signature_failures_total{not_allowed}"] += 1
    moved = collections.Counter()
    for word in program.wait_event("counters")["moved"].split(" "):
        name, _, more = word.partition("+")
        if name != "-":
            moved[name] += int(more or 1)
    check(moved == wanted, f"counted {dict(moved)} and not {dict(wanted)}")


def saw(program, cell):
    """Group and resumption of both links, as our side saw them."""
    check([event["group"] for event in program.events("open")] == [cell.full["group"], cell.again["group"]],
          f"the groups were {[event['group'] for event in program.events('open')]}")
    resumed(program, [False, cell.again["result"] == "resumed"])


def outcome(cell):
    return f"alert {cell.full['alert']}" if is_refused(cell) else cell.full["group"]


def told(client, alert):
    """A foreign program names the alert, or the error code that carries it."""
    code = CRYPTO_ERROR + int(alert)
    said = client.text()
    check(re.search(rf"\b{alert}\b|\b{code}\b|{code:#x}", said), f"it was not told alert {alert}: {client.tail()}")


# ---- foreign clients ----

def refused_at_us(server, client, cell):
    refused = server.wait_event("handshake_failed")
    seen = (refused["status"], refused["code"], refused["by_peer"])
    check(seen == (cell.full["server_status"], CRYPTO_ERROR + int(cell.full["alert"]), False), f"refused with {seen}")
    told(client, cell.full["alert"])


def client_case(shim, cell):
    cell_here, classical = expected(shim.name, cell, cell.server), shim.name in CLASSICAL

    def case(scene):
        server = serve(scene, cell.server, "tickets")
        groups = {} if classical else {"groups": cell.client}
        # Under cnsa-2.0 nobody serves the protocol with the classical leaf.
        dialect = V2 if classical and cell.server != "cnsa-2.0" else PQ
        client = client_of(scene, shim, server, dialect, **groups,
                           sessions=1 if is_refused(cell_here) else 2)
        if is_refused(cell_here):
            check(client.finish() == 1, "it was let in")
            refused_at_us(server, client, cell_here)
        else:
            mined(client, 2)
            saw(server, cell_here)
            resumed(client, [False, cell_here.again["result"] == "resumed"])
        server.stop()
        counted(server, "server", cell_here, classical)
        return outcome(cell_here)
    return case


def early_case(shim, policy):
    """Early data under a ticket of somebody else's, who allows it: it comes to nothing, and the handshake is full."""
    cell = next(one for one in cells() if (one.client, one.server) == (policy, policy))

    def case(scene):
        other = PQ_NODE.serve(scene, shim, 1, token=TOKEN, early="yes", groups=policy)
        server = serve(scene, policy, "tickets")
        with Tap(server.port) as tap:
            client = PQ.client(scene, shim, server.port, f"{server.pins['pq']},{scene.world.leaf_hash('ml-dsa-87')}",
                               token=TOKEN, first=f"127.0.0.1:{other.port}", early="yes", early_write="yes",
                               groups=policy)
            mined(client, 2)
        check(tap.zero_rtts > 0, "there was no early data on the wire")
        check(client.events("open")[1]["early"] != "accepted", "early data was taken")
        resumed(server, [False])
        server.stop()
        counted(server, "server", cell._replace(again=NOTHING), False)
        return f"{cell.full['group']}, refused"
    return case


def s_client(scene, server, cell, session, *more):
    client = scene.run("openssl", scene.world.in_tree(
        "openssl", "s_client", "-quic", "-groups", OPENSSL_GROUPS[cell.client], "-alpn", PQ.alpn, "-sess_out", session,
        "-connect", f"127.0.0.1:{server.port}", *more), stdin=subprocess.PIPE)
    client.process.stdin.write(READY)
    client.process.stdin.flush()
    return client


def openssl_session(scene, server, cell, session, *more):
    client = s_client(scene, server, cell, session, *more)
    client.wait(lambda: "NewJob" in client.text(), "was given no job")
    client.process.stdin.write(b"Q\n")
    client.process.stdin.flush()
    client.finish()


def openssl_client_case(cell):
    cell = expected("OpenSSL", cell, cell.server)

    def case(scene):
        server = serve(scene, cell.server, "tickets")
        session = scene.world.inside(scene.directory / "session.pem")
        if is_refused(cell):
            client = s_client(scene, server, cell, session, "-trace")
            client.finish()
            refused_at_us(server, client, cell)
        else:
            openssl_session(scene, server, cell, session)
            kept = ("-sess_in", session) if (scene.directory / "session.pem").exists() else ()
            openssl_session(scene, server, cell, session, *kept)
            saw(server, cell)
        server.stop()
        counted(server, "server", cell, False)
        return outcome(cell)
    return case


# ---- foreign servers ----

def refused_at_them(client, cell):
    closed = client.wait_event("closed")
    seen = (closed["status"], closed["code"], closed["by_peer"])
    check(seen == (cell.full["client_status"], CRYPTO_ERROR + int(cell.full["alert"]), True), f"it ended with {seen}")
    counted(client, "client", cell, False)
    return outcome(cell)


def ended_in_silence(client, server, sentence):
    check(sentence in server.text(), f"it says: {server.tail()}")
    check(client.wait_event("closed")["status"] == "PQL_E_TIMEOUT", "our side did not wait for it")
    check(client.wait_event("counters")["moved"] == "-", "our side counted something")
    return "refused without an alert"


def at_server(scene, name, server, cell, upstream):
    client = connect(scene, cell.client, server, scene.world.leaf_hash(upstream.certificate), upstream.alpn,
                     1 if is_refused(cell) else 2)
    status = client.finish()
    if is_refused(cell):
        check(status == 1, "it was let in")
        if name in SILENT and not client.wait_event("closed")["by_peer"]:
            return ended_in_silence(client, server, SILENT[name])
        return refused_at_them(client, cell)
    check(status == 0, client.tail())
    saw(client, cell)
    counted(client, "client", cell, name in CLASSICAL)
    return outcome(cell)


def server_case(shim, cell):
    cell_here, classical = expected(shim.name, cell, cell.client), shim.name in CLASSICAL

    def case(scene):
        upstream = V2_NODE if classical else PQ_NODE
        groups = {} if classical else {"groups": cell.server}
        server = upstream.serve(scene, shim, 1, token=TOKEN, **groups)
        return at_server(scene, shim.name, server, cell_here._replace(client=cell.client), upstream)
    return case


def openssl_server_case(cell):
    cell = expected("OpenSSL", cell, cell.client)

    def case(scene):
        at = scene.world.inside(scene.world.base / PQ_NODE.certificate)
        server = scene.run("openssl-server", scene.world.in_tree(
            "python3", "/opt/peers/peer_openssl.py", "server", "--cert", f"{at}.crt.pem", "--key", f"{at}.key.pem",
            "--groups", OPENSSL_GROUPS[cell.server], "--alpn", PQ_NODE.alpn))
        server.port = server.wait_event("listening")["port"]
        return at_server(scene, "OpenSSL", server, cell, PQ_NODE)
    return case


# ---- all of them ----

def name_of(cell):
    return f"matrix: {cell.client} client, {cell.server} server"


def at_us(shims):
    """(peer, case, shim or None, function) with a foreign client."""
    for cell in cells():
        for shim in shims:
            if shim.name not in CLASSICAL or cell.client == "off":
                yield shim.name, name_of(cell), shim, client_case(shim, cell)
        yield "OpenSSL", name_of(cell), None, openssl_client_case(cell)
    for policy in ("off", "hybrid", "pq-only", "cnsa-2.0"):
        for shim in shims:
            if shim.name not in CLASSICAL:
                yield shim.name, f"matrix: early data, {policy} on both sides", shim, early_case(shim, policy)


def at_them(shims):
    """The same with a foreign server."""
    for cell in cells():
        for shim in shims:
            if shim.name not in CLASSICAL or cell.server == "off":
                yield shim.name, name_of(cell), shim, server_case(shim, cell)
        yield "OpenSSL", name_of(cell), None, openssl_server_case(cell)
