#!/bin/sh
# Nobody reads the log (a paused pager): the node serves its miners all the same, and stops in order.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/node_lib.sh"
start_node node
kill -TERM "$node_pid"
ends "$node_pid" 0

mkfifo "$dir/pipe"
exec 9<>"$dir/pipe"           # open, and never read
# Full: 64 KiB is what a pipe holds, or less for a user with many; then head would wait.
timeout 2 head -c 65536 /dev/zero >&9 || :
"$PQLINK" node --dir "$dir/node" --listen "quic://127.0.0.1:$port" --admin off --log-format json \
    --difficulty 2000 --block-time 100ms 2>"$dir/pipe" &
node_pid=$!
nodes="$nodes $node_pid"
"$PQLINK" mine --node "quic://127.0.0.1:$port" --pin "$pin" --admin off --threads 1 \
    --max-blocks 2 2>"$dir/miner.log" || fail "the miner ended with status $?"
kill -TERM "$node_pid"
ends "$node_pid" 0
