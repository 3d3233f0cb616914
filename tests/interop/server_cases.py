"""Our miner and our prober at foreign nodes and servers."""
import pathlib
import subprocess

from client_cases import TOKEN, lost, rebound
from harness import WAIT_S, Skipped, check
from tap import CONGESTION, Tap

DIFFICULTY = 2000


class Upstream:
    """What our miner speaks with a foreign node."""

    def __init__(self, alpn, groups, certificate, scheme="quic", needs=None):
        self.alpn, self.groups, self.certificate = alpn, groups, certificate
        self.scheme, self.needs = scheme, needs

    def serve(self, scene, shim, results, **options):
        if self.alpn != "pqlink-miner/1":
            options.setdefault("token", TOKEN)
        return scene.serve(shim, self.certificate, **{"alpn": self.alpn, "groups": self.groups, "results": results,
                                                      "difficulty": DIFFICULTY, **options})

    def miner(self, scene, port, *options, pin=None):
        if self.needs and not scene.world.option_of("mine", self.needs):
            raise Skipped(f"this pqlink has no miner for {self.alpn}: it has no {self.needs}")
        if self.alpn != "pqlink-miner/1":
            token = scene.directory / "token"
            token.write_text(TOKEN + "\n")
            token.chmod(0o600)
            options = ("--token-file", token, *options)
        return scene.miner(port, pin or scene.world.leaf_hash(self.certificate), *options, scheme=self.scheme)


PQ = Upstream("pqlink-miner/1", "pq", "ml-dsa-87")
PQ_KEM = Upstream("pqlink-miner/1", "pq", "ecdsa")
V2 = Upstream("quantus-miner/2", "classical", "ecdsa", scheme="quantus", needs="--token-file")


def proofs_hold(scene, server):
    """The foreign node believes every result; whether it is one, `pqlink pow check` says."""
    for result in server.events("result"):
        checked = subprocess.run([scene.world.pqlink, "pow", "check", "--mining-hash", result["mining_hash"],
                                  "--nonce", result["work"], "--difficulty", result["difficulty"]],
                                 capture_output=True, text=True, timeout=WAIT_S)
        check(checked.returncode == 0, f"a wrong proof: {checked.stdout}")


def served(scene, server, results):
    """The foreign node got that many right results, all over one link."""
    server.wait_event("done")
    check(len(server.events("result")) == results, f"{len(server.events('result'))} results and not {results}")
    opened = len(server.events("open"))
    check(opened == 1, f"the link was made {opened} times")
    proofs_hold(scene, server)


def mining(scene, shim, upstream, results=3):
    server = upstream.serve(scene, shim, results)
    upstream.miner(scene, server.port)
    served(scene, server, results)
    return f"{results} proofs"


def handshake(scene, shim, upstream):
    server = upstream.serve(scene, shim, 1)
    miner = upstream.miner(scene, server.port)
    served(scene, server, 1)
    check(server.wait_event("open")["alpn"] == upstream.alpn, "another ALPN")
    connected, link = miner.wait_event("connected"), miner.wait_event("handshake")
    expected = "X25519MLKEM768" if upstream.groups == "pq" else link["group"]
    check(link["group"] == expected, f"the group was {link['group']}")
    check(connected["certificate"] == f"sha256:{scene.world.leaf_hash(upstream.certificate)}", "another leaf")
    return f"{link['group']}, {link['signature']}, leaf as pinned"


def wrong_pin(scene, shim, upstream):
    server = upstream.serve(scene, shim, 1)
    miner = upstream.miner(scene, server.port, pin="0" * 64)
    check(miner.finish() == 3, f"the miner ended with {miner.process.returncode} and not with 3")
    check(not server.events("ready"), "the miner said Ready to another node than the pinned one")
    return "exit status 3, no Ready"


def wrong_token(scene, shim, upstream):
    server = upstream.serve(scene, shim, 1, token="another")
    miner = upstream.miner(scene, server.port)
    check(miner.finish() != 0, "the miner goes on")
    return f"exit status {miner.process.returncode}"


def wrong_alpn(scene, shim, upstream):
    server = upstream.serve(scene, shim, 1, alpn="no-such-protocol")
    miner = upstream.miner(scene, server.port)
    if shim.name == "aioquic":  # says handshake failure, where RFC 9001, 8.1 wants no application protocol
        check(miner.finish() == 4 and "No common ALPN" in miner.text(), f"it says: {miner.tail()}")
        return "aioquic says alert 40 instead of 120; exit status 4"
    check("ALPN" in miner.wait_event("retry")["reason"], f"it says: {miner.tail()}")
    check(not server.events("ready"), "the miner said Ready")
    return "the miner says so, and tries again later"


