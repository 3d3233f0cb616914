#!/bin/sh
# A pinned miner mines blocks over a hybrid link; the node counts them, stops in order, and goes on
# with the same fingerprint and the same chain after a restart.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/node_lib.sh"
easy='--difficulty 20000 --block-time 1s'

# shellcheck disable=SC2086
start_node node $easy
first_pin=$pin
expect 0 mine --node "quic://127.0.0.1:$port" --pin "$pin" --threads 1 --max-blocks 3 --admin off \
    --log-format json
contains "$dir/err" '"X25519MLKEM768"'
contains "$dir/err" '"ML-DSA-87"'
wait_for "$dir/node.log" '"event":"link_closed"'
curl -sS "http://127.0.0.1:$admin_port/metrics" >"$dir/metrics"
for operation in 'op="kex",algo="x25519mlkem768"' 'op="sign",algo="ml-dsa-87"'; do
    contains "$dir/metrics" "crypto_latency_seconds_count{$operation} 1"
done
grep -qE '^pq_handshake_total\{algo="hybrid",role="server"\} 1$' "$dir/metrics" ||
    fail "the handshake was not counted"
grep -qE '^pqlink_miner_results_total\{.*result="accepted".*\} [3-9]' "$dir/metrics" ||
    fail "the accepted results were not counted"
contains "$dir/metrics" 'qpow_metrics{data_group="chain_height"}'
curl -sS "http://127.0.0.1:$admin_port/status" >"$dir/status"
contains "$dir/status" '"open_links":{"open":0,"opened":1,"hybrid":0,"pq":0,"classical":0,"list":[]}'
contains "$dir/status" '"downgrades":{"count":0,"last":[]}'
contains "$dir/status" '"handshakes":{"completed":1,'
height=$(sed -n 's/.*"height":\([0-9]*\).*/\1/p' "$dir/status")
[ "$height" -ge 3 ] || fail "the chain stands at $height"

kill -TERM "$node_pid"
ends "$node_pid" 0
contains "$dir/node.log" '"event":"stopped"'

# shellcheck disable=SC2086
start_node node $easy
[ "$pin" = "$first_pin" ] || fail "the fingerprint changed with a restart"
start_miner again --max-blocks 1
ends "$miner_pid" 0
[ "$(json_field "$dir/node.log" block_accepted height)" -gt "$height" ] ||
    fail "the chain began anew"
kill -INT "$node_pid"
ends "$node_pid" 0
