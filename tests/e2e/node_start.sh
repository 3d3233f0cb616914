#!/bin/sh
# What keeps a node from starting is said in a sentence, with the right status, and changes nothing.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/node_lib.sh"
start_node node
node="quic://127.0.0.1:$port"

expect 7 node --dir "$dir/node" --listen quic://127.0.0.1:0 --admin off
contains "$dir/err" "$dir/node"
expect 5 node --dir "$dir/other" --listen "$node" --admin off
contains "$dir/err" 'another program'
expect 5 node --dir "$dir/third" --listen quic://127.0.0.1:0 --admin "127.0.0.1:$admin_port"

curl -sS "http://127.0.0.1:$admin_port/readyz" | grep -q '"ready":true' || fail "not ready"
curl -sS "http://127.0.0.1:$admin_port/healthz" >/dev/null || fail "not healthy"
curl -sS "http://127.0.0.1:$admin_port/version" | grep -q '"policy":"hybrid"' || fail "no version"
curl -sS "http://127.0.0.1:$admin_port/version" >"$dir/version"
contains "$dir/version" '"dated":"hybrid-2026","authentication":"any"'
contains "$dir/version" '"groups":["X25519MLKEM768","X25519"]'
contains "$dir/version" "\"keys\":{\"pq\":{\"algorithm\":\"ML-DSA-87\",\"certificate\":\"$pin\""
contains "$dir/version" '"features":{"amnesia":false}'
kill -HUP "$node_pid"
wait_for "$dir/node.log" '"event":"reloaded"'
kill -TERM "$node_pid"
ends "$node_pid" 0

# Without standard streams, what is logged goes nowhere, and not into a file or socket of the node.
"$PQLINK" node --dir "$dir/silent" --listen quic://127.0.0.1:0 --admin off --key-process <&- >&- 2>&- &
silent_pid=$!
nodes="$nodes $silent_pid"
tries=0
until [ -S "$dir/silent/control" ]; do
    tries=$((tries + 1))
    [ $tries -lt 600 ] || fail "a node without standard streams does not start"
    sleep 0.1
done
for fd in 0 1 2; do
    [ "$(readlink "/proc/$silent_pid/fd/$fd")" = /dev/null ] || fail "descriptor $fd is something of the node"
done
kill -TERM "$silent_pid"
ends "$silent_pid" 0

chmod 644 "$dir/node/identity/pq-key.pem"
expect 6 node --dir "$dir/node" --listen quic://127.0.0.1:0 --admin off
contains "$dir/err" 'chmod 600'
chmod 600 "$dir/node/identity/pq-key.pem"
rm "$dir/node/identity/pq-cert.pem"
expect 6 node --dir "$dir/node" --listen quic://127.0.0.1:0 --admin off
[ ! -e "$dir/node/identity/pq-cert.pem" ] || fail "a missing certificate was made anew"

# The chain is there and the identity is not: no new one, miners have pinned the lost one.
rm -r "$dir/node/identity"
expect 6 node --dir "$dir/node" --listen quic://127.0.0.1:0 --admin off
[ ! -e "$dir/node/identity" ] || fail "a lost identity was made anew"

# A directory where anybody could exchange the keys: none are made there.
mkdir "$dir/open"
chmod 0777 "$dir/open"
expect 7 node --dir "$dir/open" --listen quic://127.0.0.1:0 --admin off
contains "$dir/err" "chmod go-w $dir/open"
[ ! -e "$dir/open/identity" ] || fail "an identity was made where others may write"
