#!/bin/sh
# What a remote peer shows is printed with a warning, and is what its operator sees; a classical
# protocol name shows the classical certificate, where the peer speaks it.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/node_lib.sh"
start_node node
node="quic://127.0.0.1:$port"

expect 0 fingerprint --remote "$node"
contains "$dir/err" 'NOT authenticated'
"$PQLINK" fingerprint --dir "$dir/node" | head -n 2 >"$dir/local"
cmp "$dir/local" "$dir/out" || fail "the peer shows other fingerprints than its directory holds"

expect 0 fingerprint --remote "$node" --json
contains "$dir/out" '"authenticated":false'
contains "$dir/out" "\"certificate\":\"$pin\""
contains "$dir/out" '"group":"X25519MLKEM768"'

expect 8 fingerprint --remote "$node" --alpn no-such-protocol
kill -TERM "$node_pid"
ends "$node_pid" 0
