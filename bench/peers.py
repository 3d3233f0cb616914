#!/usr/bin/env python3
"""Our figures beside those of programs that we did not write, in the same run.

usage: bench/peers.py [--programs DIR] [--peers DIR] [--runs N] [--only NAME[,NAME...]]

Prints one JSON object per line.  NAME is one of round_trip, handshake_load, openssl, hash_rate.  The
programs of this project are in DIR (default: build/release).  Peers come from a tree of Debian
unstable (default: the one that `make interop` keeps in its cache), which only root can enter.  A peer
that is not there gives a line with "absent", never silence.
"""
import argparse
import base64
import contextlib
import glob
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

SOURCES = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LOSSES = (0, 1, 3)
DELAY_MS = 50
# Between two starts of curl, which needs a good part of a core just to start.
CURL_EVERY_S = 0.05
WAIT_S = 20


class Absent(Exception):
    """A peer that cannot be measured here; the text says why."""


def emit(row):
    print(json.dumps(row), flush=True)


def note(text):
    print(f"# {text}", file=sys.stderr, flush=True)


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def run(words, timeout=600, **more):
    done = subprocess.run(words, capture_output=True, text=True, timeout=timeout, check=False, **more)
    if done.returncode != 0:
        raise Absent(f"{os.path.basename(words[0])} failed: {(done.stderr or done.stdout).strip()[-300:]}")
    return done.stdout


@contextlib.contextmanager
def process(words, **more):
    child = subprocess.Popen(words, start_new_session=True, **more)
    try:
        yield child
    finally:
        # Ours alone: the session that was made for it.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGTERM)
        try:
            child.wait(5)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()


def wait_until(condition, what):
    end = time.monotonic() + WAIT_S
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise Absent(f"{what} did not start")


