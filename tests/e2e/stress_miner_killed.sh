#!/bin/sh
# kill -9 of miners at any moment: the node goes on, gives the next miner its job, and forgets those
# that are gone.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/node_lib.sh"
. "$(dirname "$0")/stress_lib.sh"
start_node node --difficulty 20000 --block-time 100ms
for round in 1 2 3 4 5 6 7 8; do
    start_miner "miner$round"
    case $round in
    1 | 2) ;; # somewhere in the handshake
    3 | 4) wait_for "$dir/miner$round.log" '"event":"connected"' ;;
    *) mines_on node 1 ;;
    esac
    kill -9 "$miner_pid"
    wait "$miner_pid" 2>/dev/null || :
done
start_miner last --max-blocks 2
ends "$miner_pid" 0
kill -TERM "$node_pid"
ends "$node_pid" 0
