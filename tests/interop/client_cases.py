"""Foreign miners at our node."""
import subprocess

from harness import Skipped, check
from tap import CONGESTION, Tap

TOKEN = "interop-token-of-rig-1"
LINKS_OF_ONE_SOCKET = 32
STRANGERS = 150  # a worker asks for a Retry from 128 half-open handshakes on


class Dialect:
    """A protocol of our node, and what it takes to speak it."""

    def __init__(self, alpn, groups, node_options=(), needs=None):
        self.alpn, self.groups, self.node_options, self.needs = alpn, groups, list(node_options), needs

    def node(self, scene, *more, tokens=True, **settings):
        if self.needs and not scene.world.option_of("node", self.needs):
            raise Skipped(f"this pqlink serves no {self.alpn}: its node has no {self.needs}")
        options = list(self.node_options)
        if self.alpn == "quantus-miner/2" and tokens:
            file = scene.directory / "tokens"
            file.write_text(f"rig-1:{TOKEN}\n")
            file.chmod(0o600)
            options += ["--tokens", file]
        node = scene.node(*options, *more, **settings)
        kind = "pq" if self.groups == "pq" else "classical"
        node.pin = node.shown[kind]["certificate"].removeprefix("sha256:")
        return node

    def client(self, scene, shim, port, pin, **options):
        if self.alpn == "quantus-miner/2":
            options.setdefault("token", TOKEN)
        return scene.shim(shim, "client", **{"connect": f"127.0.0.1:{port}", "alpn": self.alpn,
                                             "groups": self.groups, "pin": pin, **options})


PQ = Dialect("pqlink-miner/1", "pq")
V2 = Dialect("quantus-miner/2", "classical", needs="--tokens")
V1 = Dialect("quantus-miner", "classical", ["--allow-v1"], needs="--allow-v1")


def mined(client, results):
    """The client got what it came for."""
    check(client.finish() == 0, client.tail())
    accepted = client.wait_event("done")["accepted"]
    check(accepted == results, f"{accepted} results were accepted and not {results}")


def one_link(node):
    opened = len(node.events("link_open"))
    check(opened == 1, f"the link was made {opened} times")


def handshake(scene, shim, dialect):
    node = dialect.node(scene)
    client = dialect.client(scene, shim, node.port, node.pin)
    mined(client, 1)
    shown, link = client.wait_event("open"), node.wait_event("handshake")
    check(shown["leaf"] == node.pin, "the leaf is not the one that the fingerprint command shows")
    check(shown["alpn"] == dialect.alpn, f"ALPN is {shown['alpn']}")
    if dialect.groups == "pq":
        check(link["group"] == "X25519MLKEM768" and link["signature"] == "ML-DSA-87", f"it was {link['group']}")
    else:
        check(link["group"] == "X25519" or shim.name == "aioquic", f"it was {link['group']}")
    return f"{link['group']}, {link['signature']}, leaf as pinned"


def mining(scene, shim, dialect):
    node = dialect.node(scene)
    client = dialect.client(scene, shim, node.port, node.pin, results=3)
    mined(client, 3)
    node.wait_event("block_accepted", 3)
    one_link(node)
    return "3 blocks"


def wrong_alpn(scene, shim, dialect):
    node = dialect.node(scene)
    client = dialect.client(scene, shim, node.port, node.pin, alpn="no-such-protocol")
    check(client.finish() == 1, "it was let in")
    refused = node.wait_event("handshake_failed")
    check(refused["code"] == 0x178, f"the node closed with {refused['code']:#x}")
    said = client.wait_event("failed")["text"]
    check("120" in said or "0x178" in said or "376" in said, f"the client was told: {said}")
    return "closed with 0x178"


def wrong_pin(scene, shim, dialect):
    node = dialect.node(scene)
    client = dialect.client(scene, shim, node.port, "0" * 64)
    check(client.finish() == 1, "it took another certificate than the pinned one")
    check(not node.events("block_accepted"), "it mined")
    return "the miner refuses"


