#!/bin/sh
# First contact over real sockets takes one round trip, within the limits of an unvalidated path.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/node_lib.sh"
. "$(dirname "$0")/relay_lib.sh"
start_node node --difficulty 20000 --block-time 1s
# So long that a busy machine's pauses within one flight are not taken for another round trip.
start_relay relay --delay 200
start_miner miner --max-blocks 1
ends "$miner_pid" 0
[ "$(json_field "$dir/miner.log" connected round_trips)" -eq 1 ] ||
    fail "$(grep -F '"event":"connected"' "$dir/miner.log")"
stop_relay
limits_hold
# The leaf, its signature and all the rest fit what six times the client's bytes pay for.
[ "$(relay_number before_validation from_server)" -gt 7200 ] ||
    fail "the flight was not there before the client could answer"
