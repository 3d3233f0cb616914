#!/bin/sh
# Node B logs in to nodes A and C as an official miner would, with a token and a pinned ECDSA
# certificate, and its miner's blocks appear there; C takes A's place when A goes away, and A is
# taken back.  A miner without anything between mines for A the same way.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/node_lib.sh"
easy='--difficulty 20000 --block-time 1s'

# shellcheck disable=SC2086
start_node a $easy
a_pid=$node_pid a_port=$port
# shellcheck disable=SC2086
start_node c $easy
c_pid=$node_pid c_port=$port
a_pin=$(cat "$dir/a/miner-tls-cert-sha256")
c_pin=$(cat "$dir/c/miner-tls-cert-sha256")
cp "$dir/a/miner-auth-token" "$dir/token"
kill -TERM "$c_pid"
ends "$c_pid" 0
cat "$dir/token" >"$dir/c/miner-auth-token"     # one operator, one token
# shellcheck disable=SC2086
listen_port=$c_port start_node c $easy
c_pid=$node_pid

expect 0 mine --node "quantus://127.0.0.1:$a_port" --pin "$a_pin" --token-file "$dir/token" \
    --threads 1 --max-blocks 2 --admin off --log-format json
contains "$dir/err" '"alpn":"quantus-miner/2"'
contains "$dir/err" '"presumed":true'
echo wrong >"$dir/wrong" && chmod 0600 "$dir/wrong"
expect 9 mine --node "quantus://127.0.0.1:$a_port#$a_pin" --token-file "$dir/wrong" --threads 1 \
    --admin off --log-format json
expect 3 mine --node "quantus://127.0.0.1:$a_port#$c_pin" --token-file "$dir/token" --threads 1 \
    --admin off --log-format json
chmod 0644 "$dir/wrong"
expect 7 mine --node "quantus://127.0.0.1:$a_port#$a_pin" --token-file "$dir/wrong" --threads 1 \
    --admin off --log-format json
contains "$dir/err" 'chmod o-rwx'

start_node b --source "quantus://127.0.0.1:$a_port#$a_pin" \
    --source "quantus://127.0.0.1:$c_port#$c_pin" --source-token-file "$dir/token" --source-probe-interval 300ms
b_pid=$node_pid
start_miner rig
wait_for "$dir/b.log" '"event":"result_passed"' 3
wait_for "$dir/a.log" '"event":"block_accepted"' 4
expect 0 node status --admin "127.0.0.1:$admin_port"
contains "$dir/out" '1 miner,'
if grep -q 'height 0' "$dir/out"; then
    fail "a height that nobody told is shown: $(cat "$dir/out")"
fi

kill -TERM "$a_pid"
ends "$a_pid" 0
wait_for "$dir/b.log" "\"event\":\"connected\",\"node\":\"quantus://127.0.0.1:$c_port\""
wait_for "$dir/c.log" '"event":"block_accepted"' 2

# shellcheck disable=SC2086
listen_port=$a_port start_node a $easy
a_pid=$node_pid
wait_for "$dir/b.log" "\"event\":\"connected\",\"node\":\"quantus://127.0.0.1:$a_port\"" 2
wait_for "$dir/a.log" '"event":"block_accepted"'
for pid in "$b_pid" "$a_pid" "$c_pid"; do
    kill -TERM "$pid"
    ends "$pid" 0
done
