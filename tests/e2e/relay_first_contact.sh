#!/bin/sh
# First contact over real sockets takes one round trip, within the limits of an unvalidated path.
# A machine that is too busy can hold up one flight so long that the client asks again, which counts
# as another trip; never does it make two trips one.  So the best of five contacts tells.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/node_lib.sh"
. "$(dirname "$0")/relay_lib.sh"
start_node node --difficulty 20000 --block-time 1s
node_port=$port
best=
for contact in 1 2 3 4 5; do
    port=$node_port
    start_relay "relay$contact" --delay 200
    start_miner "miner$contact" --max-blocks 1
    ends "$miner_pid" 0
    stop_relay
    limits_hold
    trips=$(json_field "$dir/miner$contact.log" handshake round_trips)
    # The leaf, its signature and all the rest fit what six times the client's bytes pay for.
    if [ "$trips" -eq 1 ] && [ "$(relay_number before_validation from_server)" -gt 7200 ]; then
        best=$contact
        break
    fi
    echo "contact $contact: $(grep -F '"event":"handshake"' "$dir/miner$contact.log")"
    cat "$dir/relay$contact.json"
done
[ -n "$best" ] || fail "no contact took one round trip"
