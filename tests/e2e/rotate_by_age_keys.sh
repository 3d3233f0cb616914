#!/bin/sh
# Rotation by age of a node with --key-process: the next key is made by a process of its own, and
# neither it nor the others are ever in the process that talks to the network.  When that process
# fails, all stays as it was, and the log says why.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/node_lib.sh"
: "${FIND_KEY:?names the built find_key}"
look=yes
if grep -q -e __asan_init -e __tsan_init "$PQLINK"; then
    look=no # the memory of a sanitizer's build is too large to be looked through
fi
day=86400
notice=$((day / 4))             # of one day
# note FILE TEXT: replaces a note in the node's directory as pqlink does.
note() {
    printf '%s\n' "$2" >"$dir/note"
    mv "$dir/note" "$dir/node/$1"
}
gets_in() {
    expect 0 mine --node "quic://127.0.0.1:$port" --pin "$1" --threads 1 --max-blocks 1 --admin off
}
by_age() {
    start_node node --difficulty 20000 --block-time 1s --key-process --key-rotation-days 1 "$@"
}
# hidden IDENTITY: its keys are not in the node.
hidden() {
    [ "$look" = yes ] || return 0
    for key in pq classical; do
        found=0
        "$FIND_KEY" "$node_pid" "$dir/node/$1/$key-key.pem" >"$dir/look" 2>&1 || found=$?
        if [ "$found" = 3 ]; then
            echo "This user may not read the memory of other processes: not looked for keys there." >&2
            look=no
            return 0
        fi
        [ "$found" = 1 ] || { cat "$dir/look" >&2; fail "the $key key of $1 is in the node"; }
        grep -q '^[1-9][0-9]* bytes' "$dir/look" || fail "nothing was looked through"
    done
}

# ---- prepared by a process of its own, which is then gone ----
expect 0 keygen --dir "$dir/node"
note identity/since "since $(($(date +%s) - day + notice + 8))"
by_age
first=$pin
start_miner a                   # with the pin of today, through all that follows
a_pid=$miner_pid
wait_for "$dir/a.log" '"event":"job"'
wait_for "$dir/node.log" '"event":"rotation_process_started"'
maker=$(json_field "$dir/node.log" rotation_process_started pid)
wait_for "$dir/node.log" '"event":"rotation_prepared"'
wait_for "$dir/a.log" '"event":"rotation_announced"'
second=$(json_field "$dir/node.log" rotation_prepared next)
contains "$dir/node/identity-next/rotation" 'by_age 1'
contains "$dir/node/identity-next/rotation" "keep $((day / 2))"
gets_in "$first"
gets_in "$second"
tries=0
while [ -e "/proc/$maker" ]; do # reaped, too
    tries=$((tries + 1))
    [ $tries -lt 600 ] || fail "the process that made the next identity is still there"
    sleep 0.1
done
[ "$(grep -c '"event":"rotation_process_started"' "$dir/node.log")" = 1 ] || fail "there was more than one"
hidden identity
hidden identity-next

# ---- what is under way is not begun again, whoever asks ----
expect 6 rotate prepare --dir "$dir/node" --by-age 1 --if-current "$first"

# ---- kill -9: the same next identity, the same time ----
before=$(cat "$dir/node/identity-next/rotation")
kill -9 "$node_pid"
wait "$node_pid" 2>/dev/null || :
listen_port=$port by_age
wait_for "$dir/a.log" '"event":"connected"' 2
[ "$(cat "$dir/node/identity-next/rotation")" = "$before" ] || fail "kill -9 moved the switch"
! grep -q '"event":"rotation_process_started"' "$dir/node.log" || fail "it was prepared once more"

# ---- the switch ----
note identity-next/rotation "switch_at $(($(date +%s) + 3))
keep $((day / 2))
drop_at 0
by_age 1"
wait_for "$dir/node.log" "\"event\":\"identity_switched\",\"from\":\"$first\",\"to\":\"$second\""
gets_in "$first"
gets_in "$second"
hidden identity
hidden identity-previous
[ "$(grep -c '"event":"disconnected"' "$dir/a.log" || :)" -le 1 ] || fail "the switch dropped a link"
note identity/rotation "switch_at 0
keep $((day / 2))
drop_at $(($(date +%s) + 3))
by_age 1"
wait_for "$dir/node.log" '"event":"identity_previous_dropped"'
gets_in "$second"
hidden identity
kill -TERM "$a_pid"
ends "$a_pid" 0
kill -TERM "$node_pid"
ends "$node_pid" 0

# ---- encrypted keys, and a process that fails ----
printf 'one two three four five\n' >"$dir/words"
chmod 600 "$dir/words"
expect 0 key encrypt --dir "$dir/node" --passphrase-file "$dir/words"
note identity/since "since $(($(date +%s) - day + notice + 15))"
by_age --passphrase-file "$dir/words"
chmod 644 "$dir/words"          # which nobody takes a passphrase from
wait_for "$dir/node.log" '"event":"rotation_failed"'
grep -F '"event":"rotation_failed"' "$dir/node.log" >"$dir/failed"
contains "$dir/failed" 'The process that makes the next identity failed'
contains "$dir/failed" "$dir/words"
[ ! -e "$dir/node/identity-next" ] || fail "there is a next identity"
gets_in "$second"               # with what it was
chmod 600 "$dir/words"
kill -HUP "$node_pid"           # tries at once
wait_for "$dir/node.log" '"event":"rotation_prepared"'
contains "$dir/node/identity-next/pq-key.pem" 'BEGIN ENCRYPTED PRIVATE KEY'
gets_in "$(json_field "$dir/node.log" rotation_prepared next)"
kill -TERM "$node_pid"
ends "$node_pid" 0

# ---- another identity than the node decided by ----
expect 0 rotate cancel --dir "$dir/node"
expect 1 rotate prepare --dir "$dir/node" --by-age 1 --if-current "$first" --passphrase-file "$dir/words"
contains "$dir/err" 'another one meanwhile'
[ ! -e "$dir/node/identity-next" ] || fail "it was prepared all the same"
