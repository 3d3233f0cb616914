#!/bin/sh
# Loss, damage, a NAT that changes the miner's port and a path that is dead for a while: the link
# stays, and the miner goes on.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/node_lib.sh"
. "$(dirname "$0")/relay_lib.sh"
start_node node --difficulty 20000 --block-time 300ms
start_relay relay --delay 20 --loss 5 --corrupt 5 --seed 7 --rebind-after 1000 \
    --blackhole-after 1500 --blackhole-for 500
start_miner miner --max-blocks 40
ends "$miner_pid" 0
[ "$(grep -cF '"event":"connected"' "$dir/miner.log")" -eq 1 ] || fail "the link was made anew"
stop_relay
limits_hold
contains "$dir/relay.json" '"rebound":1'