class Peers:
    """The tree of Debian unstable, with a directory in it for this run."""

    def __init__(self, root):
        self.root = root
        self.inside = None

    def find(self):
        if self.inside is not None:
            return
        if not self.root or not os.path.exists(os.path.join(self.root, "usr/bin/openssl")):
            raise Absent("no tree of Debian unstable with peers: run tests/interop/setup.sh as root, or name one with --peers")
        if os.geteuid() != 0:
            raise Absent("only root can enter the tree of peers")
        self.inside = tempfile.mkdtemp(prefix="pqlink-bench-", dir=os.path.join(self.root, "tmp"))
        os.chmod(self.inside, 0o755)

    def close(self):
        if self.inside is not None:
            shutil.rmtree(self.inside, ignore_errors=True)

    def path(self, name):
        """The path of a file of this run, as seen inside."""
        return os.path.join("/tmp", os.path.basename(self.inside), name)

    def words(self, *words):
        self.find()
        return ["chroot", self.root, "/usr/bin/env", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", *words]

    def has(self, path):
        self.find()
        return os.path.exists(os.path.join(self.root, path.lstrip("/")))

    def version(self, *words):
        self.find()
        done = subprocess.run(self.words(*words), capture_output=True, text=True, check=False)
        found = re.search(r"\d+\.\d+(\.\d+)?", done.stdout + done.stderr)
        return found.group(0) if found else "?"


def self_signed(peers):
    """An ML-DSA-87 certificate as anybody makes it; (certificate, key, what it is)."""
    peers.find()
    if not os.path.exists(os.path.join(peers.inside, "own-cert.pem")):
        run(peers.words("openssl", "req", "-x509", "-newkey", "mldsa87", "-nodes", "-subj", "/CN=localhost",
                        "-days", "30", "-keyout", peers.path("own-key.pem"), "-out", peers.path("own-cert.pem")))
    return peers.path("own-cert.pem"), peers.path("own-key.pem"), "ML-DSA-87, self-signed"


def compact(peers, programs):
    """A certificate of ours, for a server that is not."""
    peers.find()
    if not os.path.exists(os.path.join(peers.inside, "compact-cert.pem")):
        with tempfile.TemporaryDirectory() as directory:
            run([os.path.join(programs, "src/cmd/pqlink"), "keygen", "--dir", os.path.join(directory, "id")])
            for kind in ("cert", "key"):
                shutil.copy(os.path.join(directory, "id/identity", f"pq-{kind}.pem"),
                            os.path.join(peers.inside, f"compact-{kind}.pem"))
    return peers.path("compact-cert.pem"), peers.path("compact-key.pem"), "ML-DSA-87, compact leaf"


NGINX = """
user root;
worker_processes 1;
daemon off;
pid {here}/nginx.pid;
error_log {here}/error.log notice;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    server {{
        listen 127.0.0.1:{port} quic reuseport;
        http3 on;
        ssl_protocols TLSv1.3;
        ssl_certificate {certificate};
        ssl_certificate_key {key};
        ssl_session_tickets off;
        location / {{ return 200 "here"; }}
    }}
}}
"""


def children(pid):
    found = []
    for path in glob.glob(f"/proc/{pid}/task/*/children"):
        with contextlib.suppress(OSError), open(path, encoding="ascii") as f:
            found += [int(word) for word in f.read().split()]
    return found


@contextlib.contextmanager
def nginx(peers, certificate, key):
    """(port, pid of the worker)"""
    if not peers.has("/usr/sbin/nginx"):
        raise Absent("nginx is not in the tree of peers")
    port = free_port()
    with open(os.path.join(peers.inside, "nginx.conf"), "w", encoding="ascii") as f:
        f.write(NGINX.format(here=peers.path(""), port=port, certificate=certificate, key=key))
    with process(peers.words("nginx", "-c", peers.path("nginx.conf")), stdout=subprocess.DEVNULL,
                 stderr=subprocess.DEVNULL) as child:
        def worker():
            if child.poll() is not None:
                with contextlib.suppress(OSError), open(os.path.join(peers.inside, "error.log"), encoding="utf-8") as f:
                    raise Absent("nginx ended: " + f.read()[-300:])
                raise Absent("nginx ended")
            return children(child.pid)
        workers = wait_until(worker, "nginx")
        time.sleep(0.3)  # its worker has the socket already, and now its configuration too
        yield port, workers[0]


# ---- First contact ----


def summary(times):
    times = sorted(times)
    def at(share):
        return round(times[int((len(times) - 1) * share + 0.5)], 1)
    return {"p50_ms": at(0.5), "p95_ms": at(0.95), "p99_ms": at(0.99), "max_ms": at(1)}


@contextlib.contextmanager
def relay(programs, to, loss):
    words = [os.path.join(programs, "tests/relay/udp_relay"), "--listen", "127.0.0.1:0", "--to", to,
             "--delay", str(DELAY_MS), "--loss", str(loss)]
    with process(words, stdout=subprocess.PIPE, text=True) as child:
        yield int(child.stdout.readline().split()[1])


def curl_times(peers, port, runs):
    """Milliseconds until curl's handshake was done; None for each that failed."""
    if not peers.has("/usr/bin/curl"):
        raise Absent("curl is not in the tree of peers")
    words = peers.words("curl", "--http3-only", "-k", "-s", "-m", "20", "-o", "/dev/null", "-w", "%{time_appconnect}",
                        f"https://127.0.0.1:{port}/")
    times = []
    def one():
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        times.append(float(done.stdout) * 1000 if done.returncode == 0 else None)
    threads = [threading.Thread(target=one) for _ in range(runs)]
    for thread in threads:
        thread.start()
        time.sleep(CURL_EVERY_S)
    for thread in threads:
        thread.join()
    return times


def measure_ours(programs, runs, relay_options, *more):
    words = [os.path.join(programs, "bench/bench_round_trip"), "--runs", str(runs), *more, "--",
             "--delay", str(DELAY_MS), *relay_options]
    return json.loads(run(words))


def row(base, loss, measured):
    return {"bench": "round_trip", **base, "rtt_ms": 2 * DELAY_MS, "loss_percent": loss,
            **{k: v for k, v in measured.items() if k != "bench"}}


def round_trip_nginx(peers, programs, runs, certificate):
    path, key, what = certificate
    version = f"nginx {peers.version('nginx', '-v')}"
    base = {"server": version, "certificate": what}
    with nginx(peers, path, key) as (port, _):
        there = ("--to", f"127.0.0.1:{port}", "--alpn", "h3")
        for loss in LOSSES:
            lossy = ("--loss", str(loss))
            emit(row({"client": "pqlink", **base}, loss, measure_ours(programs, runs, lossy, *there)))
            emit(row({"client": "pqlink, first flight once", **base}, loss,
                     measure_ours(programs, runs, (*lossy, "--once"), *there)))
            client = {"client": f"curl {peers.version('curl', '-V')}", **base}
            try:
                with relay(programs, f"127.0.0.1:{port}", loss) as relay_port:
                    times = curl_times(peers, relay_port, runs)
                good = [t for t in times if t is not None]
                if not good:
                    raise Absent("no handshake of curl's was finished")
                emit(row(client, loss, {"runs": len(times), "failed": len(times) - len(good), **summary(good)}))
            except Absent as why:
                emit(row(client, loss, {"absent": str(why)}))


def bytes_of_one(programs, *more):
    """What one link costs on the wire, opened and closed at once: UDP payload each way."""
    with tempfile.TemporaryDirectory() as directory:
        stats = os.path.join(directory, "stats.json")
        measure_ours(programs, 1, ("--stats", stats), *more)
        wait_until(lambda: os.path.exists(stats) and os.path.getsize(stats) > 0, "the relay")
        with open(stats, encoding="ascii") as f:
            seen = json.load(f)
    return {"to_server_bytes": seen["to_server"]["bytes"], "to_client_bytes": seen["to_client"]["bytes"]}


def round_trip(peers, programs, runs):
    ours = {"client": "pqlink", "server": "pqlink", "certificate": "ML-DSA-87, compact leaf"}
    once = {**ours, "client": "pqlink, first flight once"}
    mutual = {**ours, "client": "pqlink, mutual", "certificate": "ML-DSA-87, compact leaves"}
    for loss in LOSSES:
        lossy = ("--loss", str(loss))
        emit(row(ours, loss, measure_ours(programs, runs, lossy)))
        emit(row(once, loss, measure_ours(programs, runs, (*lossy, "--once"))))
        emit(row(mutual, loss, measure_ours(programs, runs, lossy, "--mutual")))
    emit({"bench": "handshake_bytes", "mutual": False, **bytes_of_one(programs)})
    emit({"bench": "handshake_bytes", "mutual": True, **bytes_of_one(programs, "--mutual")})
    for make in (lambda: self_signed(peers), lambda: compact(peers, programs)):
        try:
            round_trip_nginx(peers, programs, runs, make())
        except Absent as why:
            emit({"bench": "round_trip", "client": "pqlink", "server": "nginx", "absent": str(why)})


# ---- Handshakes per second of a server's CPU ----


def load(programs, *more):
    return json.loads(run([os.path.join(programs, "bench/bench_handshake_load"), *more]))


def der_of(path):
    """A PEM file as DER, beside it."""
    with open(path, encoding="ascii") as f:
        body = re.search(r"-----BEGIN [^-]+-----(.*?)-----END", f.read(), re.S).group(1)
    with open(path + ".der", "wb") as f:
        f.write(base64.b64decode(body))
    return path + ".der"


def cache():
    """Where our servers on top of others' libraries are built."""
    base = os.environ.get("PQLINK_CACHE") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "pqlink")
    directory = os.path.join(base, "bench-peers")
    os.makedirs(directory, exist_ok=True)
    return directory


