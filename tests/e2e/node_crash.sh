#!/bin/sh
# kill -9 of the node at any moment loses no accepted block and no key; a miner comes back by itself
# and mines on.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/node_lib.sh"
start_node node --difficulty 20000 --block-time 100ms
start_miner miner
first_pin=$pin
accepted=0
for round in 1 2 3; do
    wait_for "$dir/node.log" '"event":"block_accepted"' 2
    kill -9 "$node_pid"
    wait "$node_pid" 2>/dev/null || :
    last=$(json_field "$dir/node.log" block_accepted height)
    [ "$last" -gt "$accepted" ] || fail "round $round: no progress"
    accepted=$last
    listen_port=$port start_node node --difficulty 20000 --block-time 100ms
    [ "$pin" = "$first_pin" ] || fail "the fingerprint changed with a crash"
    wait_for "$dir/node.log" '"event":"block_accepted"'
    first=$(grep -F '"event":"block_accepted"' "$dir/node.log" | head -n 1 |
        sed -n 's/.*"height":\([0-9]*\).*/\1/p')
    # What was reported is kept; at most one block was stored and not yet reported.
    [ "$first" -gt "$accepted" ] || fail "block $accepted was lost: the next one is $first"
done
kill -TERM "$miner_pid"
ends "$miner_pid" 0
kill -TERM "$node_pid"
ends "$node_pid" 0
