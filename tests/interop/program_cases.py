"""Programs with an end of their own at our node: OpenSSL, curl, and the official miner and node."""
import re
import subprocess
import urllib.request

import client_cases
from client_cases import TOKEN
from harness import WAIT_S, Skipped, check


# ---- OpenSSL's client ----

READY = b"\0\0\0\x0c" + b'{"Ready":{}}'


def s_client(scene, node, alpn="pqlink-miner/1", groups="X25519MLKEM768", relay=None):
    return scene.run("openssl", scene.world.in_tree(
        "openssl", "s_client", "-quic", "-groups", groups, "-alpn", alpn, "-connect", f"127.0.0.1:{(relay or node).port}"),
        stdin=subprocess.PIPE)


def say(client, data):
    client.process.stdin.write(data)
    client.process.stdin.flush()


def openssl_handshake(scene):
    node = scene.node()
    client = s_client(scene, node)
    say(client, READY)
    node.wait_event("link_open")
    client.wait(lambda: "NewJob" in client.text(), "was given no job")
    said = client.text()
    check("Peer signature type: mldsa87" in said, "the signature was not ML-DSA-87")
    leaf = scene.directory / "leaf.pem"
    begin, end = said.index("-----BEGIN CERT"), said.index("-----END CERTIFICATE-----")
    leaf.write_text(said[begin:end] + "-----END CERTIFICATE-----\n")
    shown = scene.world.openssl("x509", "-in", scene.world.inside(leaf), "-noout", "-fingerprint", "-sha256")
    check(shown.split("=")[1].strip().replace(":", "").lower() == node.pq_pin, "another leaf than the pinned one")
    return "X25519MLKEM768, ML-DSA-87, leaf as pinned, a job received"


def openssl_relayed(*options):
    def case(scene):
        node = scene.node()
        relay = scene.relayed(node.port, *options)
        client = s_client(scene, node, relay=relay)
        say(client, READY)
        client.wait(lambda: "NewJob" in client.text(), "was given no job")
        check(len(node.events("link_open")) == 1, "the link was made more than once")
        before = scene.relay_stats(relay)["before_validation"]
        check(before["from_server"] > 0 and before["over_three_times"] == 0,
              "the node sent more than three times what it had received")
        return "a job received"
    return case


def openssl_key_update(scene):
    node = scene.node()
    client = s_client(scene, node)
    say(client, READY)
    client.wait(lambda: "NewJob" in client.text(), "was given no job")
    say(client, b"K\n")
    client.wait(lambda: "KEYUPDATE" in client.text(), "made no key update")
    # A block of somebody else's brings a job that has to be read with the new keys.
    jobs = client.text().count("NewJob")
    block = client_cases.PQ.client(scene, scene.world.shim("quinn"), node.port, node.pq_pin)
    client_cases.mined(block, 1)
    client.wait(lambda: client.text().count("NewJob") > jobs, "was given no job after the key update")
    return "the next job was read with the new keys"


def openssl_wrong_alpn(scene):
    node = scene.node()
    client = s_client(scene, node, alpn="no-such-protocol")
    check(node.wait_event("handshake_failed")["code"] == 0x178, "not closed with 0x178")
    client.finish()
    return "closed with 0x178"


def openssl_classical(scene):
    node = scene.node()
    client = s_client(scene, node, groups="X25519")
    say(client, READY)
    node.wait_event("link_refused")
    return "the miner service refuses it"


def openssl_pq_only(scene):
    node = scene.node("--policy", "pq-only")
    client = s_client(scene, node, groups="X25519")
    check(node.wait_event("handshake_failed")["code"] == 0x128, "not refused with alert 40")
    client.finish()
    return "alert 40"


def curl_wrong_alpn(scene):
    node = scene.node()
    curl = scene.run("curl", scene.world.in_tree("curl", "--http3-only", "--insecure", "--silent", "--show-error",
                                                 "--max-time", "10", f"https://127.0.0.1:{node.port}/"))
    check(curl.finish() != 0, "curl was served")
    check(node.wait_event("handshake_failed")["code"] == 0x178, "not closed with 0x178")
    return f"h3 is closed with 0x178; curl ends with {curl.process.returncode}"


# ---- the official miner, and the official node's miner server ----

def official_miner(scene, node, port=None, token=None, pin=None, relay=None):
    """`quantus-miner serve`, as the operator of an official node would start it."""
    token_file, pin_file = scene.directory / "miner-token", scene.directory / "miner-pin"
    token_file.write_text((token or TOKEN) + "\n")
    pin_file.write_text((pin or node.pin) + "\n")
    return scene.run("quantus-miner", [
        scene.world.quantus_miner, "serve", "--node-addr", f"127.0.0.1:{relay or node.port}", "--auth-token-file",
        token_file, "--tls-cert-sha256-file", pin_file, "--cpu-workers", 1, "--gpu-devices", 0,
        "--metrics-port", scene.world.free_port()])


