# A bad network between the miner and the node; sourced after node_lib.sh.  tests/relay says what
# the options are.
: "${UDP_RELAY:?names the relay program}"

# start_relay NAME [OPTION...]: in front of $port, which becomes the relay's port; sets $relay_pid.
start_relay() {
    relay_name=$1
    shift
    "$UDP_RELAY" --listen 127.0.0.1:0 --to "127.0.0.1:$port" --stats "$dir/$relay_name.json" "$@" \
        >"$dir/$relay_name.out" &
    relay_pid=$!
    nodes="$nodes $relay_pid"
    wait_for "$dir/$relay_name.out" 'port '
    port=$(sed -n 's/^port //p' "$dir/$relay_name.out")
}

# stop_relay: what it has seen is then in $dir/NAME.json.
stop_relay() {
    kill -TERM "$relay_pid"
    ends "$relay_pid" 0
}

# relay_number OBJECT NAME: a figure of the relay that was stopped last.
relay_number() {
    sed -n "s/.*\"$1\":{[^}]*\"$2\":\([0-9]*\).*/\1/p" "$dir/$relay_name.json"
}

# What holds on every path: the limits of RFC 9000, 8.1 and 14.1, as the relay saw them.
limits_hold() {
    [ "$(relay_number before_validation from_server)" -gt 0 ] || fail "the relay saw no handshake"
    [ "$(relay_number before_validation over_three_times)" -eq 0 ] || {
        cat "$dir/$relay_name.json" >&2
        fail "the server sent more than three times what it had received"
    }
    for way in largest_to_server largest_to_client; do
        [ "$(relay_number before_done $way)" -le 1200 ] || {
            cat "$dir/$relay_name.json" >&2
            fail "a datagram of the handshake was larger than every path must carry"
        }
    done
}
