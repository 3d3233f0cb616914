#!/bin/sh
# A flood of strangers (spoofed first flights by the thousand, rubbish by the hundred thousand) gets
# less than three bytes for each of its own, leaves no memory behind, and an honest miner mines on
# through it.  How much processor time a stranger costs is measured by bench_strangers.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/node_lib.sh"
. "$(dirname "$0")/stress_lib.sh"
: "${STRANGERS:?names the built program}"
# Private memory that a flood may leave: what the allocator keeps of the half-open handshakes that
# are allowed at a time (1,024 on each worker, some 50 kB each with the sanitizers' padding aside).
memory_kept=$((2 * 1024 * 64))

start_node node --difficulty 20000 --block-time 200ms --workers 2
start_miner miner
mines_on node
before=$(memory "$node_pid")
for flood in 'hello 10000' 'bye 10000' 'version 100000' 'short 100000' 'noise 100000'; do
    # shellcheck disable=SC2086 # two words are meant
    "$STRANGERS" $flood "$port" >"$dir/flood" || fail "the flood '$flood' broke"
    cat "$dir/flood"
    awk -F'"bytes_per_byte":' '{ exit !($2 + 0 < 3) }' "$dir/flood" ||
        fail "strangers got three bytes for one: $(cat "$dir/flood")"
    mines_on node
done
[ "$(grep -cF '"event":"link_open"' "$dir/node.log")" -eq 1 ] || fail "the miner's link did not survive"
after=$(memory "$node_pid")
echo "private memory: $before kB before, $after kB after"
case $("$PQLINK" version --json 2>/dev/null || "$PQLINK" version) in
*sanit*) echo "memory is not compared: the sanitizers keep what was freed" ;;
*)
    [ $((after - before)) -le $memory_kept ] || fail "strangers left $((after - before)) kB behind"
    ;;
esac
# What a stranger can make us write down is bounded too.
lines=$(wc -l <"$dir/node.log")
[ "$lines" -le 2000 ] || fail "strangers made the node write $lines lines"
kill -TERM "$miner_pid"
ends "$miner_pid" 0
kill -TERM "$node_pid"
ends "$node_pid" 0