def leaf_refused(scene, shim, upstream):
    """pqlink-miner/1 asks for an ML-DSA leaf."""
    server = upstream.serve(scene, shim, 1)
    miner = upstream.miner(scene, server.port)
    check(miner.finish() != 0, "the miner goes on with an ECDSA leaf")
    check(not server.events("ready"), "the miner said Ready")
    return f"exit status {miner.process.returncode}, no Ready"


def retry(scene, shim, upstream):
    server = upstream.serve(scene, shim, 1, retry="yes")
    with Tap(server.port) as tap:
        upstream.miner(scene, server.port)
        served(scene, server, 1)
    check(tap.retries > 0, "the server sent no Retry")
    return "answered with the token"


def key_update(scene, shim, upstream):
    results = 120 if shim.name == "quic-go" else 4
    server = upstream.serve(scene, shim, results, key_update="yes")
    upstream.miner(scene, server.port)
    served(scene, server, results)
    if shim.name == "quic-go":
        check('"trigger":"local_update"' in scene.traces().replace(" ", ""), "quic-go made no key update")
        return "made by quic-go after 100 packets"
    check(len(server.events("key_update")) == results, "not every update was made")
    return f"{results} updates"


def ecn(scene, shim, upstream):
    if shim.name == "aioquic":
        raise Skipped("aioquic has no ECN")
    trace = scene.directory / "mine-qlog"
    trace.mkdir(mode=0o700)
    server = upstream.serve(scene, shim, 5)
    scene.world.mark_congestion(server.port)
    with Tap(server.port) as tap:
        upstream.miner(scene, server.port, "--qlog", trace)
        served(scene, server, 5)
    check(tap.marks == {"to": {CONGESTION}, "from": {CONGESTION}}, f"marks on the wire: {tap.marks}")
    return "every packet marked, and mining goes on"


def relayed(case_options, finds=None, results=3, **server_options):
    """A case with a network in between."""
    def case(scene, shim, upstream):
        server = upstream.serve(scene, shim, results, **server_options)
        relay = scene.relayed(server.port, *case_options)
        upstream.miner(scene, relay.port)
        served(scene, server, results)
        stats = scene.relay_stats(relay)
        return finds(stats) if finds else f"{results} proofs on one link"
    return case


CASES = {
    "handshake": handshake, "mining": mining, "wrong ALPN": wrong_alpn, "wrong pin": wrong_pin, "retry": retry,
    "key update": key_update, "ECN": ecn,
    "long RTT": relayed(["--delay", 300]),
    "blackhole": relayed(["--blackhole-after", 500, "--blackhole-for", 2000], lost, results=12, pause_ms=100),
    "loss": relayed(["--loss", 10, "--seed", 3, "--delay", 5], lost, results=10),
    "corruption": relayed(["--corrupt", 10, "--seed", 4, "--delay", 5], results=10),
    "rebind": relayed(["--rebind-after", 500], rebound, results=12, pause_ms=100),
    "duplicates": relayed(["--duplicate", 3]),
    "MTU of 1200": relayed(["--mtu", 1200], results=5, datagram=1200),
}


# ---- the prober ----

def probed_as(scene, shown, kind, group):
    check(shown["certificate"] == f"sha256:{scene.world.leaf_hash(kind)}",
          "the fingerprint is not the one that openssl computes")
    check(shown["group"] == group, f"the group is {shown['group']} and not {group}")
    return f"{shown['group']}, {shown['algorithm']}, fingerprint as openssl computes it"


def probe_shim(scene, shim, upstream):
    server = scene.serve(shim, upstream.certificate, alpn=upstream.alpn, groups=upstream.groups, results=1,
                         difficulty=DIFFICULTY)
    shown = scene.probe(server.port, "--alpn", upstream.alpn)
    return probed_as(scene, shown, upstream.certificate,
                     "X25519MLKEM768" if upstream.groups == "pq" else shown["group"])


NGINX = """
daemon off; worker_processes 1; error_log stderr info; pid {dir}/nginx.pid;
events {{ worker_connections 64; }}
http {{ access_log off; {temporary}
  server {{ listen 127.0.0.1:{port} quic; http3 on; quic_retry {retry};
    ssl_certificate {leaf}.crt.pem; ssl_certificate_key {leaf}.key.pem;
    ssl_protocols TLSv1.3; ssl_ecdh_curve {groups}; return 200 "ok"; }} }}
"""


def start_nginx(scene, kind, groups, retry="off"):
    port = scene.world.free_port()
    inside = scene.world.inside(scene.directory)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = " ".join(f"{name}_temp_path {inside}/{name};" for name in kinds)
    (scene.directory / "nginx.conf").write_text(NGINX.format(
        dir=inside, port=port, retry=retry, leaf=scene.world.inside(scene.world.base / kind), groups=groups,
        temporary=temporary))
    nginx = scene.run("nginx", scene.world.in_tree("nginx", "-p", inside, "-c", f"{inside}/nginx.conf", "-g",
                                                   "user root;"))
    nginx.wait(lambda: "start worker process" in nginx.text(), "never started its worker")
    return port


