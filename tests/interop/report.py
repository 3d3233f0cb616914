"""The results as JSON, and as the page docs/interop.md."""
import datetime
import json
import os
import platform
import re

HEAD = """# Interoperability

Peers that nobody of this project wrote, against `pqlink node`, `pqlink mine`, `pqlink fingerprint --remote` and the
links of libpqlink. This page is made by the run; do not edit it.

```
sudo make interop                                     # everything
sudo make interop PEERS=quinn,nginx CASES=retry,loss  # some of it; this page then stays as it is
QUANTUS_MINER=/path/to/quantus-miner sudo -E make interop
```

`tests/interop/setup.sh` puts the peers into a small tree of Debian unstable in the cache: OpenSSL, curl, nginx, HAProxy,
aioquic and Go as packages. On top of quinn, quic-go and aioquic stands a miner and a node in about 300 lines each, and on top
of OpenSSL's library a node (`tests/interop/peers`): the QUIC and TLS are foreign, the miner protocol is not. The official programs are neither kept
nor built here: build them as their own documents say, and name the programs in `QUANTUS_MINER` (v4), `QUANTUS_MINER_V1`
(before v4, several with a colon between them) and `QUANTUS_NODE`. The node is started as `quantus-node --dev --base-path DIR
--miner-listen-port PORT`; a program that takes these and runs only the node's miner server does as well.

The recorded sessions of the official programs are a test of their own: `tests/unit/miner_capture_test.c`.

The run needs root, for `chroot` and for a network namespace of its own, in which nothing but the loopback interface
is. Networks in between (delay, loss, damage, silence, another source port) are those of `tests/relay`; congestion marks
are set by nftables; Retry and 0-RTT packets are counted on the wire.

"""

LEGEND = """
## What the columns mean

* *foreign miner, our node*: `pqlink node` is the server. *our miner, foreign node*: `pqlink mine` is the client.
  *our prober*: `pqlink fingerprint --remote`. *foreign client, our listener* and *our link, foreign server*: libpqlink
  without the miner service (`tests/interop/link_peer.c`), for what miner links turn off on purpose.
* *policies, foreign client* and *policies, foreign server*: the same listener and links, under each policy. The peer has
  the groups of one of our policies, as far as it has them (rustls has no SecP384r1MLKEM1024; aioquic no ML-KEM and no
  ML-DSA). [matrix.md](matrix.md) says what has to come of it: the cells show the group, or the alert that the other side was
  told. Each link that comes about is made a second time, with the tickets of the first. Group, resumption, status, alert
  and every counter of our side are those of the table. A peer of another
  make also resumes classical sessions, where our side's policy is off. *refused without an alert*: OpenSSL's server, when
  the ClientHello came in one piece, and aioquic's, when it does not know the group, say nothing; our link then waits for
  its time-out. *early data*: the client has tickets of another server under the same name, which allows early data, and
  sends some to us; the packets were on the wire and come to nothing, and the handshake is a full one.
* `pass`, **FAIL**, or skip with a reason at the foot of the table; an empty cell: the peer has no such role or protocol.
* Each case with a network in between also fails when the link is made a second time, and, with our node as the server,
  when it sends more than three times what it received before the address is validated.

| case | what has to hold |
| --- | --- |
| handshake | group and signature as listed, the leaf's hash is the one that `pqlink fingerprint` shows, one block mined |
| wrong ALPN | closed with 0x178 (TLS alert 120), on our side and as the peer tells it; exceptions are in the details |
| wrong pin, wrong token | whoever checks it stops; the other never gets further |
| classical refused, pq-only | no miner link without ML-KEM (close code 7); under `--policy pq-only` alert 40 |
| multiplexing | 32 links of one client socket at once |
| stream limit | a second stream is not granted, and the first goes on |
| address token | before 150 half-open handshakes the first session gets a Retry, the second shows the token of the first |
| no tickets | a second session with our node is a full handshake |
| resumption | our listener with tickets; a foreign server with its own: the next session is resumed, as both sides see it |
| weak ticket | a classical session under the policy hybrid is not resumed |
| mutual, no client certificate | the client's key is proven, and its certificate is the right one; without one it is refused |
| shares | difficulty of shares far below the block's: the job is sent again after each |
| node restarts | the miner comes back by itself, with the pin that it has |
| retry | our node: 150 half-open handshakes of others stand before it; a foreign server: told to. A Retry was on the wire |
| 0-RTT | the client asks; the node grants none, because the protocol forbids it |
| amplification limit | the ClientHello arrives in two datagrams 50 ms apart |
| long RTT | 600 ms (official miner: 200 ms) |
| loss, corruption | 10 % of datagrams each way (official miner: 5 % loss) |
| blackhole | nothing passes for 2 s in the middle of a session |
| rebind | the client's source port changes, and the client does not know |
| migration | the client moves to another socket |
| key update | started by the peer |
| ECN | every packet is marked with CE; both sides must report it |
"""


