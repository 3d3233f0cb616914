#!/bin/sh
# The machine's clock is set forward by ten years, then back by twenty: links stay up, blocks go on,
# and a miner that is new finds in.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/node_lib.sh"
. "$(dirname "$0")/stress_lib.sh"
: "${CLOCK_JUMP:?names the built library}"
year=$((365 * 24 * 3600))
export CLOCK_JUMP_FILE="$dir/jump"
echo 0 >"$dir/jump"
LD_PRELOAD=$CLOCK_JUMP "$PQLINK" version >/dev/null 2>&1 ||
    skip "clock jumps were not tested: this build takes no preloaded library (a sanitizer's)"
LD_PRELOAD=$CLOCK_JUMP
export LD_PRELOAD
start_node node --difficulty 20000 --block-time 200ms
start_miner miner
unset LD_PRELOAD
mines_on node
for jump in $((10 * year)) $((-10 * year)) 0; do
    # As a whole: a reader never sees a part of it.
    echo "$jump" >"$dir/jump.new"
    mv "$dir/jump.new" "$dir/jump"
    mines_on node 3
    start_miner "new$jump" --max-blocks 1
    ends "$miner_pid" 0
done
[ "$(json_field "$dir/node.log" block_accepted ts | cut -c 1-2)" = 20 ] || fail "the log has no time"
[ "$(grep -cF '"event":"link_open"' "$dir/node.log")" -eq 4 ] || fail "a link was lost when the clock was set"
kill -TERM "$node_pid"
ends "$node_pid" 0
