#!/bin/sh
# A node and a miner under valgrind from start to end: no leak, no use of memory that was not set.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/node_lib.sh"
. "$(dirname "$0")/stress_lib.sh"
command -v valgrind >/dev/null || skip "memory was not checked: valgrind is not installed"
valgrind --error-exitcode=9 -q "$PQLINK" version >/dev/null 2>&1 ||
    skip "memory was not checked: valgrind cannot run this build (a sanitizer's)"
cat >"$dir/checked" <<END
#!/bin/sh
exec valgrind --quiet --fair-sched=yes --error-exitcode=9 --leak-check=full --show-leak-kinds=definite,indirect,possible \
    --errors-for-leak-kinds=definite,indirect --log-file="$dir/valgrind.%p" "$PQLINK" "\$@"
END
chmod +x "$dir/checked"
PQLINK=$dir/checked
start_node node --difficulty 500 --block-time 1s --workers 1
start_miner miner --max-blocks 2
ends "$miner_pid" 0
kill -TERM "$node_pid"
ends "$node_pid" 0
! cat "$dir"/valgrind.* | grep . || fail "valgrind has something to say"
