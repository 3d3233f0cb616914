"""Programs of a case: started, waited for with a bound, and ended with it.

Peers run inside the tree of Debian unstable, pqlink and the relay outside of it; both see the directory
of the case, under its two names.
"""
import collections
import hashlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import threading
import time

# The longest that anything is waited for: only a broken program reaches it.
WAIT_S = 30
POLL_S = 0.02


class Failed(Exception):
    """The case failed, and why."""


class Skipped(Exception):
    """The case cannot be run here, and why."""


def check(holds, sentence):
    if not holds:
        raise Failed(sentence)


class World:
    """What all cases share: where the programs are, and the certificates of foreign servers."""

    def __init__(self, tree, pqlink, relay):
        self.tree, self.pqlink, self.relay = pathlib.Path(tree), pathlib.Path(pqlink), pathlib.Path(relay)
        self.base = self.tree / "run" / f"interop-{os.getpid()}"
        self.base.mkdir(mode=0o700, parents=True)
        self.help = {}

    def inside(self, path):
        """The name that a program in the tree knows a path by."""
        return "/" + str(pathlib.Path(path).relative_to(self.tree))

    def in_tree(self, *command):
        return ["chroot", str(self.tree), *map(str, command)]

    def ask(self, *command):
        """What a program of the tree prints, both streams; empty when it is not there."""
        done = subprocess.run(self.in_tree(*command), capture_output=True, text=True, timeout=WAIT_S)
        return done.stdout + done.stderr

    def option_of(self, subcommand, option):
        """Whether this pqlink has the option."""
        if subcommand not in self.help:
            self.help[subcommand] = subprocess.run([self.pqlink, subcommand, "--help"], capture_output=True,
                                                   text=True, timeout=WAIT_S).stdout
        return re.search(rf"^  {re.escape(option)}\b", self.help[subcommand], re.MULTILINE) is not None

    def make_certificates(self):
        """A self-signed leaf of each kind, as PEM for servers and as DER for the shims."""
        kinds = {"ecdsa": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"], "ml-dsa-87": ["-newkey", "mldsa87"]}
        for kind, key in kinds.items():
            at = self.base / kind
            name = self.inside(at)
            self.openssl("req", "-x509", *key, "-noenc", "-keyout", f"{name}.key.pem", "-out", f"{name}.crt.pem",
                         "-days", "30", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost")
            self.openssl("x509", "-in", f"{name}.crt.pem", "-outform", "DER", "-out", f"{name}.crt")
            self.openssl("pkcs8", "-topk8", "-nocrypt", "-in", f"{name}.key.pem", "-outform", "DER",
                         "-out", f"{name}.key", "-provparam", "ml-dsa.output_formats=seed-only")

    def openssl(self, *words):
        done = subprocess.run(self.in_tree("openssl", *words), capture_output=True, text=True, timeout=WAIT_S)
        if done.returncode:
            raise RuntimeError(f"openssl {' '.join(words)}: {done.stderr}")
        return done.stdout

    def leaf_hash(self, kind):
        return hashlib.sha256((self.base / f"{kind}.crt").read_bytes()).hexdigest()

    def clean(self):
        shutil.rmtree(self.base, ignore_errors=True)


class Program:
    """One running program; what it prints goes to files, and its events are JSON lines."""

    def __init__(self, name, command, directory, stdin=subprocess.DEVNULL, environment=None):
        self.name = name
        self.out, self.err = directory / f"{name}.out", directory / f"{name}.err"
        with open(self.out, "wb") as out, open(self.err, "wb") as err:
            # In a group of its own, so that what it starts ends with it.
            self.process = subprocess.Popen([str(word) for word in command], stdin=stdin, stdout=out, stderr=err,
                                            env={**os.environ, **(environment or {})}, process_group=0)

    def text(self):
        return self.out.read_text(errors="replace") + self.err.read_text(errors="replace")

    def events(self, name=None):
        found = []
        for line in self.text().splitlines():
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if isinstance(event, dict) and (name is None or event.get("event") == name):
                found.append(event)
        return found

    def tail(self):
        """The last that it said, for the table."""
        lines = [line for line in self.text().splitlines() if line.strip()]
        return lines[-1][:300] if lines else "it said nothing"

    def wait_event(self, name, count=1, seconds=WAIT_S):
        self.wait(lambda: len(self.events(name)) >= count, f"never said {name} ({count} times)", seconds)
        return self.events(name)[count - 1]

    def wait(self, holds, complaint, seconds=WAIT_S):
        end = time.monotonic() + seconds
        while not holds():
            ended = self.process.poll()
            if ended is not None and not holds():
                raise Failed(f"{self.name} ended with {ended} and {complaint}; it said last: {self.tail()}")
            if time.monotonic() > end:
                raise Failed(f"{self.name} {complaint} in {seconds} s; it said last: {self.tail()}")
            time.sleep(POLL_S)

    def finish(self, seconds=WAIT_S):
        """Its exit status, once it ended by itself."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failed(f"{self.name} did not end in {seconds} s; it said last: {self.tail()}") from None

    def kill(self):
        """Ends it and what it has started."""
        if self.process.poll() is None:  # else its number may be somebody else's by now
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self, with_signal=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(with_signal)
            try:
                return self.process.wait(WAIT_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
        return self.process.wait()


Shim = collections.namedtuple("Shim", "name command groups")


class Scene:
    """One case: its directory, and the programs that end with it."""

    numbers = iter(range(1 << 30))
    numbers_lock = threading.Lock()

    def __init__(self, world):
        with Scene.numbers_lock:
            number = next(Scene.numbers)
        self.world, self.directory = world, world.base / str(number)
        self.directory.mkdir(mode=0o700)
        self.programs, self.names = [], collections.Counter()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for program in reversed(self.programs):
            program.kill()

    def run(self, name, command, **more):
        self.names[name] += 1
        unique = name if self.names[name] == 1 else f"{name}-{self.names[name]}"
        program = Program(unique, command, self.directory, **more)
        self.programs.append(program)
        return program

    def node(self, *options, difficulty=1, port=0, admin="off", source="dev"):
        """Our node; its port, its pins and its directory are attributes."""
        state = self.directory / "node"
        chain = ["--source", source, "--difficulty", difficulty] if source else []
        node = self.run("node", [self.world.pqlink, "node", "--dir", state, "--listen", f"quic://127.0.0.1:{port}",
                                 "--admin", admin, "--workers", 1, "--log-format", "json", "--log-level", "debug",
                                 *chain, *options])
        listening = node.wait_event("listening")
        node.port, node.state = listening["port"], state
        shown = json.loads(subprocess.run([self.world.pqlink, "fingerprint", "--dir", state, "--json"],
                                          capture_output=True, text=True, timeout=WAIT_S, check=True).stdout)
        node.shown = shown
        node.pq_pin = listening["fingerprint"].removeprefix("sha256:")
        return node

    def miner(self, port, pin, *options, scheme="quic"):
        """Our miner, for a foreign node."""
        return self.run("mine", [self.world.pqlink, "mine", "--node", f"{scheme}://127.0.0.1:{port}", "--pin",
                                 f"sha256:{pin}", "--threads", 1, "--admin", "off", "--log-format", "json", *options])

    def probe(self, port, *options):
        """What our prober says of a server."""
        prober = self.run("fingerprint", [self.world.pqlink, "fingerprint", "--remote", f"quic://127.0.0.1:{port}",
                                          "--json", *options])
        status = prober.finish()
        check(status == 0, f"the prober ended with {status}: {prober.tail()}")
        return json.loads(prober.out.read_text())

    def relayed(self, port, *options):
        """A port in front of another, with a network in between; see tests/relay."""
        stats = self.directory / f"relay-{port}.json"
        relay = self.run("relay", [self.world.relay, "--listen", "127.0.0.1:0", "--to", f"127.0.0.1:{port}",
                                   "--stats", stats, *options])
        relay.wait(lambda: "port " in relay.out.read_text(), "never said its port")
        relay.port = int(re.search(r"port (\d+)", relay.out.read_text()).group(1))
        relay.stats_file = stats
        return relay

    def relay_stats(self, relay):
        relay.stop()
        return json.loads(relay.stats_file.read_text())

    def shim(self, shim, role, stdin=subprocess.DEVNULL, **options):
        """A foreign stack in a role, with `a_b=c` for `--a-b c`."""
        words = []
        for name, value in options.items():
            words += [f"--{name.replace('_', '-')}", value]
        trace = self.directory / "qlog"
        trace.mkdir(exist_ok=True)
        return self.run(shim.name, self.world.in_tree(*shim.command, role, *words), stdin=stdin,
                        environment={"QLOGDIR": self.world.inside(trace)})

    def serve(self, shim, kind, **options):
        """A foreign node with a certificate of the kind; its port is an attribute."""
        at = self.world.inside(self.world.base / kind)
        server = self.shim(shim, "server", cert=f"{at}.crt", key=f"{at}.key", **options)
        server.port = server.wait_event("listening")["port"]
        return server

    def traces(self):
        """The qlog traces of quic-go in this case, as one text."""
        return "".join(path.read_text(errors="replace") for path in (self.directory / "qlog").glob("*"))
