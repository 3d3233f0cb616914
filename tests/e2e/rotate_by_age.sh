#!/bin/sh
# A node replaces its key by itself when it is old enough: announced, with both pins good in
# between, without a dropped link, and where it was after a kill.  Days are shortened by what the
# files on the disk say.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/node_lib.sh"
day=86400
notice=$((day / 4))             # of one day
# note FILE TEXT: replaces a note in the node's directory as pqlink does.
note() {
    printf '%s\n' "$2" >"$dir/note"
    mv "$dir/note" "$dir/node/$1"
}
# pin_of SECTION: the post-quantum fingerprint out of `rotate status`.
pin_of() {
    "$PQLINK" rotate status --dir "$dir/node" | grep "^$1 .* sha256:" | sed -n "1s/.* //p"
}
gets_in() {
    expect 0 mine --node "quic://127.0.0.1:$port" --pin "$1" --threads 1 --max-blocks 1 --admin off
}
status() { curl -sS "http://127.0.0.1:$admin_port/status" >"$dir/status"; }
by_age() { start_node node --difficulty 20000 --block-time 1s --key-rotation-days 1; }

expect 0 keygen --dir "$dir/node"
since=$(sed -n 's/^since //p' "$dir/node/identity/since")
[ $(($(date +%s) - since)) -lt 600 ] || fail "a new identity is in use since $since"

# ---- not old yet: the status says when ----
by_age
first=$pin
status
contains "$dir/status" "\"automatic\":{\"days\":1,\"prepare_at\":$((since + day - notice))"
expect 0 rotate status --dir "$dir/node" --key-rotation-days 1 --json
contains "$dir/out" "\"automatic\":{\"days\":1,\"prepare_at\":$((since + day - notice))"
expect 0 rotate status --dir "$dir/node" --key-rotation-days 1
contains "$dir/out" "A node with --key-rotation-days 1 prepares the next one at 2"
kill -TERM "$node_pid"
ends "$node_pid" 0

# ---- old enough a few seconds after the start ----
note identity/since "since $(($(date +%s) - day + notice + 8))"
listen_port=$port by_age
start_miner a                   # with the pin of today, through all that follows
a_pid=$miner_pid
wait_for "$dir/a.log" '"event":"job"'
wait_for "$dir/node.log" '"event":"rotation_prepared"'
wait_for "$dir/a.log" '"event":"rotation_announced"'
second=$(pin_of next)
[ -n "$second" ] || fail "rotate status shows no next identity"
expect 0 rotate status --dir "$dir/node"
contains "$dir/out" "The node makes this rotation by itself, after 1 days"
status
contains "$dir/status" '"by_age_days":1'
gets_in "$first"
gets_in "$second"

# ---- kill -9 before the switch: the same next identity, the same time ----
before=$(cat "$dir/node/identity-next/rotation")
kill -9 "$node_pid"
wait "$node_pid" 2>/dev/null || :
listen_port=$port by_age
wait_for "$dir/a.log" '"event":"connected"' 2
[ "$(pin_of next)" = "$second" ] || fail "after kill -9 there is another next identity"
[ "$(cat "$dir/node/identity-next/rotation")" = "$before" ] || fail "kill -9 moved the switch"

# ---- the switch: the miner goes on mining ----
note identity-next/rotation "switch_at $(($(date +%s) + 3))
keep $((day / 2))
drop_at 0
by_age 1"
wait_for "$dir/node.log" "\"event\":\"identity_switched\",\"from\":\"$first\",\"to\":\"$second\""
found=$(grep -c '"event":"block_accepted"' "$dir/node.log" || :)
wait_for "$dir/node.log" '"event":"block_accepted"' $((${found:-0} + 2))
expect 0 fingerprint --remote "quic://127.0.0.1:$port"
contains "$dir/out" "$second"
gets_in "$first"
gets_in "$second"
[ "$(grep -c '"event":"disconnected"' "$dir/a.log" || :)" -le 1 ] ||
    fail "the switch dropped a link"
kill -0 "$a_pid" || fail "the miner is gone"

# ---- the end of the overlap ----
note identity/rotation "switch_at 0
keep $((day / 2))
drop_at $(($(date +%s) + 3))
by_age 1"
wait_for "$dir/node.log" '"event":"identity_previous_dropped"'
gets_in "$second"
expect 3 mine --node "quic://127.0.0.1:$port" --pin "$first" --threads 1 --admin off
status
contains "$dir/status" '"state":"none"'
[ "$(grep -c '"event":"disconnected"' "$dir/a.log" || :)" -le 1 ] ||
    fail "the end of the overlap dropped a link"
kill -TERM "$a_pid"
ends "$a_pid" 0
kill -TERM "$node_pid"
ends "$node_pid" 0

# ---- another age is taken over by SIGHUP ----
conf() {
    printf '[node]\nkey_rotation_days = %s\n' "$1" >"$dir/conf.new"
    mv "$dir/conf.new" "$dir/pqlink.conf"
}
conf 90
listen_port=$port start_node node --config "$dir/pqlink.conf"
wait_for "$dir/node.log" '"event":"rotation_by_age","days":90'
conf 30
kill -HUP "$node_pid"
wait_for "$dir/node.log" '"event":"rotation_by_age","days":30'
conf 0
kill -HUP "$node_pid"
wait_for "$dir/node.log" '"event":"rotation_by_age","days":0'
kill -TERM "$node_pid"
ends "$node_pid" 0