def official_mines(scene):
    node = client_cases.V2.node(scene, difficulty=20000)
    official_miner(scene, node)
    node.wait_event("block_accepted", 3)
    check(len(node.events("link_open")) == 1, "the link was made more than once")
    return "3 blocks on one link"


def official_files(scene):
    """The files that an official node leaves for its miners are those of our node."""
    node = client_cases.V2.node(scene, tokens=False, difficulty=20000)
    names = {"--auth-token-file": "miner-auth-token", "--tls-cert-sha256-file": "miner-tls-cert-sha256"}
    words = [word for option, name in names.items() for word in (option, node.state / name)]
    for name in names.values():
        check((node.state / name).exists(), f"the node's directory has no {name}")
    scene.run("quantus-miner", [scene.world.quantus_miner, "serve", "--node-addr", f"127.0.0.1:{node.port}", *words,
                                "--cpu-workers", 1, "--gpu-devices", 0,
                                "--metrics-port", scene.world.free_port()])
    node.wait_event("block_accepted", 1)
    return "miner-auth-token and miner-tls-cert-sha256 of the node's directory"


def official_wrong_token(scene):
    node = client_cases.V2.node(scene)
    miner = official_miner(scene, node, token="not-this-one")
    check(miner.finish() != 0, "a wrong token was let in")
    check("auth failed" in miner.text(), f"it said: {miner.tail()}")
    return f"it stops for good: exit status {miner.process.returncode}"


def official_wrong_pin(scene):
    node = client_cases.V2.node(scene)
    miner = official_miner(scene, node, pin="0" * 64)
    check(miner.finish() != 0, "it took another certificate than the pinned one")
    check(not node.events("link_open"), "it opened a link")
    return f"it stops for good: exit status {miner.process.returncode}"


def official_returns(scene):
    """The pins of the miner hold after a restart of our node."""
    node = client_cases.V2.node(scene, difficulty=20000)
    official_miner(scene, node)
    node.wait_event("block_accepted")
    node.stop()
    again = client_cases.V2.node(scene, difficulty=20000, port=node.port)
    again.wait_event("block_accepted")
    check(again.pin == node.pin, "the certificate is another one")
    return "comes back by itself, same pin"


def official_shares(scene):
    """An official miner idles after a result, until it is given the job again."""
    node = client_cases.V2.node(scene, "--share-difficulty", 20000, difficulty=10**12, admin="127.0.0.1:0")
    official_miner(scene, node)
    metrics = f"http://127.0.0.1:{node.wait_event('listening')['admin_port']}/metrics"

    def shares():
        with urllib.request.urlopen(metrics, timeout=WAIT_S) as answer:
            found = re.search(r'^pqlink_miner_shares_total\{miner="rig-1"\} (\d+)',
                              answer.read().decode(), re.MULTILINE)
        return int(found.group(1)) if found else 0
    node.wait(lambda: shares() >= 3, "counted no three shares")
    return "3 shares of one job"


def official_relayed(*options):
    def case(scene):
        node = client_cases.V2.node(scene, difficulty=20000)
        relay = scene.relayed(node.port, *options)
        official_miner(scene, node, relay=relay.port)
        node.wait_event("block_accepted", 5)
        check(len(node.events("link_open")) == 1, "the link was made more than once")
        check(scene.relay_stats(relay)["before_validation"]["over_three_times"] == 0, "over three times")
        return "5 blocks on one link"
    return case


# ---- official miners before v4: no token, no check of the certificate ----

def v1_miner(scene, program, node):
    return scene.run("quantus-miner", [program, "serve", "--node-addr", f"127.0.0.1:{node.port}", "--cpu-workers", 1,
                                       "--gpu-devices", 0, "--metrics-port", scene.world.free_port()])


def v1_mines(program):
    def case(scene):
        node = client_cases.V1.node(scene, difficulty=20000)
        v1_miner(scene, program, node)
        node.wait_event("block_accepted", 3)
        check(len(node.events("link_open")) == 1, "the link was made more than once")
        return "3 blocks on one link"
    return case


def v1_refused(program):
    def case(scene):
        node = client_cases.V2.node(scene)
        v1_miner(scene, program, node)
        refused = node.wait_event("handshake_failed")
        check(refused["code"] == 0x178, f"closed with {refused['code']:#x}")
        check("--allow-v1" in refused["reason"], f"the log does not say what to do: {refused['reason']}")
        check(not node.events("link_open"), "it was let in")
        return "closed with 0x178, and the log says why"
    return case


def official_node(scene):
    """`quantus-node --dev`, whose miner port our miner then serves."""
    world, base = scene.world, scene.directory / "quantus-node"
    port = world.free_port()
    node = scene.run("quantus-node", [world.quantus_node, "--dev", "--base-path", base,
                                      "--miner-listen-port", port])
    node.wait(lambda: any(base.glob("chains/*/miner-tls-cert-sha256")) and any(base.glob("chains/*/miner-auth-token")),
              "never wrote its miner files")
    (chain,) = base.glob("chains/*")
    node.port, node.token = port, chain / "miner-auth-token"
    node.pin = (chain / "miner-tls-cert-sha256").read_text().strip()
    return node


