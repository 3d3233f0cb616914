#!/bin/sh
# A thousand miners that connect in the same moment all get their job, and when they are gone the
# node serves the next one.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/node_lib.sh"
. "$(dirname "$0")/stress_lib.sh"
: "${CROWD:?names the built program}"
count=1000
[ "$(ulimit -Hn)" = unlimited ] || [ "$(ulimit -Hn)" -ge $((count + 100)) ] ||
    skip "a thousand miners at once were not tested: they need $((count + 100)) file descriptors"
start_node node --difficulty 4000000000 --block-time 12s
mkfifo "$dir/stay"
"$CROWD" $count "$port" "$pin" <"$dir/stay" >"$dir/crowd" 2>&1 &
crowd_pid=$!
nodes="$nodes $crowd_pid"
exec 3>"$dir/stay"
tries=0
until grep -q "crowd: $count have a job" "$dir/crowd"; do
    kill -0 $crowd_pid 2>/dev/null || fail "$(cat "$dir/crowd")"
    tries=$((tries + 1))
    [ $tries -lt 1300 ] || fail "not all got a job: $(cat "$dir/crowd")"
    sleep 0.1
done
exec 3>&-
ends $crowd_pid 0
start_miner miner
wait_for "$dir/miner.log" '"event":"job"'
kill -TERM "$miner_pid"
ends "$miner_pid" 0
kill -TERM "$node_pid"
ends "$node_pid" 0