def wrong_token(scene, shim, dialect):
    node = dialect.node(scene)
    client = dialect.client(scene, shim, node.port, node.pin, token="not-this-one")
    check(client.finish() == 1, "a wrong token was let in")
    closed = client.wait_event("closed")
    check((closed["code"], closed["reason"]) == (0, "auth failed"), f"closed with {closed}")
    return "closed with 0, auth failed"


def classical_refused(scene, shim, dialect):
    node = dialect.node(scene)
    client = dialect.client(scene, shim, node.port, node.pin, groups="classical")
    check(client.finish() == 1, "pqlink-miner/1 was served without ML-KEM")
    if shim.groups == ("classical",):
        check(node.wait_event("handshake_failed")["code"] == 0x128, "not refused with alert 40")
        return "no ML-DSA either: alert 40"
    closed = client.wait_event("closed")
    check(closed["code"] == 7, f"closed with {closed}")
    return "closed with 7"


def pq_only(scene, shim, dialect):
    node = scene.node("--policy", "pq-only")
    client = dialect.client(scene, shim, node.port, node.pq_pin, groups="classical")
    check(client.finish() == 1, "a pq-only node served a classical client")
    check(node.wait_event("handshake_failed")["code"] == 0x128, "not refused with alert 40")
    return "alert 40"


def multiplexing(scene, shim, dialect):
    node = dialect.node(scene)
    client = dialect.client(scene, shim, node.port, node.pin, sessions=0, links=LINKS_OF_ONE_SOCKET,
                            any_verdict="yes")
    mined(client, LINKS_OF_ONE_SOCKET)
    check(len(client.events("open")) == LINKS_OF_ONE_SOCKET, "not every link opened")
    return f"{LINKS_OF_ONE_SOCKET} links at once"


def stream_limit(scene, shim, dialect):
    node = dialect.node(scene)
    client = dialect.client(scene, shim, node.port, node.pin, results=2, second_stream="yes")
    mined(client, 2)
    check(not client.wait_event("second_stream")["granted"], "a second stream was granted")
    return "one stream, as the protocol says"


def retry(scene, shim, dialect):
    node = dialect.node(scene)
    with Tap(node.port, besides=crowded(scene, node)) as tap:
        client = dialect.client(scene, shim, node.port, node.pin)
        mined(client, 1)
    check(tap.retries > 0, f"no Retry in spite of {STRANGERS} half-open handshakes")
    return f"behind {STRANGERS} half-open handshakes"


def crowded(scene, node):
    """So many half-open handshakes that the node asks everybody else for a Retry; the port of the crowd."""
    crowd = scene.shim(scene.world.shim("quic-go")._replace(name="crowd"), "crowd", stdin=subprocess.PIPE,
                       links=STRANGERS, connect=f"127.0.0.1:{node.port}", alpn=PQ.alpn, groups="pq", pin=node.pq_pin)
    return crowd.wait_event("crowded")["port"]


def address_token(scene, shim, dialect):
    """Who was here before needs no Retry, however many strangers knock."""
    node = dialect.node(scene)
    with Tap(node.port, besides=crowded(scene, node)) as tap:
        client = dialect.client(scene, shim, node.port, node.pin, sessions=2)
        mined(client, 2)
    check(len(tap.retried) == 1, f"{len(tap.retried)} of 2 sessions got a Retry")
    return "the first session gets a Retry, the second none"


def no_tickets(scene, shim, dialect):
    node = dialect.node(scene)
    client = dialect.client(scene, shim, node.port, node.pin, sessions=2)
    mined(client, 2)
    check(not client.wait_event("open", 2)["resumed"], "a miner link was resumed")
    return "each session is a full handshake"


def early_data(scene, shim, dialect):
    node = dialect.node(scene)
    with Tap(node.port) as tap:
        client = dialect.client(scene, shim, node.port, node.pin, sessions=2, early="yes")
        mined(client, 2)
    second = client.wait_event("open", 2)
    check(second["early"] != "accepted", "the node took early data, which this protocol forbids")
    check(tap.zero_rtts == 0 or second["early"] == "refused", "0-RTT packets, and nobody refused them")
    return "asked for, not granted: the protocol forbids it"


