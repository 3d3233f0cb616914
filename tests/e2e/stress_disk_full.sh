#!/bin/sh
# A full disk: the node keeps its links, tells miners that their blocks cannot be stored, is not
# ready, and goes on where it was when there is room again.  No accepted block is lost.
# Needs a file system of its own: root, or user namespaces.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/node_lib.sh"
. "$(dirname "$0")/stress_lib.sh"
if [ "${1:-}" != inside ]; then
    unshare --user --map-root-user --mount true 2>/dev/null || unshare --mount true 2>/dev/null ||
        skip "a full disk was not tested: it needs root or user namespaces"
    trap - EXIT
    rm -rf "$dir"
    if [ "$(id -u)" -eq 0 ]; then
        exec unshare --mount "$0" inside
    fi
    exec unshare --user --map-root-user --mount "$0" inside
fi
mkdir "$dir/small"
mount -t tmpfs -o size=1m,mode=700 tmpfs "$dir/small" || skip "a full disk was not tested: no tmpfs can be mounted"
trap 'for n in $nodes; do kill -9 "$n" 2>/dev/null || :; done; wait; umount "$dir/small"; rm -rf "$dir"' EXIT
ln -s small/node "$dir/node"
mkdir "$dir/small/node"
chmod 700 "$dir/small/node"
start_node node --difficulty 20000 --block-time 200ms
start_miner miner
mines_on node
dd if=/dev/zero of="$dir/small/filler" bs=1k 2>/dev/null || : # until it is full
wait_for "$dir/node.log" '"event":"block_not_stored"'
last=$(json_field "$dir/node.log" block_accepted height)
curl -sS "http://127.0.0.1:$admin_port/readyz" | grep -q '"store":{"ok":false,"reason":"The disk' ||
    fail "the node is ready while its disk is full"
rm "$dir/small/filler"
wait_for "$dir/node.log" '"event":"store_works_again"'
curl -sS "http://127.0.0.1:$admin_port/readyz" | grep -q '"ready":true' || fail "the node is not ready again"
mines_on node 2
next=$(grep -F '"event":"block_accepted"' "$dir/node.log" | sed -n "s/.*\"height\":\([0-9]*\).*/\1/p" |
    awk -v last="$last" '$1 > last { print; exit }')
[ "$next" -eq $((last + 1)) ] || fail "after block $last came block $next"
[ "$(grep -cF '"event":"link_open"' "$dir/node.log")" -eq 1 ] || fail "the full disk cost the link"
heights=$(grep -F '"event":"block_accepted"' "$dir/node.log" | sed -n "s/.*\"height\":\([0-9]*\).*/\1/p")
[ "$(echo "$heights" | sort -n | uniq -d)" = "" ] || fail "a block was accepted twice: $heights"
kill -TERM "$miner_pid"
ends "$miner_pid" 0
kill -TERM "$node_pid"
ends "$node_pid" 0
# What was accepted is in the store: the next start goes on behind it.
last=$(json_field "$dir/node.log" block_accepted height)
start_node node --difficulty 20000 --block-time 200ms
start_miner miner --max-blocks 1
ends "$miner_pid" 0
wait_for "$dir/node.log" '"event":"block_accepted"'
[ "$(json_field "$dir/node.log" block_accepted height)" -gt "$last" ] || fail "block $last was lost"
