#!/usr/bin/env python3
"""Foreign peers against pqlink: runs every case, prints a line for each, and writes docs/interop.md.

usage: run.py [--tree DIR] [--build DIR] [--peers A,B] [--cases A,B] [--jobs N] [--json FILE] [--page FILE]

QUANTUS_MINER and QUANTUS_NODE name the official programs, where they are to be tried too; QUANTUS_MINER_V1 one or
more official miners before v4, with a colon between them.
"""
import argparse
import concurrent.futures
import itertools
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import time

import client_cases
import link_cases
import matrix_cases
import program_cases
import report
import server_cases
from harness import Failed, Scene, Shim, Skipped, World

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
INSIDE = "PQLINK_INTEROP_INSIDE"

AT_NODE, AT_PEER, PROBED = "foreign miner, our node", "our miner, foreign node", "our prober"
LINK_AT_US, LINK_AT_THEM = "foreign client, our listener", "our link, foreign server"
MATRIX_AT_US, MATRIX_AT_THEM = "policies, foreign client", "policies, foreign server"

SHIMS = {
    "quinn": Shim("quinn", ["/opt/peers/peer-quinn"], ("pq", "classical")),
    "quic-go": Shim("quic-go", ["/opt/peers/peer-quicgo"], ("pq", "classical")),
    "aioquic": Shim("aioquic", ["python3", "/opt/peers/peer_aioquic.py"], ("classical",)),
}


class Place(World):
    """The network namespace and the tree of this run."""

    def __init__(self, arguments):
        build = pathlib.Path(arguments.build)
        super().__init__(arguments.tree, build / "src/cmd/pqlink", build / "tests/relay/udp_relay")
        self.shims = {name: shim for name, shim in SHIMS.items() if (self.tree / shim.command[-1][1:]).exists()}
        self.link_peer = build / "tests/interop/link_peer"
        self.quantus_miner = os.environ.get("QUANTUS_MINER")
        self.quantus_node = os.environ.get("QUANTUS_NODE")
        self.v1_miners = [one for one in os.environ.get("QUANTUS_MINER_V1", "").split(":") if one]
        self.given = set()

    def shim(self, name):
        """For cases that need a second peer."""
        if name not in self.shims:
            raise Skipped(f"the {name} peer was not built")
        return self.shims[name]

    def free_port(self):
        """A port that nobody has, for programs that cannot be asked which one they took."""
        while True:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                probe.bind(("127.0.0.1", 0))
                port = probe.getsockname()[1]
            if port not in self.given:
                self.given.add(port)
                return port

    def mark_congestion(self, port):
        rules = (f"add table ip m{port}; add chain ip m{port} c {{ type filter hook output priority 0; }}; "
                 f"add rule ip m{port} c udp dport {port} ip ecn set ce; "
                 f"add rule ip m{port} c udp sport {port} ip ecn set ce")
        done = subprocess.run(self.in_tree("nft", rules), capture_output=True, text=True, check=False)
        if done.returncode:
            raise Skipped(f"this kernel sets no congestion marks: {done.stderr.strip().splitlines()[0]}")

    def versions(self):
        def first(pattern, *command):
            found = re.search(pattern, self.ask(*command))
            return found.group(1) if found else "not there"
        crates = (HERE / "peers/quinn/Cargo.lock").read_text()
        modules = (HERE / "peers/quicgo/go.mod").read_text()

        def crate(name):
            return re.search(rf'name = "{name}"\nversion = "([^"]+)"', crates).group(1)
        ours = subprocess.run([self.pqlink, "version"], capture_output=True, text=True, check=True).stdout
        found = {
            "pqlink": ours.splitlines()[0],
            "quinn": f"quinn {crate('quinn')}, quinn-proto {crate('quinn-proto')}, rustls {crate('rustls')}, "
                     f"aws-lc-rs {crate('aws-lc-rs')}",
            "quic-go": "quic-go " + re.search(r"quic-go v(\S+)", modules).group(1) + ", Go " +
                       first(r"go(\d\S+)", "go", "version"),
            "aioquic": first(r"(\S+)", "python3", "-c", "import aioquic; print(aioquic.__version__)"),
            "OpenSSL": first(r"OpenSSL (\S+)", "openssl", "version"),
            "curl": first(r"curl (\S+)", "curl", "--version"),
            "nginx": first(r"nginx/(\S+)", "nginx", "-v"),
            "HAProxy": first(r"version (\S+)", "haproxy", "-v"),
        }
        for name, programs in (("quantus-miner", [self.quantus_miner, *self.v1_miners]),
                               ("quantus-node", [self.quantus_node])):
            shown = [subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout.strip()
                     for program in programs if program]
            found[name] = ", ".join(shown) or "not given"
        return found


