#!/usr/bin/env python3
"""Runs the benchmarks and writes docs/benchmarks.json, the tables of docs/benchmarks.md and its plots.

usage: scripts/bench_report.py --run [--programs DIR] [--peers DIR] [--runs N] [--note TEXT]
       scripts/bench_report.py            only writes tables and plots anew from docs/benchmarks.json

--note says what a reader has to know of the machine, for instance that others used it meanwhile.
In docs/benchmarks.md only what stands between the two marks is replaced.
"""
import argparse
import datetime
import html
import json
import os
import platform
import signal
import subprocess
import sys

SOURCES = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
DOCS = os.path.join(SOURCES, "docs")
DATA = os.path.join(DOCS, "benchmarks.json")
PAGE = os.path.join(DOCS, "benchmarks.md")
BEGIN = "<!-- begin: written by scripts/bench_report.py -->"
END = "<!-- end -->"


# ---- Running ----


def machine(note):
    model, memory = "?", "?"
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as f:
        for line in f:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    with open("/proc/meminfo", encoding="ascii") as f:
        memory = f"{int(f.readline().split()[1]) // (1 << 20)} GiB"
    return {"processor": model, "processors": os.cpu_count(), "memory": memory,
            "system": f"{platform.system()} {platform.release().split('-')[0]}",
            "libc": " ".join(platform.libc_ver()), "note": note}


def lines_of(words):
    """The JSON objects that a program prints; its failure is a row, too."""
    print("#", " ".join(os.path.basename(w) if i == 0 else w for i, w in enumerate(words)), file=sys.stderr, flush=True)
    rows = []
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as child:
        try:
            for line in child.stdout:
                print(line, end="", flush=True)
                rows.append(json.loads(line))
        except BaseException:
            child.terminate()
            raise
    if child.returncode != 0:
        rows.append({"bench": os.path.basename(words[0]), "absent": f"ended with {child.returncode}"})
    return rows


def run_all(options):
    def bench(name, *words):
        return lines_of([os.path.join(options.programs, "bench", "bench_" + name), *words])
    peers = [os.path.join(SOURCES, "bench/peers.py"), "--programs", options.programs, "--runs", str(options.runs)]
    if options.peers:
        peers += ["--peers", options.peers]
    rows = bench("quic_handshake")
    rows += lines_of([*peers, "--only", "handshake_load,openssl"])
    rows += bench("fanout", "1000", "30") + bench("fanout", "10000", "30")
    rows += bench("idle_memory")
    rows += bench("scrape", "--rounds", "21", "--seconds", "2")
    rows += bench("policy_budget", "2000") + bench("caps")
    rows += lines_of([*peers, "--only", "hash_rate,round_trip"])
    commit = subprocess.run(["git", "-C", SOURCES, "rev-parse", "--short", "HEAD"], capture_output=True, text=True,
                            check=False).stdout.strip()
    return {"made": datetime.date.today().isoformat(), "commit": commit, "machine": machine(options.note), "rows": rows}


# ---- Tables ----


def table(head, rows):
    out = ["| " + " | ".join(head) + " |", "| " + " | ".join("---" if i == 0 else "---:" for i in range(len(head))) + " |"]
    return out + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows] + [""]


def thousands(value):
    return f"{value:,.0f}"


def of(data, bench):
    return [r for r in data["rows"] if r["bench"] == bench]


def with_absent(rows, cells, width):
    """A line for each row; a peer that could not be measured says so loudly."""
    return [[r["label"], f"**ABSENT**: {r['absent']}"] + [""] * (width - 2) if "absent" in r else cells(r) for r in rows]


def handshake_tables(data):
    out = ["### Full handshakes per second of server CPU, in memory", ""]
    rows = []
    for r in of(data, "quic_handshake"):
        kind = "mutual" if r["mutual"] else "server only"
        rows += [[f"pqlink, QUIC endpoint ({kind})", thousands(r["quic_per_core"]), "1", ""],
                 [f"ngtcp2 + AWS-LC, bare ({kind})", thousands(r["ngtcp2_bare_per_core"]), f"**{r['ratio_ngtcp2']:.3f}**",
                  "0.92"],
                 [f"the same, first flight twice ({kind})", thousands(r["ngtcp2_bare_doubled_per_core"]),
                  f"{r['ratio_ngtcp2_doubled']:.3f}", ""],
                 [f"AWS-LC, TLS 1.3 bare ({kind})", thousands(r["tls_bare_per_core"]), f"{r['ratio_tls']:.3f}", ""]]
    for r in of(data, "openssl_tls"):
        rows.append([f"{' '.join(r['library'].split()[:2])}, TLS 1.3 (server only)", thousands(r["per_cpu_second"]), "", ""]
                    if "absent" not in r else [f"OpenSSL: **ABSENT**: {r['absent']}", "", "", ""])
    out += table(["", "handshakes/s/core", "ours ÷ theirs", "target"], rows)
    out += ["![in memory](benchmarks-handshakes.svg)", ""]
    out += ["### Full handshakes per second of server CPU, over loopback", ""]
    loads = [{**r, "label": r["server"]} for r in of(data, "handshake_load")]
    out += table(["server", "handshakes per CPU second", "per second"],
                 with_absent(loads, lambda r: [r["label"], thousands(r["per_cpu_second"]), thousands(r["per_second"])], 3))
    return out + ["![over loopback](benchmarks-load.svg)", ""]