def probe_nginx(kind, groups, group, retry="off"):
    def case(scene):
        port = start_nginx(scene, kind, groups, retry)
        with Tap(port) as tap:
            detail = probed_as(scene, scene.probe(port, "--alpn", "h3"), kind, group)
        check((tap.retries > 0) == (retry == "on"), f"{tap.retries} Retry packets")
        return detail
    return case


def through(start, *options):
    """The prober and a server of the web with a network in between."""
    def case(scene):
        relay = scene.relayed(start(scene, "ml-dsa-87", "X25519MLKEM768"), *options)
        detail = probed_as(scene, scene.probe(relay.port, "--alpn", "h3", "--timeout", "20s"), "ml-dsa-87",
                           "X25519MLKEM768")
        scene.relay_stats(relay)
        return detail
    return case


def nginx_wrong_alpn(scene):
    port = start_nginx(scene, "ml-dsa-87", "X25519MLKEM768")
    prober = scene.run("fingerprint", [scene.world.pqlink, "fingerprint", "--remote", f"quic://127.0.0.1:{port}"])
    check(prober.finish() == 8, f"exit status {prober.process.returncode} and not 8")
    return "exit status 8"


HAPROXY = """
global
    log stderr local0
    limited-quic
defaults
    mode http
    timeout client 10s
    timeout connect 1s
    timeout server 10s
frontend quic
    bind quic4@127.0.0.1:{port} ssl crt {leaf} alpn h3 {more}
    http-request return status 200
"""


def start_haproxy(scene, kind, groups, more=""):
    port = scene.world.free_port()
    leaf, base = scene.directory / "leaf.pem", scene.world.base
    leaf.write_text((base / f"{kind}.crt.pem").read_text() + (base / f"{kind}.key.pem").read_text())
    leaf.chmod(0o600)
    configuration = scene.directory / "haproxy.cfg"
    configuration.write_text(HAPROXY.format(port=port, leaf=scene.world.inside(leaf), more=f"curves {groups} {more}"))
    haproxy = scene.run("haproxy", scene.world.in_tree("haproxy", "-db", "-f", scene.world.inside(configuration)))
    haproxy.wait(lambda: f":{port:04X} " in pathlib.Path("/proc/net/udp").read_text(), "never took its port")
    return port


def probe_haproxy(kind, group, retry=False):
    def case(scene):
        port = start_haproxy(scene, kind, group, "quic-force-retry" if retry else "")
        with Tap(port) as tap:
            detail = probed_as(scene, scene.probe(port, "--alpn", "h3"), kind, group)
        check((tap.retries > 0) == retry, f"{tap.retries} Retry packets")
        return detail
    return case


def haproxy_small_mtu(_):
    raise Skipped("HAProxy sends datagrams of 1252 bytes in the handshake, whatever the path carries")


def paths(start):
    return {"long RTT": through(start, "--delay", 300), "loss": through(start, "--loss", 15, "--seed", 5, "--delay", 5),
            "corruption": through(start, "--corrupt", 15, "--seed", 6, "--delay", 5),
            "duplicates": through(start, "--duplicate", 3), "MTU of 1200": through(start, "--mtu", 1200)}


PROBED = {
    "nginx": {
        "ML-DSA-87": probe_nginx("ml-dsa-87", "X25519MLKEM768", "X25519MLKEM768"),
        "ML-DSA-87, retry": probe_nginx("ml-dsa-87", "X25519MLKEM768", "X25519MLKEM768", "on"),
        "ECDSA": probe_nginx("ecdsa", "X25519MLKEM768", "X25519MLKEM768"),
        "ECDSA, X25519": probe_nginx("ecdsa", "X25519", "X25519"),
        "ECDSA, X25519, retry": probe_nginx("ecdsa", "X25519", "X25519", "on"),
        "wrong ALPN": nginx_wrong_alpn, **paths(start_nginx),
    },
    "HAProxy": {
        "ML-DSA-87": probe_haproxy("ml-dsa-87", "X25519MLKEM768"),
        "ML-DSA-87, retry": probe_haproxy("ml-dsa-87", "X25519MLKEM768", retry=True),
        "ECDSA": probe_haproxy("ecdsa", "X25519MLKEM768"),
        "ECDSA, X25519": probe_haproxy("ecdsa", "X25519"),
        "ECDSA, X25519, retry": probe_haproxy("ecdsa", "X25519", retry=True), **paths(start_haproxy),
        "MTU of 1200": haproxy_small_mtu,
    },
}
