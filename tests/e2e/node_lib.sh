# Nodes and miners for the end-to-end tests; sourced after lib.sh.
# Waiting is for events in log files, with a bound that only a broken program reaches.
nodes=
trap 'for n in $nodes; do kill -9 "$n" 2>/dev/null || :; done; rm -rf "$dir"' EXIT

# wait_for FILE TEXT [COUNT]: until the file has the text (so many times).
wait_for() {
    tries=0
    while :; do
        seen=$(grep -cF -- "$2" "$1" 2>/dev/null || :)
        [ "${seen:-0}" -lt "${3:-1}" ] || return 0
        tries=$((tries + 1))
        [ $tries -lt 1200 ] || { cat "$1" >&2; fail "$1 never had: $2 (${3:-1} times)"; }
        sleep 0.1
    done
}

# json_field FILE EVENT NAME: the value of NAME in the last line of the event.
json_field() {
    grep -F "\"event\":\"$2\"" "$1" | tail -n 1 |
        sed -n "s/.*\"$3\":\"\{0,1\}\([^,\"}]*\).*/\1/p"
}

# start_node NAME [OPTION...]: its state is $dir/NAME, its log $dir/NAME.log; sets $node_pid, $port,
# $admin_port and $pin.
start_node() {
    name=$1
    shift
    : >"$dir/$name.log"
    "$PQLINK" node --dir "$dir/$name" --listen "quic://127.0.0.1:${listen_port:-0}" \
        --admin 127.0.0.1:0 --log-format json "$@" 2>"$dir/$name.log" &
    node_pid=$!
    nodes="$nodes $node_pid"
    wait_for "$dir/$name.log" '"event":"listening"'
    port=$(json_field "$dir/$name.log" listening port)
    admin_port=$(json_field "$dir/$name.log" listening admin_port)
    pin=$(json_field "$dir/$name.log" listening fingerprint)
}

# start_miner NAME [OPTION...]: its log is $dir/NAME.log; sets $miner_pid.
start_miner() {
    name=$1
    shift
    "$PQLINK" mine --node "quic://127.0.0.1:$port" --pin "$pin" --threads 1 --admin off \
        --log-format json "$@" >"$dir/$name.out" 2>"$dir/$name.log" &
    miner_pid=$!
    nodes="$nodes $miner_pid"
}

# ends PID STATUS: waits for the process and compares.
ends() {
    status=0
    wait "$1" || status=$?
    [ "$status" -eq "$2" ] || fail "process $1 ended with $status instead of $2"
}
