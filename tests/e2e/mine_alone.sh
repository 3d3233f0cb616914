#!/bin/sh
# A miner without a node tries again for ever, says so on its admin port, ignores SIGHUP, and ends
# in order; the hash rate can be measured without a node.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/node_lib.sh"
# UDP port 1: nobody listens there, and no other test can.
node=quic://127.0.0.1:1
pin=sha256:$(printf '%064d' 7)

"$PQLINK" mine --node $node --pin "$pin" --threads 1 --admin 127.0.0.1:0 --log-format json \
    2>"$dir/miner.log" &
miner_pid=$!
nodes="$nodes $miner_pid"
wait_for "$dir/miner.log" '"event":"started"'
admin="127.0.0.1:$(json_field "$dir/miner.log" started admin_port)"
wait_for "$dir/miner.log" '"event":"retry"' 2
contains "$dir/miner.log" '"PQL_E_NETWORK"'
kill -HUP "$miner_pid"
curl -sS "http://$admin/readyz" | grep -q '"ready":true' || fail "not ready without a node"
curl -sS "http://$admin/status" >"$dir/status"
contains "$dir/status" '"state":"connecting"'
contains "$dir/status" '"connected":false'
curl -sS "http://$admin/metrics" >"$dir/metrics"
contains "$dir/metrics" 'miner_cpu_workers 1'
contains "$dir/metrics" 'pqlink_workers 1'
contains "$dir/metrics" 'pqlink_worker_cpu_seconds_total{worker="0"}'
contains "$dir/metrics" 'miner_hashes_total 0'
curl -sS "http://$admin/version" | grep -q '"name":"pqlink"' || fail "no version"
expect 5 mine --node $node --pin "$pin" --admin "$admin" --threads 1
kill -TERM "$miner_pid"
ends "$miner_pid" 0
contains "$dir/miner.log" '"event":"summary"'

expect 0 mine --bench --bench-seconds 1 --threads 2 --log-format json
contains "$dir/out" '"threads":2'
contains "$dir/out" '"thread_hash_rates":['
expect 0 mine --bench --bench-seconds 1 --threads 1 --log-format text
contains "$dir/out" 'thread 1'

expect 7 mine --node $node --ca "$dir/none.pem" --admin off --threads 1
contains "$dir/err" "$dir/none.pem"
expect 2 fingerprint --remote $node --dir "$dir/miner"
expect 5 fingerprint --remote $node --timeout 1s