def key_update(scene, shim, dialect):
    node = dialect.node(scene)
    if shim.name == "quic-go":  # it updates by itself, after a hundred packets
        mined(dialect.client(scene, shim, node.port, node.pin, results=150, any_verdict="yes"), 150)
        check('"trigger":"local_update"' in scene.traces().replace(" ", ""), "quic-go made no key update")
        one_link(node)
        return "made by quic-go after 100 packets"
    client = dialect.client(scene, shim, node.port, node.pin, results=4, key_update="yes")
    mined(client, 4)
    check(len(client.events("key_update")) == 3, "not every update was made")
    one_link(node)
    return "3 updates"


def migration(scene, shim, dialect):
    node = dialect.node(scene)
    with Tap(node.port) as tap:
        client = dialect.client(scene, shim, node.port, node.pin, results=6, migrate="yes")
        mined(client, 6)
    check(client.events("moved"), "it did not move")
    check(len(tap.client_ports) == 2, f"the miner was seen at {len(tap.client_ports)} ports")
    one_link(node)
    return "moved to another socket"


def ecn(scene, shim, dialect):
    if shim.name == "aioquic":
        raise Skipped("aioquic has no ECN")
    trace = scene.directory / "node-qlog"
    trace.mkdir(mode=0o700)
    node = dialect.node(scene, "--qlog", trace)
    scene.world.mark_congestion(node.port)
    with Tap(node.port) as tap:
        client = dialect.client(scene, shim, node.port, node.pin, results=5)
        mined(client, 5)
    check(tap.marks == {"to": {CONGESTION}, "from": {CONGESTION}}, f"marks on the wire: {tap.marks}")
    node.stop()
    counted = {"sent": 0, "received": 0}
    for line in "".join(path.read_text(errors="replace") for path in trace.iterdir()).splitlines():
        for way in counted:
            counted[way] += f"transport:packet_{way}" in line and '"ce":' in line and '"ce":0' not in line
    check(counted["sent"], "our node reported no marks to the miner")
    check(counted["received"], "the miner reported no marks to our node")
    return "every packet marked, both sides report it"


def relayed(case_options, finds=None, **client_options):
    """A case with a network in between."""
    client_options.setdefault("results", 3)
    wanted = client_options["results"]

    def case(scene, shim, dialect):
        node = dialect.node(scene)
        relay = scene.relayed(node.port, *case_options)
        mined(dialect.client(scene, shim, relay.port, node.pin, **client_options), wanted)
        one_link(node)
        stats = scene.relay_stats(relay)
        before = stats["before_validation"]
        check(before["from_server"] > 0 and before["over_three_times"] == 0,
              "the node sent more than three times what it had received")
        return finds(stats) if finds else f"{wanted} blocks on one link"
    return case


def lost(stats):
    count = stats["to_server"]["lost"] + stats["to_client"]["lost"]
    check(count > 0, "the relay lost nothing")
    return f"{count} datagrams lost"


def rebound(stats):
    check(stats["rebound"] > 0, "the relay did not move")
    return "the source port changed"


def factor(stats):
    before = stats["before_validation"]
    return f"{before['from_server']} bytes for {before['to_server']}, never over three times"


PATHS = {
    "long RTT": relayed(["--delay", 300]),
    "amplification limit": relayed(["--delay", 20, "--split-first", 50], factor),
    "blackhole": relayed(["--blackhole-after", 500, "--blackhole-for", 2000], lost, results=12, pause_ms=100),
    "loss": relayed(["--loss", 10, "--seed", 3, "--delay", 5], lost, results=10),
    "corruption": relayed(["--corrupt", 10, "--seed", 4, "--delay", 5], results=10),
    "rebind": relayed(["--rebind-after", 500], rebound, results=12, pause_ms=100),
    "duplicates": relayed(["--duplicate", 3]),
    "MTU of 1200": relayed(["--mtu", 1200], results=5, datagram=1200),
}

CASES = {
    "handshake": handshake, "mining": mining, "wrong ALPN": wrong_alpn, "wrong pin": wrong_pin,
    "multiplexing": multiplexing, "stream limit": stream_limit, "retry": retry, "address token": address_token, "no tickets": no_tickets,
    "0-RTT": early_data, "key update": key_update, "migration": migration, "ECN": ecn, **PATHS,
}
