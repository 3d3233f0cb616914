#!/bin/sh
# With --key-process the private keys are not in the memory of the process that talks to the network,
# also through a rotation; links open, blocks are mined, and the node stops when the key process
# ends.  The same look finds the keys without --key-process, and in the key process.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/node_lib.sh"
: "${FIND_KEY:?names the built find_key}"
if grep -q -e __asan_init -e __tsan_init "$PQLINK"; then
    echo "SKIPPED: the memory of a sanitizer's build is too large to be looked through"
    exit 77
fi
easy='--difficulty 20000 --block-time 1s'

# look PID KEY-FILE: 0 found, 1 not found.
look() {
    found=0
    "$FIND_KEY" "$1" "$2" >"$dir/look" 2>&1 || found=$?
    [ "$found" -le 1 ] || { cat "$dir/look" >&2; fail "the memory of $1 could not be looked through"; }
    return "$found"
}

# hidden PID DIRECTORY: no key of the identity in DIRECTORY is in the process.
hidden() {
    for key in pq classical; do
        look "$1" "$2/$key-key.pem" && { cat "$dir/look" >&2; fail "the $key key is in process $1"; }
        grep -q '^[1-9][0-9]* bytes' "$dir/look" || fail "nothing was looked through"
    done
    return 0
}

# held PID DIRECTORY: both are.
held() {
    for key in pq classical; do
        look "$1" "$2/$key-key.pem" || { cat "$dir/look" >&2; fail "the look misses the $key key in process $1"; }
    done
}

# ---- the look finds keys where they are ----

# shellcheck disable=SC2086
start_node plain $easy
start_miner plain_miner --max-blocks 1
ends "$miner_pid" 0
"$FIND_KEY" "$node_pid" "$dir/plain/identity/pq-key.pem" >/dev/null 2>&1 || {
    [ $? -ne 3 ] || { echo "SKIPPED: this user may not read the memory of other processes"; exit 77; }
}
held "$node_pid" "$dir/plain/identity"
kill -TERM "$node_pid"
ends "$node_pid" 0

# ---- they are not in the node ----

# shellcheck disable=SC2086
start_node node --key-process $easy
key_pid=$(json_field "$dir/node.log" key_process_started pid)
[ -d "/proc/$key_pid" ] || fail "there is no key process"
start_miner miner --max-blocks 3
ends "$miner_pid" 0
contains "$dir/miner.log" '"ML-DSA-87"'
hidden "$node_pid" "$dir/node/identity"
if [ "$(id -u)" = 0 ]; then
    held "$key_pid" "$dir/node/identity"
else
    look_status=0
    "$FIND_KEY" "$key_pid" "$dir/node/identity/pq-key.pem" >/dev/null 2>&1 || look_status=$?
    [ "$look_status" -eq 3 ] || fail "another process of the user can read the memory of the key process"
fi
grep -q '^Seccomp:.*2$' "/proc/$key_pid/status" || fail "the key process may do all system calls"
contains "/proc/$key_pid/status" 'pqlink-keys'
curl -sS "http://127.0.0.1:$admin_port/readyz" >"$dir/ready"
contains "$dir/ready" 'key_process'

# ---- a rotation ----

first_pin=$pin
expect 0 rotate prepare --dir "$dir/node" --switch-in 7d
kill -HUP "$node_pid"
wait_for "$dir/node.log" '"event":"rotation_prepared"'
pin=$(json_field "$dir/node.log" rotation_prepared next)
[ "$pin" != "$first_pin" ] || fail "the next identity is the present one"
start_miner early --max-blocks 1 # with the next pin, before the switch
ends "$miner_pid" 0
hidden "$node_pid" "$dir/node/identity-next"
expect 0 rotate switch --dir "$dir/node"
kill -HUP "$node_pid"
wait_for "$dir/node.log" '"event":"identity_switched"'
start_miner late --max-blocks 1
ends "$miner_pid" 0
pin=$first_pin
start_miner old --max-blocks 1 # with the previous pin, in the overlap
ends "$miner_pid" 0
hidden "$node_pid" "$dir/node/identity"
hidden "$node_pid" "$dir/node/identity-previous"

# ---- without its keys a node is none ----

kill -KILL "$key_pid"
ends "$node_pid" 1
contains "$dir/node.log" '"event":"key_process_ended"'
contains "$dir/node.log" 'signal 9'

# ---- it ends with its node ----

# shellcheck disable=SC2086
start_node node --key-process $easy
key_pid=$(json_field "$dir/node.log" key_process_started pid)
kill -KILL "$node_pid"
ends "$node_pid" 137
tries=0
while [ -d "/proc/$key_pid" ] && ! grep -q '^State:.*Z' "/proc/$key_pid/status" 2>/dev/null; do
    tries=$((tries + 1))
    [ $tries -lt 600 ] || fail "the key process outlived its node"
    sleep 0.1
done

# ---- what does not go together, and what is missing ----

expect 2 node --key-process --amnesia
contains "$dir/err" 'contradict each other'
rm -r "$dir/node/identity"
expect 6 node --key-process --dir "$dir/node" --listen quic://127.0.0.1:0 --admin off
