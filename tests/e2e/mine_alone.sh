#!/bin/sh
# A miner without a node tries again for ever, says so on its admin port, ignores SIGHUP, and ends
# in order; the hash rate can be measured without a node.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/node_lib.sh"
start_node gone
kill -TERM "$node_pid"
ends "$node_pid" 0
admin="127.0.0.1:$admin_port"

"$PQLINK" mine --node "quic://127.0.0.1:$port" --pin "$pin" --threads 1 --admin "$admin" \
    --log-format json 2>"$dir/miner.log" &
miner_pid=$!
nodes="$nodes $miner_pid"
wait_for "$dir/miner.log" '"event":"retry"' 2
contains "$dir/miner.log" '"PQL_E_NETWORK"'
kill -HUP "$miner_pid"
curl -sS "http://$admin/readyz" | grep -q '"ready":true' || fail "not ready without a node"
curl -sS "http://$admin/status" >"$dir/status"
contains "$dir/status" '"state":"connecting"'
contains "$dir/status" '"connected":false'
curl -sS "http://$admin/metrics" >"$dir/metrics"
contains "$dir/metrics" 'miner_cpu_workers 1'
contains "$dir/metrics" 'miner_hashes_total 0'
curl -sS "http://$admin/version" | grep -q '"name":"pqlink"' || fail "no version"
expect 5 mine --node "quic://127.0.0.1:$port" --pin "$pin" --admin "$admin" --threads 1
kill -TERM "$miner_pid"
ends "$miner_pid" 0
contains "$dir/miner.log" '"event":"summary"'

expect 0 mine --bench --bench-seconds 1 --threads 2 --log-format json
contains "$dir/out" '"threads":2'
contains "$dir/out" '"thread_hash_rates":['
expect 0 mine --bench --bench-seconds 1 --threads 1 --log-format text
contains "$dir/out" 'thread 1'

expect 7 mine --node "quic://127.0.0.1:$port" --ca "$dir/none.pem" --admin off --threads 1
contains "$dir/err" "$dir/none.pem"
expect 2 fingerprint --remote "quic://127.0.0.1:$port" --dir "$dir/gone"
expect 5 fingerprint --remote "quic://127.0.0.1:$port" --timeout 1s
