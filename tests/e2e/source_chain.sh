#!/bin/sh
# Node A makes the chain, node B takes its jobs and serves them: blocks that B's miner finds appear
# on A.  When A goes away B says so on its admin port, and goes on when A is back.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/node_lib.sh"
easy='--difficulty 20000 --block-time 1s'

# shellcheck disable=SC2086
start_node a $easy
a_pid=$node_pid a_port=$port a_pin=$pin a_admin=$admin_port
start_node b --source "quic://127.0.0.1:$a_port#$a_pin"
b_pid=$node_pid b_admin=$admin_port
start_miner rig
wait_for "$dir/a.log" '"event":"block_accepted"' 3
wait_for "$dir/rig.log" '"verdict":"accepted"' 3
contains "$dir/b.log" '"event":"result_passed"'
curl -sS "http://127.0.0.1:$b_admin/metrics" >"$dir/metrics"
contains "$dir/metrics" 'pqlink_source_connected 1'
grep -qE '^pqlink_source_outcomes_total\{outcome="accepted"\} [1-9]' "$dir/metrics" ||
    fail "the accepted results were not counted"
grep -qE '^pq_handshake_total\{algo="hybrid",role="client"\} 1$' "$dir/metrics" ||
    fail "the handshake with the source was not counted"
expect 0 node status --admin "127.0.0.1:$b_admin"
contains "$dir/out" "source quic://127.0.0.1:$a_port: connected"
expect 0 node status --json --admin "127.0.0.1:$a_admin"
contains "$dir/out" '"source":{"kind":"chain"}'

kill -TERM "$a_pid"
ends "$a_pid" 0
wait_for "$dir/b.log" '"service":"source","event":"retry"'
status=$(curl -sS -o "$dir/ready" -w '%{http_code}' "http://127.0.0.1:$b_admin/readyz")
[ "$status" -eq 503 ] || fail "a node without its source says $status"
contains "$dir/ready" '"source"'
expect 0 node status --admin "127.0.0.1:$b_admin"
contains "$dir/out" 'source: not connected'
expect 0 node status --json --admin "127.0.0.1:$b_admin"
contains "$dir/out" '"source":{"kind":"node","connected":false,"node":null}'
wait_for "$dir/rig.log" '"event":"cancelled"'

before=$(grep -cF '"event":"result_passed"' "$dir/b.log")
# shellcheck disable=SC2086
listen_port=$a_port start_node a $easy
wait_for "$dir/b.log" '"event":"result_passed"' $((before + 1))
wait_for "$dir/a.log" '"event":"block_accepted"'

kill -TERM "$b_pid"
ends "$b_pid" 0
kill -TERM "$node_pid"
ends "$node_pid" 0
