#!/bin/sh
# Key logs and traces are written only when they are typed, say so loudly, and are for the owner
# alone.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/node_lib.sh"
mkdir "$dir/qlog"
start_node node --difficulty 20000 --block-time 1s --keylog "$dir/keys" --qlog "$dir/qlog"
contains "$dir/node.log" '"event":"keylog_on"'
contains "$dir/node.log" '"event":"qlog_on"'
expect 0 mine --node "quic://127.0.0.1:$port" --pin "$pin" --threads 1 --max-blocks 1 --admin off
kill -TERM "$node_pid"
ends "$node_pid" 0
for label in CLIENT_HANDSHAKE_TRAFFIC_SECRET SERVER_HANDSHAKE_TRAFFIC_SECRET \
    CLIENT_TRAFFIC_SECRET_0 SERVER_TRAFFIC_SECRET_0; do
    grep -qE "^$label [0-9a-f]{64} [0-9a-f]{64,96}\$" "$dir/keys" || fail "no $label in the key log"
done
[ "$(stat -c %a "$dir/keys")" = 600 ] || fail "others can read the key log"
grep -q '"qlog' "$dir"/qlog/*.sqlog || fail "there is no trace"

chmod 644 "$dir/keys"
expect 7 node --dir "$dir/node" --listen quic://127.0.0.1:0 --admin off --keylog "$dir/keys"
contains "$dir/err" 'chmod 600'
expect 7 node --dir "$dir/node" --listen quic://127.0.0.1:0 --admin off --qlog "$dir/none"
