#!/bin/sh
# A path that carries datagrams of 1200 bytes and no larger ones works; a smaller one is not QUIC's.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/node_lib.sh"
. "$(dirname "$0")/relay_lib.sh"
start_node node --difficulty 20000 --block-time 200ms
node_port=$port
start_relay relay --delay 50 --mtu 1200
# Some blocks, so that probes for a larger MTU are sent and lost meanwhile.
start_miner miner --max-blocks 10
ends "$miner_pid" 0
[ "$(grep -cF '"event":"connected"' "$dir/miner.log")" -eq 1 ] || fail "the link was made anew"
stop_relay
limits_hold
[ "$(relay_number to_server lost)" -gt 0 ] || fail "no larger datagram was ever tried"

port=$node_port
start_relay tiny --mtu 1199
expect 5 fingerprint --remote "quic://127.0.0.1:$port" --timeout 1s
stop_relay
[ "$(relay_number to_server datagrams)" -eq 0 ] || fail "a datagram of 1200 bytes passed"
