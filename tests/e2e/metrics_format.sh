#!/bin/sh
# What a node and a miner expose is valid: by promtool of Prometheus in its text format, and by the
# parser of the Python client in OpenMetrics.  Either check that cannot be made is said loudly.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/node_lib.sh"

# scrape PORT NAME: both formats of a process under load, into $dir/NAME.prom and $dir/NAME.om.
scrape() {
    curl -sS "http://127.0.0.1:$1/metrics" >"$dir/$2.prom"
    curl -sS -H 'Accept: application/openmetrics-text; version=1.0.0' \
        "http://127.0.0.1:$1/metrics" >"$dir/$2.om"
    contains "$dir/$2.prom" '# TYPE pq_handshake_total counter'
    contains "$dir/$2.om" '# TYPE pq_handshake counter'
    [ "$(tail -n 1 "$dir/$2.om")" = '# EOF' ] || fail "$2.om does not end with # EOF"
}

start_node node --difficulty 20000 --block-time 1s
"$PQLINK" mine --node "quic://127.0.0.1:$port" --pin "$pin" --threads 1 --admin 127.0.0.1:0 \
    --log-format json 2>"$dir/miner.log" &
miner_pid=$!
nodes="$nodes $miner_pid"
wait_for "$dir/miner.log" '"event":"started"'
wait_for "$dir/node.log" '"event":"block_accepted"'
scrape "$admin_port" node
scrape "$(json_field "$dir/miner.log" started admin_port)" miner

# Every value of an algo is there with 0 before anything was counted with it.
contains "$dir/node.prom" 'pq_handshake_total{algo="ml-kem",role="client"} 0'
contains "$dir/node.prom" 'pq_signature_total{algo="slh-dsa"} 0'
contains "$dir/node.prom" 'pqlink_offered_total{kind="group",algo="x25519mlkem768"} 1'

checked=0
if command -v promtool >/dev/null; then
    for name in node miner; do
        # Names of the official miner and of the contract are not ours to change: promtool's advice
        # on style does not count, its errors (status 1) do.
        status=0
        promtool check metrics <"$dir/$name.prom" >"$dir/promtool" 2>&1 || status=$?
        [ "$status" -eq 0 ] || [ "$status" -eq 3 ] || {
            cat "$dir/promtool" >&2
            fail "promtool refuses what the $name exposes"
        }
    done
    # The control: promtool would notice.
    { cat "$dir/node.prom" && echo 'pqlink_links{ 1'; } >"$dir/broken"
    if promtool check metrics <"$dir/broken" >/dev/null 2>&1; then
        fail "promtool takes anything"
    fi
    checked=$((checked + 1))
else
    echo "SKIPPED: promtool is missing, so nobody has checked the text format (Debian: prometheus)" >&2
fi

for python in python3 /usr/bin/python3; do
    command -v "$python" >/dev/null && "$python" -c 'import prometheus_client' 2>/dev/null && break
    python=
done
if [ -n "$python" ]; then
    "$python" - "$dir/node.om" "$dir/miner.om" <<'END' || fail "the OpenMetrics text is not valid"
import sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families

for name in sys.argv[1:]:
    text = open(name, encoding="utf-8").read()
    families = {f.name: f for f in text_string_to_metric_families(text)}
    assert len(families) > 30, len(families)
    assert families["pq_handshake"].type == "counter"
    assert families["crypto_latency_seconds"].type == "histogram"
    try:
        list(text_string_to_metric_families(text.replace("# EOF\n", "")))
    except ValueError:
        continue
    sys.exit("the parser takes anything")
END
    checked=$((checked + 1))
else
    echo "SKIPPED: python3-prometheus-client is missing, so nobody has checked OpenMetrics" >&2
fi
[ "$checked" -eq 2 ] || exit 77
