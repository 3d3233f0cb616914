#!/bin/sh
# A list of tokens: each miner has its name from it, changes are taken over by themselves, a token
# that is taken away ends its miner and no other, and a list with a mistake changes nothing.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/node_lib.sh"
(
    umask 077
    printf 'shed:one\npool:qzAddress.*\n' >"$dir/tokens"
    echo one >"$dir/one"
    echo qzAddress.rig-7 >"$dir/rig"
)
start_node node --difficulty 4000000000 --tokens "$dir/tokens"
[ ! -e "$dir/node/miner-auth-token" ] || fail "a token was made beside the list"

start_miner none
ends "$miner_pid" 9
wait_for "$dir/node.log" 'it has no token'
start_miner shed --token-file "$dir/one"
shed_pid=$miner_pid
wait_for "$dir/node.log" '"event":"link_open","miner":"shed","token":"shed"'
"$PQLINK" mine --node "quantus://127.0.0.1:$port" --pin-file "$dir/node/miner-tls-cert-sha256" \
    --token-file "$dir/rig" --threads 1 --admin off --log-format json >"$dir/rig.out" 2>"$dir/rig.log" &
rig_pid=$!
nodes="$nodes $rig_pid"
wait_for "$dir/node.log" '"event":"link_open","miner":"pool.rig-7","token":"pool"'

# A mistake: line and reason are logged, nobody leaves, the old list is in use.
printf 'shed:one\npool qzAddress.*\n' >"$dir/tokens"
wait_for "$dir/node.log" '"event":"tokens_refused","reason":"Line 2 of '
chmod 644 "$dir/tokens"
kill -HUP "$node_pid"
wait_for "$dir/node.log" 'chmod 600'
expect 0 node status --admin "127.0.0.1:$admin_port"
contains "$dir/out" '2 miners'

# Taken away without a signal: the pool's miner ends for good, the other one notices nothing.
chmod 600 "$dir/tokens"
printf '# the pool is gone\nshed:one\n' >"$dir/tokens"
wait_for "$dir/node.log" '"event":"tokens_loaded","tokens":1'
ends "$rig_pid" 9
wait_for "$dir/node.log" 'its token was taken out of the list'
expect 0 node status --admin "127.0.0.1:$admin_port"
contains "$dir/out" '1 miner,'
grep -q '^shed ' "$dir/out" || fail "the wrong miner was sent away"
[ "$(grep -cF '"miner":"shed"' "$dir/node.log")" -eq 1 ] || fail "the other miner had to come back"
kill -TERM "$shed_pid"
ends "$shed_pid" 0
kill -TERM "$node_pid"
ends "$node_pid" 0
if grep -E 'qzAddress|"one"' "$dir/node.log"; then
    fail "a token stands in the log"
fi

# What is wrong with a list at the start is a sentence, and the node does not start.
printf 'a:one\na:two\n' >"$dir/tokens"
expect 2 node --dir "$dir/node" --listen quic://127.0.0.1:0 --admin off --tokens "$dir/tokens"
contains "$dir/err" "Line 2 of $dir/tokens: the name 'a' stands there twice"
chmod 604 "$dir/tokens"
expect 6 node --dir "$dir/node" --listen quic://127.0.0.1:0 --admin off --tokens "$dir/tokens"
contains "$dir/err" "chmod 600 $dir/tokens"