def contact_tables(data):
    out = ["### First contact at 100 ms round-trip time", ""]
    rows = [{**r, "label": f"{r['client']} → {r['server']}"} for r in of(data, "round_trip")]

    def cells(r):
        trips = ", ".join(f"{n}× {k}" for k, n in r.get("round_trips", {}).items())
        return [r["label"], r["certificate"], f"{r['loss_percent']} %", f"{r['p50_ms']:.1f}", f"{r['p95_ms']:.1f}",
                f"{r['max_ms']:.1f}", f"{r['failed']} of {r['runs']}", trips]
    out += table(["client → server", "certificate", "loss", "p50 ms", "p95 ms", "max ms", "failed", "links × round trips"],
                 with_absent(rows, cells, 8))
    out += ["![first contact](benchmarks-contact.svg)", ""]
    sizes = of(data, "handshake_bytes")
    if sizes:
        out += ["UDP payload of one link, opened and closed at once, the doubled first flight included:", ""]
        out += table(["", "to the server", "to the client", "together"],
                     [["mutual" if r["mutual"] else "server only", thousands(r["to_server_bytes"]),
                       thousands(r["to_client_bytes"]), thousands(r["to_server_bytes"] + r["to_client_bytes"])] for r in sizes])
    return out


def budget_tables(data):
    out = ["### What post-quantum protection costs", "",
           "Full handshakes over loopback, without resumption, in turn; in brackets the ratio to classical, for which the goal "
           "is 1.20.", ""]
    out += table(["", "key exchange", "signature", "server's CPU µs", "client's CPU µs", "p50 ms", "p95 ms", "p99 ms"],
                 [[r["kind"].replace("_", " "), r["group"], r["signature"],
                   f"{r['server_cpu_us']:.0f} ({r['server_cpu_ratio']:.2f})",
                   f"{r['client_cpu_us']:.0f} ({r['client_cpu_ratio']:.2f})", f"{r['p50_ms']:.2f} ({r['p50_ratio']:.2f})",
                   f"{r['p95_ms']:.2f} ({r['p95_ratio']:.2f})", f"{r['p99_ms']:.2f}"] for r in of(data, "policy_budget")])
    for r in of(data, "policy_classification"):
        out += [f"Judging a posture takes {r['judge_ns']:.0f} ns, reading what a ClientHello offers {r['offer_ns']:.0f} ns.", ""]
    out += ["### Capability tokens", ""]
    out += table(["signatures", "caveats", "verify: p50 µs", "p95 µs", "budget µs (p95, without signatures)"],
                 [[c["signature"], c["caveats"], c["p50_us"], c["p95_us"],
                   60 + 8 * c["caveats"] if c["signature"] == "none" else ""]
                  for r in of(data, "caps") for c in r["results"]])
    return out


def other_tables(data):
    def ms(value):
        return f"{value / 1000:.1f}"
    out = ["### A new job to every miner", ""]
    out += table(["miners", "node alone, last datagram: median ms", "worst ms", "node's CPU µs per miner",
                  "both ends here: p50 ms", "p99 ms", "target ms"],
                 [[thousands(r["miners"]), ms(r["node_median_us"]), ms(r["node_max_us"]), r["node_cpu_us_per_miner"],
                   ms(r["p50_us"]), ms(r["p99_us"]), ms(r["target_us"])] for r in of(data, "fanout")])
    out += ["### Memory", ""]
    out += table(["idle links", "private kB of the server per link", "target"],
                 [[thousands(r["links"]), r["kb_per_link"], "40"] for r in of(data, "idle_memory")])
    if of(data, "scrape"):
        out += ["### Scrapes", ""]
        out += table(["links", "scrapes/s", "kB", "server's CPU µs each", "p99 of a message alone, µs", "scraped, µs",
                      "ratio", "target"],
                     [[r["links"], r["scrapes_per_second"], f"{r['scrape_bytes'] / 1000:.0f}", r["scrape_cpu_us"],
                       r["p99_us"], r["p99_scraped_us"], r["p99_ratio"], r["target_ratio"]] for r in of(data, "scrape")])
    out += budget_tables(data)
    out += ["### Hashes per second of CPU time, one thread", ""]
    rates = [{**r, "label": r["program"]} for r in of(data, "hash_rate")]
    out += table(["program", "hashes/s"],
                 with_absent(rates, lambda r: [r["label"], thousands(r["hashes_per_cpu_second"])], 2))
    return out + ["![hash rate](benchmarks-hashes.svg)", ""]