def check_programs(place):
    for name in ("QUANTUS_MINER", "QUANTUS_MINER_V1", "QUANTUS_NODE"):
        for program in filter(None, os.environ.get(name, "").split(":")):
            if not os.access(program, os.X_OK):
                sys.exit(f"interop: {name} names {program}, which is no program that can be run.")
    for program in (place.pqlink, place.relay, place.link_peer):
        if not os.access(program, os.X_OK):
            sys.exit(f"interop: {program} is not there: run `make interop`, which builds it.")


def version_of(program):
    """The last word of what an official program says of its version, without a commit."""
    shown = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    return (shown.split() or ["unknown"])[-1].split("+")[0]


def skipper(reason):
    def case(*_):
        raise Skipped(reason)
    return case


def shim_rows():
    """(peer, role, case, function) of quinn, quic-go and aioquic."""
    nodes, miners = client_cases, server_cases
    for name, shim in SHIMS.items():
        pq = "pq" in shim.groups
        dialects = [("", nodes.PQ)] if pq else []
        dialects += [(" classical", nodes.V2)] if pq else [("", nodes.V2)]
        for suffix, dialect in dialects:
            for case, function in nodes.CASES.items():
                yield name + suffix, AT_NODE, case, (function, shim, dialect)
        classical = name + (" classical" if pq else "")
        yield classical, AT_NODE, "wrong token", (nodes.wrong_token, shim, nodes.V2)
        yield classical, AT_NODE, "mining, v1", (nodes.mining, shim, nodes.V1)
        yield name, AT_NODE, "classical refused", (nodes.classical_refused, shim, nodes.PQ)
        yield name, AT_NODE, "pq-only", (nodes.pq_only, shim, nodes.PQ)
        upstreams = [("", miners.PQ), (" ECDSA", miners.PQ_KEM)] if pq else []
        upstreams += [(" classical" if pq else "", miners.V2)]
        for suffix, upstream in upstreams:
            cases = miners.CASES if upstream is not miners.PQ_KEM else {"classical leaf refused": miners.leaf_refused}
            for case, function in cases.items():
                yield (name if upstream is miners.PQ_KEM else name + suffix), AT_PEER, case, (function, shim, upstream)
            yield name + suffix, PROBED, "handshake", (miners.probe_shim, shim, upstream)
        yield classical, AT_PEER, "wrong token", (miners.wrong_token, shim, miners.V2)


def link_rows():
    """What miner links do without: resumption and client certificates."""
    nodes, miners, links = client_cases, server_cases, link_cases
    for name, shim in SHIMS.items():
        pq = "pq" in shim.groups
        classical = name + (" classical" if pq else "")
        for peer, dialect in [(name, nodes.PQ), (classical, nodes.V2)] if pq else [(name, nodes.V2)]:
            for case, function in links.AT_US.items():
                yield peer, LINK_AT_US, case, (function, shim, dialect)
        yield classical, LINK_AT_US, "weak ticket", (links.weak_resumption_at_us, shim, nodes.V2)
        for peer, upstream in [(name, miners.PQ), (classical, miners.V2)] if pq else [(name, miners.V2)]:
            for case, function in links.AT_THEM.items():
                yield peer, LINK_AT_THEM, case, (function, shim, upstream)
    yield "quic-go", LINK_AT_THEM, "mutual", (links.mutual_at_them, SHIMS["quic-go"], miners.PQ)


def matrix_rows():
    """(peer, role, case, shim or None, function of a scene)."""
    for role, found in ((MATRIX_AT_US, matrix_cases.at_us), (MATRIX_AT_THEM, matrix_cases.at_them)):
        for peer, case, shim, function in found(SHIMS.values()):
            yield peer, role, case, shim, function


