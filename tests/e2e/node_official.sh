#!/bin/sh
# A node serves official miners with the two files that the official node would write, on the port
# of our own miners: same jobs, shares below the block's difficulty, and 'pqlink node status' shows
# them all.  The official miner's part is played by our program in its dialect.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/node_lib.sh"
start_node node --difficulty 40000 --block-time 500ms --share-difficulty 5000
[ "$(stat -c %a "$dir/node/miner-auth-token")" = 600 ] || fail "others may read the token"
[ "$(grep -cxE '[0-9a-f]{64}' "$dir/node/miner-auth-token")" -eq 1 ] || fail "the token is not 64 digits"
"$PQLINK" fingerprint --dir "$dir/node" | grep -qF "sha256:$(cat "$dir/node/miner-tls-cert-sha256")" ||
    fail "the file of the fingerprint names another certificate"

start_miner ours --name ours
"$PQLINK" mine --node "quantus://127.0.0.1:$port" --pin-file "$dir/node/miner-tls-cert-sha256" \
    --token-file "$dir/node/miner-auth-token" --threads 1 --admin off --log-format json \
    >"$dir/theirs.out" 2>"$dir/theirs.log" &
theirs_pid=$!
nodes="$nodes $theirs_pid"
wait_for "$dir/node.log" '"alpn":"quantus-miner/2"'
wait_for "$dir/node.log" '"miner":"ours"'
wait_for "$dir/node.log" '"event":"block_accepted"' 3

# Both are there, with shares.  Asked until both had one.
shares() { curl -sS "http://127.0.0.1:$admin_port/metrics" | sed -n "s/^pqlink_miner_shares_total{miner=\"$1\"} //p"; }
until [ "$(shares ours)" -gt 0 ] && [ "$(shares default)" -gt 0 ]; do :; done
expect 0 node status --admin "127.0.0.1:$admin_port"
contains "$dir/out" '2 miners'
grep -q '^default  default  quantus-miner/2 ' "$dir/out" || fail "the official miner is not shown: $(cat "$dir/out")"
grep -q '^ours .*pqlink-miner/1 .*X25519MLKEM768 ' "$dir/out" || fail "our miner is not shown: $(cat "$dir/out")"
expect 0 node status --json --admin "127.0.0.1:$admin_port"
contains "$dir/out" '"protocol":"quantus-miner/2"'

# The wrong token is final.
echo wrong >"$dir/wrong"
chmod 600 "$dir/wrong"
expect 9 mine --node "quantus://127.0.0.1:$port" --pin-file "$dir/node/miner-tls-cert-sha256" \
    --token-file "$dir/wrong" --threads 1 --admin off
wait_for "$dir/node.log" 'its token is wrong'

# The same token and fingerprint after a restart, and a mode that was opened is closed again.
cp "$dir/node/miner-auth-token" "$dir/token-before"
kill -TERM "$node_pid"
ends "$node_pid" 0
chmod 644 "$dir/node/miner-auth-token"
listen_port=$port
start_node node --difficulty 40000 --block-time 500ms --listen 'quic://127.0.0.2:0'
contains "$dir/node.log" '"event":"token_mode_repaired"'
[ "$(stat -c %a "$dir/node/miner-auth-token")" = 600 ] || fail "the mode of the token was not repaired"
cmp "$dir/node/miner-auth-token" "$dir/token-before" || fail "a restart made another token"
[ "$(grep -cF '"event":"listening"' "$dir/node.log")" -eq 2 ] || fail "it does not listen on both addresses"
wait_for "$dir/node.log" '"alpn":"quantus-miner/2"' # both come back by themselves
wait_for "$dir/node.log" '"alpn":"pqlink-miner/1"'
kill -TERM "$theirs_pid" "$miner_pid"
ends "$theirs_pid" 0
ends "$miner_pid" 0
kill -TERM "$node_pid"
ends "$node_pid" 0

# A node without a token file of its own does not guess.
: >"$dir/node/miner-auth-token"
expect 6 node --dir "$dir/node" --listen quic://127.0.0.1:0 --admin off
contains "$dir/err" 'is empty'
# Nobody there to be asked: a sentence and status 5.
expect 5 node status --admin "127.0.0.1:$admin_port"
contains "$dir/err" 'No node answers at'
expect 2 node status --admin off

# Under pq-only official miners are left out, and no token is made for them.
listen_port=0
start_node strict --policy pq-only
[ ! -e "$dir/strict/miner-auth-token" ] || fail "a token that nobody can use was made"
contains "$dir/strict.log" '"event":"official_miners_off"'
contains "$dir/strict.log" '"protocols":"pqlink-miner/1"'