def needs_upstream(scene):
    if not scene.world.option_of("mine", "--token-file"):
        raise Skipped("this pqlink has no miner for quantus-miner/2: it has no --token-file")


def our_miner_for_official_node(scene):
    needs_upstream(scene)
    node = official_node(scene)
    miner = scene.miner(node.port, node.pin, "--token-file", node.token, scheme="quantus")
    # It gives out the next job when it has verified the proof of the one before.
    miner.wait(lambda: len({job["job"] for job in miner.events("job")}) > 3, "was given no further job")
    check(len(miner.events("connected")) == 1, "the link was made more than once")
    return "3 proofs that the node verified"


def our_miner_wrong_token(scene):
    needs_upstream(scene)
    node = official_node(scene)
    token = scene.directory / "token"
    token.write_text("not-this-one\n")
    token.chmod(0o600)
    miner = scene.miner(node.port, node.pin, "--token-file", token, scheme="quantus")
    check(miner.finish() != 0, "our miner goes on")
    return f"our miner stops: exit status {miner.process.returncode}"


def node_behind(scene, upstream, *options, sources=()):
    """Our node, which logs in to an official one as one miner and hands its jobs on."""
    if not scene.world.option_of("node", "--source-token-file"):
        raise Skipped("this pqlink's node takes no jobs from an official node")
    pin = scene.directory / "source-pin"
    pin.write_text(upstream.pin + "\n")
    words = [word for url in (*sources, f"quantus://127.0.0.1:{upstream.port}") for word in ("--source", url)]
    node = scene.node(*words, "--source-pin-file", pin, "--source-token-file", upstream.token, *options, source=None)
    node.pin = node.shown["classical"]["certificate"].removeprefix("sha256:")
    return node


def three_blocks(miner):
    """The official node gives out the next job when it has verified the proof of the one before."""
    miner.wait(lambda: len({job["job"] for job in miner.events("job")}) > 3, "was given no further job")
    return "official jobs, 3 proofs that the official node verified"


def our_node_behind_official_node(scene):
    node = node_behind(scene, official_node(scene))
    return three_blocks(scene.miner(node.port, node.pq_pin))


def second_source(scene):
    dead = f"quantus://127.0.0.1:{scene.world.free_port()}"
    node = node_behind(scene, official_node(scene), sources=[dead])
    return three_blocks(scene.miner(node.port, node.pq_pin))


def official_miner_behind_our_node(scene):
    """All official but the node in the middle."""
    if not scene.world.quantus_miner:
        raise Skipped("QUANTUS_MINER names no official miner")
    tokens = scene.directory / "tokens"
    tokens.write_text(f"rig-1:{TOKEN}\n")
    tokens.chmod(0o600)
    node = node_behind(scene, official_node(scene), "--tokens", tokens)
    miner = official_miner(scene, node)
    # It logs each job that it is given.
    miner.wait(lambda: len(set(re.findall(r"Received job: id=([^,]+),", miner.text()))) > 3, "was given no further job")
    return "official jobs, 3 proofs that the official node verified"


OFFICIAL_MINER = {
    "mining": official_mines, "files of the node": official_files, "wrong token": official_wrong_token,
    "wrong pin": official_wrong_pin, "node restarts": official_returns, "shares": official_shares,
    "corruption": official_relayed("--corrupt", 5, "--delay", 5), "long RTT": official_relayed("--delay", 100),
    "loss": official_relayed("--loss", 5, "--delay", 5), "rebind": official_relayed("--rebind-after", 3000),
}
OFFICIAL_V1 = {"mining, v1": v1_mines, "v1 not allowed": v1_refused}
OFFICIAL_NODE = {
    "mining": our_miner_for_official_node, "wrong token": our_miner_wrong_token,
    "node behind node": our_node_behind_official_node, "second source": second_source,
    "official miner, our node, official node": official_miner_behind_our_node,
}
PROGRAMS = {
    "OpenSSL": {"handshake": openssl_handshake, "key update": openssl_key_update, "wrong ALPN": openssl_wrong_alpn,
                "classical refused": openssl_classical, "pq-only": openssl_pq_only, "long RTT": openssl_relayed("--delay", 300),
                "amplification limit": openssl_relayed("--delay", 20, "--split-first", 50),
                "loss": openssl_relayed("--loss", 10, "--seed", 3, "--delay", 5),
                "corruption": openssl_relayed("--corrupt", 10, "--seed", 4, "--delay", 5),
                "duplicates": openssl_relayed("--duplicate", 3), "MTU of 1200": openssl_relayed("--mtu", 1200)},
    "curl": {"wrong ALPN": curl_wrong_alpn},
}