def generated(data):
    m = data["machine"]
    out = [BEGIN, "",
           f"Measured on {data['made']} at commit {data['commit']}: {m['processors']} × {m['processor']}, {m['memory']}, "
           f"{m['system']}, {m['libc']}. {m['note']}".strip(), ""]
    return "\n".join(out + handshake_tables(data) + contact_tables(data) + other_tables(data) + [END])


# ---- Plots ----

INK, PALE, MARK = "#1f4e79", "#9dc3e6", "#c00000"
WIDTH, LEFT, RIGHT, BAR, GAP, TOP = 980, 410, 110, 16, 8, 46


def text(x, y, words, more=""):
    return f'<text x="{x:.0f}" y="{y:.0f}" {more}>{html.escape(words)}</text>'


def bars(name, title, rows, unit, target=None):
    """Horizontal bars: (label, value, larger value or None); a heading where value is None."""
    most = max([max(v, w or 0) for _, v, w in rows if v is not None] + [target or 0], default=1) or 1
    scale = (WIDTH - LEFT - RIGHT) / most
    height = TOP + len(rows) * (BAR + GAP) + 10
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
           f'viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12">',
           f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>', text(10, 20, title, 'font-weight="bold"')]
    for i, (label, value, more) in enumerate(rows):
        y = TOP + i * (BAR + GAP)
        if value is None:
            out.append(text(10, y + 13, label, 'font-style="italic"'))
            continue
        out.append(text(LEFT - 8, y + 12, label, 'text-anchor="end"'))
        if more is not None:
            out.append(f'<rect x="{LEFT}" y="{y}" width="{more * scale:.1f}" height="{BAR}" fill="{PALE}"/>')
        out.append(f'<rect x="{LEFT}" y="{y}" width="{value * scale:.1f}" height="{BAR}" fill="{INK}"/>')
        shown = f"{value:,.0f}" + (f" / {more:,.0f}" if more is not None else "") + unit
        out.append(text(LEFT + max(value, more or 0) * scale + 5, y + 12, shown))
    if target is not None:
        x = LEFT + target * scale
        out.append(f'<line x1="{x:.1f}" y1="{TOP - 6}" x2="{x:.1f}" y2="{height - 6}" stroke="{MARK}" stroke-dasharray="4 3"/>')
        out.append(text(x + 4, TOP - 6, f"target {target}{unit}", f'fill="{MARK}"'))
    with open(os.path.join(DOCS, f"benchmarks-{name}.svg"), "w", encoding="utf-8") as f:
        f.write("\n".join(out + ["</svg>", ""]))


def plots(data):
    rows = []
    for r in of(data, "quic_handshake"):
        rows += [("with a client certificate" if r["mutual"] else "server's certificate only", None, None),
                 ("pqlink, QUIC", r["quic_per_core"], None), ("ngtcp2 + AWS-LC, bare", r["ngtcp2_bare_per_core"], None),
                 ("AWS-LC, TLS bare", r["tls_bare_per_core"], None)]
        if not r["mutual"]:
            rows += [(" ".join(o["library"].split()[:2]) + ", TLS", o["per_cpu_second"], None)
                     for o in of(data, "openssl_tls") if "absent" not in o]
    bars("handshakes", "Full handshakes per second and server core, X25519MLKEM768 + ML-DSA-87, in memory", rows, "")
    bars("load", "Full handshakes per second of server CPU, system calls included, over loopback",
         [(r["server"], r["per_cpu_second"], None) for r in of(data, "handshake_load") if "absent" not in r], "")
    rows = []
    for loss in sorted({r["loss_percent"] for r in of(data, "round_trip") if "absent" not in r}):
        rows.append((f"{loss} % loss each way", None, None))
        rows += [(f"{r['client']} → {r['server']}" + (" (self-signed leaf)" if "self" in r["certificate"] else ""),
                  r["p50_ms"], r["p95_ms"])
                 for r in of(data, "round_trip") if "absent" not in r and r["loss_percent"] == loss]
    bars("contact", "First contact at 100 ms round-trip time, ML-DSA-87: p50 (dark), p95 (pale)", rows, " ms", 107)
    bars("hashes", "Hashes per second of CPU time, one thread",
         [(r["program"], r["hashes_per_cpu_second"], None) for r in of(data, "hash_rate") if "absent" not in r], "")


def write_page(data):
    with open(PAGE, encoding="utf-8") as f:
        page = f.read()
    before, rest = page.split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    with open(PAGE, "w", encoding="utf-8") as f:
        f.write(before + generated(data) + after)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", action="store_true")
    parser.add_argument("--programs", default=os.path.join(SOURCES, "build/release"))
    parser.add_argument("--peers")
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--note", default="")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    if options.run:
        data = run_all(options)
        with open(DATA, "w", encoding="utf-8") as f:
            json.dump(data, f, indent=1, ensure_ascii=False)
            f.write("\n")
    with open(DATA, encoding="utf-8") as f:
        data = json.load(f)
    write_page(data)
    plots(data)


if __name__ == "__main__":
    main()
