#!/bin/sh
# 'pqlink drill classical-break' on a running node: classical peers are refused while it lasts, a
# hybrid miner goes on over the same link, and the policy of the settings is back afterwards, also
# when the drill is killed.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/node_lib.sh"

lines() { grep -c "$1" "$2" || true; }

start_node node --difficulty 20000 --block-time 1s
start_miner hybrid --dir "$dir/hybrid.state"
wait_for "$dir/hybrid.log" '"event":"connected"'

expect 0 drill classical-break --dir "$dir/node" --for 2s
cat "$dir/out"
contains "$dir/out" 'checks passed, none failed'
contains "$dir/node.log" '"event":"policy_override_begins","policy":"pq-only","settings":"hybrid"'
contains "$dir/node.log" '"event":"policy_override_ends","reason":"asked for","policy":"hybrid"'
[ "$(lines '"event":"connected"' "$dir/hybrid.log")" = 1 ] || fail 'the hybrid miner lost its link'

expect 0 drill classical-break --dir "$dir/node" --for 1s --json
contains "$dir/out" '"passed": true'

# Two at once: the second is told.
"$PQLINK" drill classical-break --dir "$dir/node" --for 50s >"$dir/killed.out" 2>&1 &
drill_pid=$!
nodes="$nodes $drill_pid"
wait_for "$dir/killed.out" 'hybrid peer is let in'
expect 1 drill classical-break --dir "$dir/node" --for 1s
contains "$dir/err" 'another drill is running'

# A drill that dies leaves nothing behind.
kill -KILL "$drill_pid"
wait_for "$dir/node.log" '"reason":"the program that asked for it is gone","policy":"hybrid"'
expect 0 fingerprint --remote "quic://127.0.0.1:$port"

# Under pq-only of the settings nothing changes, and nothing fails.
kill -TERM "$miner_pid"
ends "$miner_pid" 0
kill -TERM "$node_pid"
ends "$node_pid" 0
[ ! -e "$dir/node/control" ] || fail 'the node left its socket behind'
start_node node --difficulty 20000 --block-time 1s --policy pq-only
expect 0 drill classical-break --dir "$dir/node" --for 1s

# Where no hybrid peer is let in before, it does not begin: miners that were hybrid during the drill
# alone would refuse the node afterwards, and pq-only is weaker than cnsa-2.0.
for policy in off cnsa-2.0; do
    kill -TERM "$node_pid"
    ends "$node_pid" 0
    start_node node --difficulty 20000 --block-time 1s --policy "$policy"
    expect 1 drill classical-break --dir "$dir/node" --for 1s
    contains "$dir/out" 'FAILED hybrid peer, before'
    contains "$dir/err" 'The drill was not begun, and nothing was changed.'
    [ "$(lines policy_override_begins "$dir/node.log")" = 0 ] || fail "the drill began under $policy"
done

expect 7 drill classical-break --dir "$dir/nobody" --for 1s
contains "$dir/err" 'is running'