def rows(place):
    """Every case: (peer, role, case, function of a scene)."""
    for peer, role, case, (function, shim, how) in itertools.chain(shim_rows(), link_rows()):
        if shim.name in place.shims:
            yield peer, role, case, lambda scene, f=function, s=shim, h=how: f(scene, s, h)
        else:
            yield peer, role, case, skipper(f"the {shim.name} peer was not built")
    for peer, role, case, shim, function in matrix_rows():
        missing = shim is not None and shim.name not in place.shims
        yield peer, role, case, skipper(f"the {shim.name} peer was not built") if missing else function
    for peer, cases in program_cases.PROGRAMS.items():
        for case, function in cases.items():
            yield peer, AT_NODE, case, function
    for peer, function in link_cases.WEB.items():
        yield peer, LINK_AT_THEM, "resumption", function
    for peer, cases in server_cases.PROBED.items():
        for case, function in cases.items():
            yield peer, PROBED, case, function
    for case, function in program_cases.OFFICIAL_MINER.items():
        yield "quantus-miner", AT_NODE, case, (
            function if place.quantus_miner else skipper("QUANTUS_MINER names no official miner"))
    for program in place.v1_miners:
        for case, function in program_cases.OFFICIAL_V1.items():
            yield f"quantus-miner {version_of(program)}", AT_NODE, case, function(program)
    for case, function in program_cases.OFFICIAL_NODE.items():
        yield "quantus-node", AT_PEER, case, (
            function if place.quantus_node else skipper("QUANTUS_NODE names no official node"))


def run_case(place, row):
    peer, role, case, function = row
    began = time.monotonic()
    scene = Scene(place)
    try:
        with scene:
            status, detail = "PASS", function(scene)
    except Skipped as reason:
        status, detail = "SKIP", str(reason)
    except Failed as reason:
        status, detail = "FAIL", f"{reason} [{scene.directory.name}]"
    except Exception as reason:  # a fault of the run itself must not end the others
        status, detail = "FAIL", f"{type(reason).__name__}: {reason} [{scene.directory.name}]"
    if status != "FAIL":
        shutil.rmtree(scene.directory, ignore_errors=True)
    seconds = time.monotonic() - began
    print(f"{status} {peer} | {role} | {case} | {detail}", flush=True)
    return {"peer": peer, "role": role, "case": case, "status": status, "detail": detail.replace("|", "/"),
            "seconds": round(seconds, 2)}


def matches(wanted, name):
    return not wanted or any(one.strip().lower() in name.lower() for one in wanted.split(",") if one.strip())


def enter_namespaces():
    """Runs this program again in mount and network namespaces of its own."""
    if os.geteuid() != 0:
        sys.exit("interop: the peers run in a chroot and a network namespace, which only root can make: "
                 "run this as root (for instance: sudo make interop).")
    os.environ[INSIDE] = "yes"
    os.execvp("unshare", ["unshare", "--mount", "--net", "--", sys.executable, *sys.argv])


def forget_old_runs(tree):
    """What runs that failed or were killed have left there."""
    for left in pathlib.Path(tree, "run").glob("interop-*"):
        if not pathlib.Path("/proc", left.name.rpartition("-")[2]).exists():
            shutil.rmtree(left, ignore_errors=True)


def prepare(tree):
    subprocess.run(["mount", "-t", "proc", "proc", f"{tree}/proc"], check=True)
    subprocess.run(["mount", "--rbind", "/dev", f"{tree}/dev"], check=True)
    subprocess.run(["chroot", tree, "ip", "link", "set", "lo", "up"], check=True)


def parse():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--tree", required=True)
    parser.add_argument("--build", default=str(ROOT / "build/release"))
    parser.add_argument("--peers", default="")
    parser.add_argument("--cases", default="")
    parser.add_argument("--jobs", type=int, default=max(1, (os.cpu_count() or 2) // 2))
    parser.add_argument("--json", default=str(ROOT / "build/interop.json"))
    parser.add_argument("--page", default=str(ROOT / "docs/interop.md"))
    return parser.parse_args()


def main():
    arguments = parse()
    if os.environ.get(INSIDE) != "yes":
        enter_namespaces()
    forget_old_runs(arguments.tree)
    prepare(arguments.tree)
    place = Place(arguments)
    check_programs(place)
    place.make_certificates()
    chosen = [row for row in rows(place) if matches(arguments.peers, row[0]) and matches(arguments.cases, row[2])]
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        results = list(pool.map(lambda row: run_case(place, row), chosen))
    versions = place.versions()
    report.write_json(arguments.json, results, versions)
    if not arguments.peers and not arguments.cases:
        report.write_page(arguments.page, results, versions)
    failed = sum(result["status"] == "FAIL" for result in results)
    if failed:
        print(f"What the programs of failed cases said is in {place.base}")
    else:
        place.clean()
    print(report.totals(results))
    return 1 if failed or not results else 0


if __name__ == "__main__":
    sys.exit(main())
