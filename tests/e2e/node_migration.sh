#!/bin/sh
# The miner's address changes while it mines: the link moves over and is not made anew.
# Needs root and network namespaces, for two hosts on one machine.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/node_lib.sh"
if [ "$(id -u)" -ne 0 ] || ! command -v ip >/dev/null || ! ip netns add "pqlink-$$-n" 2>/dev/null; then
    echo "SKIPPED: moving a link between addresses was not tested: it needs root, iproute2 and network namespaces"
    exit 77
fi
n=pqlink-$$-n
m=pqlink-$$-m
trap 'for p in $nodes; do kill -9 "$p" 2>/dev/null || :; done
      ip netns del "$n"; ip netns del "$m" 2>/dev/null; rm -rf "$dir"' EXIT
ip netns add "$m"
ip -n "$n" link add v0 type veth peer name v1 netns "$m"
ip -n "$n" address add 10.99.0.1/24 dev v0
ip -n "$n" link set v0 up
ip -n "$n" link set lo up
ip -n "$m" address add 10.99.0.2/24 dev v1
ip -n "$m" link set v1 up

ip netns exec "$n" "$PQLINK" node --dir "$dir/node" --listen quic://10.99.0.1:9833 --admin off \
    --difficulty 20000 --block-time 100ms --log-format json 2>"$dir/node.log" &
nodes=$!
wait_for "$dir/node.log" '"event":"listening"'
pin=$(json_field "$dir/node.log" listening fingerprint)
ip netns exec "$m" "$PQLINK" mine --node quic://10.99.0.1:9833 --pin "$pin" --threads 1 \
    --admin off --log-format json 2>"$dir/miner.log" >&2 &
miner=$!
nodes="$nodes $miner"
wait_for "$dir/node.log" '"event":"block_accepted"' 2

# The new address comes first, so that the network stays reachable all the time; as a secondary
# address it would go together with the old one.
ip netns exec "$m" sh -c "echo 1 >/proc/sys/net/ipv4/conf/v1/promote_secondaries"
ip -n "$m" address add 10.99.0.3/24 dev v1
ip -n "$m" address del 10.99.0.2/24 dev v1
before=$(grep -cF '"event":"block_accepted"' "$dir/node.log")
wait_for "$dir/node.log" '"event":"block_accepted"' $((before + 3))
[ "$(grep -cF '"event":"link_open"' "$dir/node.log")" -eq 1 ] || fail "the link was made anew"
kill -TERM "$miner"
ends "$miner" 0
