"""Resumption and client certificates: what miner links turn off on purpose, tried with tests/interop/link_peer.c."""
import types

from client_cases import PQ, TOKEN, mined
from harness import Skipped, check
from server_cases import start_haproxy
from tap import Tap


def serve(scene, policy, mode):
    server = scene.run("link-peer", [scene.world.link_peer, "serve", policy, mode])
    listening = server.wait_event("listening")
    server.port = listening["port"]
    server.pins = {kind: listening[kind].removeprefix("sha256:") for kind in ("pq", "classical")}
    return server


def client_of(scene, shim, server, dialect, **options):
    pin = server.pins["pq" if dialect.groups == "pq" else "classical"]
    return dialect.client(scene, shim, server.port, pin, token=TOKEN, **options)


def connect(scene, policy, server, pin, alpn, sessions, *more):
    return scene.run("link-peer", [scene.world.link_peer, "connect", policy, f"quic://127.0.0.1:{server.port}",
                                   f"sha256:{pin}", alpn, sessions, *more])


def resumed(program, expected):
    seen = [event["resumed"] for event in program.events("open")]
    check(seen == expected, f"{program.name} saw resumption as {seen}")


def resumption_at_us(scene, shim, dialect):
    server = serve(scene, "hybrid" if dialect is PQ else "off", "tickets")
    client = client_of(scene, shim, server, dialect, sessions=2)
    mined(client, 2)
    resumed(client, [False, True])
    resumed(server, [False, True])
    return "the second session, with a new key exchange"


def weak_resumption_at_us(scene, shim, dialect):
    """A ticket of a classical session is not given out under the policy hybrid."""
    server = serve(scene, "hybrid", "tickets")
    client = client_of(scene, shim, server, dialect, sessions=2)
    mined(client, 2)
    resumed(client, [False, False])
    return "hybrid resumes nothing classical"


def zero_rtt_at_us(scene, shim, dialect):
    server = serve(scene, "hybrid" if dialect is PQ else "off", "tickets")
    with Tap(server.port) as tap:
        client = client_of(scene, shim, server, dialect, sessions=2, early="yes")
        mined(client, 2)
    resumed(client, [False, True])
    check(tap.zero_rtts == 0, "the tickets allow early data")
    check(client.events("open")[1]["early"] != "accepted", "early data was taken")
    return "tickets without early data: nothing to send"


def mutual_at_us(scene, shim, dialect):
    kind = "ml-dsa-87" if dialect is PQ else "ecdsa"
    server = serve(scene, "hybrid" if dialect is PQ else "off", "mutual")
    at = scene.world.inside(scene.world.base / kind)
    client = client_of(scene, shim, server, dialect, cert=f"{at}.crt", key=f"{at}.key")
    mined(client, 1)
    seen = server.wait_event("open")
    check(seen["peer"] == f"sha256:{scene.world.leaf_hash(kind)}", "our side saw another certificate")
    return f"{seen['peer_signature']}, leaf as made by openssl"


def no_client_certificate(scene, shim, dialect):
    server = serve(scene, "hybrid" if dialect is PQ else "off", "mutual")
    client = client_of(scene, shim, server, dialect)
    check(client.finish() == 1, "it was served without a certificate")
    check(not server.events("open"), "our side opened the link")
    return "refused"


def resumption_at_them(scene, shim, upstream):
    server = upstream.serve(scene, shim, 1, token=TOKEN)
    client = connect(scene, "hybrid" if upstream.groups == "pq" else "off", server,
                     scene.world.leaf_hash(upstream.certificate), upstream.alpn, 3)
    check(client.finish() == 0, client.tail())
    resumed(client, [False, True, True])
    return "the second and the third session"


def address_token_at_them(scene, shim, upstream):
    """A token of the first session spares the second one the Retry."""
    server = upstream.serve(scene, shim, 1, token=TOKEN, retry="yes")
    with Tap(server.port) as tap:
        client = connect(scene, "hybrid" if upstream.groups == "pq" else "off", server,
                         scene.world.leaf_hash(upstream.certificate), upstream.alpn, 2)
        check(client.finish() == 0, client.tail())
    if len(tap.retried) == 2 and shim.name == "aioquic":
        raise Skipped("aioquic gives no address tokens")
    check(len(tap.retried) == 1, f"{len(tap.retried)} of 2 sessions got a Retry")
    return "the first session gets a Retry, the second none"


def zero_rtt_at_them(scene, shim, upstream):
    server = upstream.serve(scene, shim, 1, token=TOKEN, early="yes")
    with Tap(server.port) as tap:
        client = connect(scene, "hybrid" if upstream.groups == "pq" else "off", server,
                         scene.world.leaf_hash(upstream.certificate), upstream.alpn, 2)
        check(client.finish() == 0, client.tail())
    resumed(client, [False, True])
    check(tap.zero_rtts == 0, "our side sent early data")
    return "offered, and never used"


def haproxy_resumption(scene):
    """It ends the link for what it is told, but gives its tickets before."""
    server = types.SimpleNamespace(port=start_haproxy(scene, "ml-dsa-87", "X25519MLKEM768"))
    client = connect(scene, "hybrid", server, scene.world.leaf_hash("ml-dsa-87"), "h3", 3)
    client.finish()
    resumed(client, [False, True, True])
    return "the second and the third session"


def nginx_resumption(_):
    raise Skipped("nginx first opens the unidirectional streams of HTTP/3, which our links do not grant, and closes")


def mutual_at_them(scene, shim, upstream):
    server = upstream.serve(scene, shim, 1, token=TOKEN, client_cert="yes")
    client = connect(scene, "hybrid", server, scene.world.leaf_hash(upstream.certificate), upstream.alpn, 1, "mutual")
    check(client.finish() == 0, client.tail())
    seen, ours = server.wait_event("open")["peer"], client.wait_event("identity")["pq"]
    check(f"sha256:{seen}" == ours, "the server saw another certificate")
    return "ML-DSA-87, our compact certificate"


WEB = {"nginx": nginx_resumption, "HAProxy": haproxy_resumption}
AT_US = {"resumption": resumption_at_us, "0-RTT": zero_rtt_at_us, "mutual": mutual_at_us,
         "no client certificate": no_client_certificate}
AT_THEM = {"resumption": resumption_at_them, "address token": address_token_at_them,
           "0-RTT": zero_rtt_at_them}