def is_matrix(result):
    """Its cells say what came of the link."""
    return result["case"].startswith("matrix: ")


def cell(result):
    if result is None:
        return ""
    if is_matrix(result) and result["status"] == "PASS":
        return result["detail"]
    return {"PASS": "pass", "FAIL": "**FAIL**"}.get(result["status"], "skip")


def table(results, role):
    mine = [result for result in results if result["role"] == role]
    if not mine:
        return ""
    peers = list(dict.fromkeys(result["peer"] for result in mine))
    cases = list(dict.fromkeys(result["case"] for result in mine))
    found = {(result["peer"], result["case"]): result for result in mine}
    lines = [f"### {role[:1].upper()}{role[1:]}", "", "| case | " + " | ".join(peers) + " |",
             "| --- |" + " --- |" * len(peers)]
    for case in cases:
        shown = case.removeprefix("matrix: ")
        cells = " | ".join(cell(found.get((peer, case))) for peer in peers)
        lines.append(f"| {shown} | {cells} |")
    return "\n".join(lines) + "\n\n" + notes(mine)


def notes(results):
    """Why what did not pass did not."""
    reasons = {}
    for result in results:
        if result["status"] != "PASS":
            reasons.setdefault((result["status"].lower(), result["detail"]), []).append(
                f"{result['peer']} {result['case']}")
    lines = [f"* {status}, {', '.join(where)}: {reason}" for (status, reason), where in reasons.items()]
    return "\n".join(lines) + "\n\n" if lines else ""


def details(results):
    lines = ["## Details", "", "| peer | role | case | result | s |", "| --- | --- | --- | --- | --- |"]
    for result in results:
        if result["status"] == "PASS" and not is_matrix(result):
            lines.append(f"| {result['peer']} | {result['role']} | {result['case']} | {result['detail']} |"
                         f" {result['seconds']:.1f} |")
    return "\n".join(lines) + "\n"


def totals(results):
    counts = {status: sum(result["status"] == status for result in results) for status in ("PASS", "FAIL", "SKIP")}
    return f"{counts['PASS']} passed, {counts['FAIL']} failed, {counts['SKIP']} skipped"


def write_json(path, results, versions):
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"date": str(datetime.date.today()), "versions": versions, "results": results}, file, indent=1)
        file.write("\n")


def write_page(path, results, versions):
    roles = list(dict.fromkeys(result["role"] for result in results))
    made = [HEAD, "## Results\n\n", f"{totals(results)}, on {datetime.date.today()} with Linux "
            f"{re.match('[0-9.]*[0-9]', platform.release()).group()}, "
            f"{os.cpu_count()} processors.\n\n", "| program | version |\n| --- | --- |\n"]
    made += [f"| {name} | {version} |\n" for name, version in versions.items()]
    made += ["\n", *(table(results, role) for role in roles), details(results), LEGEND]
    with open(path, "w", encoding="utf-8") as file:
        file.write("".join(made))