def build_quinn(_peers):
    if shutil.which("cargo") is None:
        raise Absent("cargo is not in the PATH")
    run(["cargo", "build", "--release", "--locked", "--manifest-path",
         os.path.join(SOURCES, "bench/peers/quinn/Cargo.toml")],
        env={**os.environ, "CARGO_TARGET_DIR": os.path.join(cache(), "quinn")})
    return os.path.join(cache(), "quinn/release/load-quinn")


def build_quicgo(peers):
    """With the Go of the tree, which knows ML-DSA; the machine's may be older."""
    if not peers.has("/usr/bin/go"):
        raise Absent("Go is not in the tree of peers")
    directory = os.path.join(peers.inside, "quicgo")
    binary = os.path.join(cache(), "load-quicgo")
    shutil.copytree(os.path.join(SOURCES, "bench/peers/quicgo"), directory)
    environment = ["HOME=/root", "GOTOOLCHAIN=local", "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false"]
    environment += [f"{name}={os.environ[name]}" for name in ("GOPROXY", "GONOSUMDB", "http_proxy", "https_proxy")
                    if name in os.environ]
    roots = os.environ.get("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt")
    if os.path.exists(roots):
        shutil.copy(roots, os.path.join(directory, "roots.pem"))
        environment.append("SSL_CERT_FILE=" + peers.path("quicgo/roots.pem"))
    # Go wants /dev/null; both mounts go away with the namespace.
    run(["unshare", "--mount", "--", "sh", "-c",
         'mount -t proc proc "$0/proc" && mount --rbind /dev "$0/dev" && exec "$@"', peers.root,
         *peers.words("env", *environment, "sh", "-c", f"cd {peers.path('quicgo')} && go build -o load-quicgo .")])
    shutil.copy(os.path.join(directory, "load-quicgo"), binary)
    return binary


