#!/bin/sh
# The ClientHello's datagrams come one by one with pauses: the server still sends no more than three
# times what it has at each moment, and the handshake ends.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/node_lib.sh"
. "$(dirname "$0")/relay_lib.sh"
start_node node --difficulty 20000 --block-time 1s
node_port=$port
for pause in 30 300; do
    port=$node_port
    start_relay "relay-$pause" --delay 50 --split-first "$pause"
    start_miner "miner-$pause" --max-blocks 1
    ends "$miner_pid" 0
    stop_relay
    limits_hold
done
