#!/bin/sh
# A pinned node that had ML-KEM and comes back without it is refused and reported, until it is
# forgotten; the other miner of the same user, which runs meanwhile, uses the same memory.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/node_lib.sh"
mine() {
    wanted=$1
    shift
    expect "$wanted" mine --node "quic://127.0.0.1:$port" --pin "$pin" --threads 1 --max-blocks 1 --admin off \
        --log-format json "$@"
}

start_node node --difficulty 20000 --block-time 1s
mine 0 --dir "$dir/miner"
hybrid_pin=$pin
kill -TERM "$node_pid"
ends "$node_pid" 0

start_node node --difficulty 20000 --block-time 1s --policy off
[ "$pin" = "$hybrid_pin" ] || fail 'the node has another certificate'
mine 4 --dir "$dir/miner"
contains "$dir/err" 'once had a post-quantum key exchange'
contains "$dir/err" '"event":"downgrade_refused"'
contains "$dir/err" '"downgrade_reason":"remembered"'
mine 0 --dir "$dir/stranger"                # who never saw it hybrid takes it, and counts a downgrade
mine 0 --dir "$dir/miner" --policy off      # nobody is downgraded who wants no ML-KEM himself

expect 2 forget --dir "$dir/miner"
expect 0 forget --dir "$dir/miner" --pin "$pin"
contains "$dir/out" "$pin is forgotten"
mine 0 --dir "$dir/miner"
expect 7 forget --dir "$dir/miner" --pin "$pin"
contains "$dir/err" 'does not remember'

# A directory that takes nothing is said, and does not stop the miner.
kill -TERM "$node_pid"
ends "$node_pid" 0
start_node node --difficulty 20000 --block-time 1s
mkdir "$dir/full"
: >"$dir/full/hybrid"
mine 0 --dir "$dir/full"
contains "$dir/err" '"event":"downgrade_memory_failing"'