@contextlib.contextmanager
def shim(binary, certificate, key):
    """(port, pid)"""
    words = [binary, der_of(certificate), der_of(key), "pqlink-bench/1"]
    with process(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as child:
        first = child.stdout.readline().split()
        if len(first) != 2:
            raise Absent(f"{os.path.basename(binary)} did not start")
        yield int(first[1]), child.pid


def load_servers(peers, programs):
    """(name, context manager that gives port and pid, ALPN) of each other server; a text instead of
    the last two where it is absent."""
    def beside(name, make):
        try:
            return (name, *make())
        except Absent as why:
            return (name, str(why), None)
    def leaf(kind):
        return os.path.join(peers.inside, f"compact-{kind}.pem")
    def of_nginx():
        path, key, _ = compact(peers, programs)
        peers.version("nginx", "-v")
        return lambda: nginx(peers, path, key), "h3"
    def of_shim(build):
        compact(peers, programs)
        binary = build(peers)
        return lambda: shim(binary, leaf("cert"), leaf("key")), "pqlink-bench/1"
    return [beside("nginx", of_nginx), beside("quinn with rustls", lambda: of_shim(build_quinn)),
            beside("quic-go", lambda: of_shim(build_quicgo))]


def handshake_load(peers, programs, rounds=3):
    """The servers in turn, |rounds| times, so that a noisy minute does not hit one of them only."""
    servers = load_servers(peers, programs)
    rows = {}
    for _ in range(rounds):
        rows.setdefault("pqlink", []).append(load(programs))
        rows.setdefault("pqlink, mutual", []).append(load(programs, "--mutual"))
        rows.setdefault("pqlink, key process", []).append(load(programs, "--key-process"))
        for name, make, alpn in servers:
            try:
                if alpn is None:
                    raise Absent(make)
                with make() as (port, pid):
                    measured = load(programs, "--to", str(port), "--alpn", alpn, "--pid", str(pid))
            except Absent as why:
                measured = {"absent": str(why)}
            rows.setdefault(name, []).append(measured)
    for server, measured in rows.items():
        good = sorted((m for m in measured if "absent" not in m), key=lambda m: m["per_cpu_second"])
        emit({**(good[len(good) // 2] if good else measured[0]), "bench": "handshake_load", "server": server,
              "certificate": "ML-DSA-87, compact leaf"})


# ---- OpenSSL's TLS ----

OPENSSL = """
import json, ssl, sys, time
certificate, key, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
server.minimum_version = ssl.TLSVersion.TLSv1_3
server.num_tickets = 0
server.load_cert_chain(certificate, key)
client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
client.minimum_version = ssl.TLSVersion.TLSv1_3
client.check_hostname = False
client.verify_mode = ssl.CERT_NONE

def handshake():
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    near = client.wrap_bio(to_client, to_server, server_hostname="localhost")
    begun = time.thread_time_ns()
    far = server.wrap_bio(to_server, to_client, server_side=True)
    spent = time.thread_time_ns() - begun
    done = {near: False, far: False}
    while not all(done.values()):
        for end in (near, far):
            begun = time.thread_time_ns()
            try:
                end.do_handshake()
                done[end] = True
            except ssl.SSLWantReadError:
                pass
            if end is far:
                spent += time.thread_time_ns() - begun
    return spent, far.cipher()[0]

handshake()
total, cipher = 0, ""
for _ in range(count):
    spent, cipher = handshake()
    total += spent
print(json.dumps({"library": ssl.OPENSSL_VERSION, "cipher": cipher, "count": count,
                  "per_cpu_second": round(count * 1e9 / total)}))
"""


def openssl(peers, _programs):
    """Through Python's ssl module over memory buffers: the server's calls alone, some microseconds of
    Python's in each handshake."""
    base = {"bench": "openssl_tls", "transport": "TLS in memory", "certificate": "ML-DSA-87, self-signed"}
    try:
        if not peers.has("/usr/bin/python3"):
            raise Absent("python3 is not in the tree of peers")
        path, key, _ = self_signed(peers)
        emit({**base, **json.loads(run(peers.words("python3", "-I", "-c", OPENSSL, path, key, "500")))})
    except Absent as why:
        emit({**base, "absent": str(why)})


# ---- Hashes ----


def official_rate(program, seconds):
    """Hashes per second of CPU time of one worker: its count, by what the kernel says it used."""
    before = os.times()
    text = run([program, "benchmark", "--cpu-workers", "1", "--gpu-devices", "0", "--duration", str(seconds)])
    after = os.times()
    hashes = re.search(r"Total hashes: (\d+)", text)
    if hashes is None:
        raise Absent("quantus-miner said something else than before: " + text[-200:])
    spent = after.children_user - before.children_user + after.children_system - before.children_system
    return round(int(hashes.group(1)) / spent)


def hash_rate(_peers, programs, rounds=3):
    """The official miner's own benchmark beside ours, one thread each, in turn."""
    official = os.environ.get("QUANTUS_MINER") or shutil.which("quantus-miner")
    rates = {}
    absent = None if official else "quantus-miner is not in the PATH; QUANTUS_MINER names another place"
    for _ in range(rounds):
        ours = json.loads(run([os.path.join(programs, "bench/bench_pow"), "3", "1"]))
        for result in ours["results"]:
            rates.setdefault(f"pqlink, {result['backend']}", []).append(round(result["hashes_per_cpu_second"]))
        if absent is None:
            try:
                rates.setdefault("quantus-miner (official)", []).append(official_rate(official, 4))
            except Absent as why:
                absent = str(why)
    for program, values in rates.items():
        emit({"bench": "hash_rate", "program": program, "threads": 1,
              "hashes_per_cpu_second": sorted(values)[len(values) // 2]})
    if absent is not None:
        emit({"bench": "hash_rate", "program": "quantus-miner (official)", "absent": absent})


NAMES = {"handshake_load": handshake_load, "openssl": openssl, "hash_rate": hash_rate}


def default_peers():
    script = os.path.join(SOURCES, "tests/interop/setup.sh")
    if not os.path.exists(script):
        return None
    return os.path.join(subprocess.run([script, "--print-directory"], capture_output=True, text=True,
                                       check=True).stdout.strip(), "root")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", default=os.path.join(SOURCES, "build/release"))
    parser.add_argument("--peers", default=os.environ.get("PQLINK_PEERS"))
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--only", default="round_trip,handshake_load,openssl,hash_rate")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was started ends as well
    peers = Peers(options.peers or default_peers())
    try:
        for name in options.only.split(","):
            note(name)
            if name == "round_trip":
                round_trip(peers, options.programs, options.runs)
            else:
                NAMES[name](peers, options.programs)
    finally:
        peers.close()


if __name__ == "__main__":
    main()
