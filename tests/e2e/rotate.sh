#!/bin/sh
# A node changes its certificate while it serves: links stay up, pins of either certificate get in
# during the overlap, and nobody is locked out before it ends.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/node_lib.sh"
url() { echo "quic://127.0.0.1:$port"; }

# gets_in PIN...: a miner with these pins finds a block.
gets_in() {
    pins=
    for p in "$@"; do pins="$pins --pin $p"; done
    # shellcheck disable=SC2086
    expect 0 mine --node "$(url)" $pins --threads 1 --max-blocks 1 --admin off --log-format json
}
# is_refused PIN: a miner with this pin ends at once, and its sentence names both fingerprints.
is_refused() {
    expect 3 mine --node "$(url)" --pin "$1" --threads 1 --max-blocks 1 --admin off
    contains "$dir/err" "$1"
}
# official: the fingerprint that official miners are shown.
official() {
    "$PQLINK" fingerprint --remote "$(url)" --alpn quantus-miner/2 2>"$dir/err" |
        sed -n '1s/.* sha256://p'
}
# pin_of SECTION LINE: a fingerprint out of `rotate status`.
pin_of() {
    "$PQLINK" rotate status --dir "$dir/node" | grep "^$1 " | sed -n "$2s/.* //p"
}
hup() { kill -HUP "$node_pid"; }

start_node node --difficulty 20000 --block-time 1s
first=$pin
first_spki=$(pin_of current 2)
classical=$(official)
[ -n "$classical" ] || fail "official miners are shown nothing"
start_miner a                   # with the pin of today, through all that follows
a_pid=$miner_pid
wait_for "$dir/a.log" '"event":"job"'

expect 0 mine --node "$(url)" --tofu --dir "$dir/memory" --threads 1 --max-blocks 1 --admin off

# ---- prepared: announced, and either pin gets in ----
expect 0 rotate prepare --dir "$dir/node" --switch-in 1h --keep 1h
contains "$dir/out" "--pin $first --pin "
second=$(pin_of next 1)
hup
wait_for "$dir/node.log" '"event":"rotation_prepared"'
contains "$dir/node.log" "\"next\":\"$second\""
wait_for "$dir/node.log" '"event":"rotation_soon"'
wait_for "$dir/a.log" '"event":"rotation_announced"'
contains "$dir/a.log" "--pin $second"
contains "$dir/a.log" '"pinned":false'
curl -sS "http://127.0.0.1:$admin_port/status" >"$dir/status"
contains "$dir/status" '"rotation":{"state":"prepared","switch_at":1'
contains "$dir/status" "$second"
curl -sS "http://127.0.0.1:$admin_port/metrics" >"$dir/metrics"
contains "$dir/metrics" 'pqlink_identity_change_timestamp_seconds{change="switch"} 1'
gets_in "$first"
gets_in "$second"
gets_in "$first" "$second"
contains "$dir/err" '"pinned":true'
is_refused "sha256:$(printf '%064d' 7)"
expect 6 rotate prepare --dir "$dir/node"
contains "$dir/err" "rotate cancel"
expect 0 fingerprint --dir "$dir/node"
contains "$dir/out" "$second"

# ---- switched by hand: the link of the first miner stays, its pin still gets in ----
expect 0 rotate switch --dir "$dir/node"
hup
wait_for "$dir/node.log" '"event":"identity_switched"'
expect 0 fingerprint --remote "$(url)"
contains "$dir/out" "$second"
wait_for "$dir/a.log" '"event":"rotation_announced"' 2
gets_in "$first"
gets_in "$second"
gets_in "$first_spki"
expect 0 mine --node "$(url)" --tofu --dir "$dir/memory" --threads 1 --max-blocks 1 --admin off
kill -0 "$a_pid" || fail "the first miner is gone"
if grep -q '"event":"disconnected"' "$dir/a.log"; then
    fail "the switch dropped a link"
fi

[ "$(official)" = "$classical" ] || fail "official miners are shown another certificate"

# ---- kill -9 in the overlap: the next start knows where it was ----
kill -9 "$node_pid"
wait "$node_pid" 2>/dev/null || :
listen_port=$port start_node node --difficulty 20000 --block-time 1s
[ "$pin" = "$second" ] || fail "after kill -9 the node shows $pin instead of $second"
contains "$dir/node.log" '"event":"rotation_overlap"'
gets_in "$first"
gets_in "$second"
wait_for "$dir/a.log" '"event":"connected"' 2

# ---- finished: the old pin is refused with a sentence ----
expect 0 rotate finish --dir "$dir/node"
hup
wait_for "$dir/node.log" '"event":"identity_previous_dropped"'
is_refused "$first"
contains "$dir/err" "$second"
expect 3 mine --node "$(url)" --tofu --dir "$dir/memory" --threads 1 --max-blocks 1 --admin off
gets_in "$second"
kill -TERM "$a_pid"
ends "$a_pid" 0

# ---- by the plan's time, with the key kept: pins of the key never notice ----
spki=$(pin_of current 2)
pin=$spki                       # and no other
start_miner b
b_pid=$miner_pid
wait_for "$dir/b.log" '"event":"job"'
expect 0 rotate prepare --dir "$dir/node" --keep-key --switch-in 2s --keep 2s
third=$(pin_of next 1)
[ "$(pin_of next 2)" = "$spki" ] || fail "--keep-key made another key"
hup
wait_for "$dir/node.log" "\"event\":\"identity_switched\",\"from\":\"$second\",\"to\":\"$third\""
wait_for "$dir/node.log" '"event":"identity_previous_dropped"' 2
gets_in "$spki"
gets_in "$third"
is_refused "$second"
if grep -q '"event":"disconnected"' "$dir/b.log"; then
    fail "the switch of the plan dropped a link"
fi
expect 0 rotate status --dir "$dir/node"
contains "$dir/out" "No rotation is under way."

# ---- cancelled: what was announced is taken back ----
expect 0 rotate prepare --dir "$dir/node"
hup
wait_for "$dir/b.log" '"event":"rotation_announced"' 2
expect 0 rotate cancel --dir "$dir/node"
hup
wait_for "$dir/node.log" '"event":"rotation_cancelled"'
wait_for "$dir/b.log" '"event":"rotation_over"'
gets_in "$third"

# ---- the classical certificate alone: our own miners notice nothing ----
before=$(grep -c '"event":"rotation_announced"' "$dir/b.log" || :)
expect 0 rotate prepare --dir "$dir/node" --leaf classical --switch-at never --keep 1h
next_classical=$(pin_of next 1)
contains "$dir/out" "Official miners"
contains "$dir/out" "${next_classical#sha256:}"
expect 0 rotate switch --dir "$dir/node"
hup
wait_for "$dir/node.log" "\"to_classical\":\"$next_classical\""
[ "sha256:$(official)" = "$next_classical" ] || fail "official miners are shown the old certificate"
tries=0
until [ "sha256:$(cat "$dir/node/miner-tls-cert-sha256")" = "$next_classical" ]; do
    tries=$((tries + 1))
    [ $tries -lt 600 ] || fail "miner-tls-cert-sha256 was not brought up to date"
    sleep 0.1
done
gets_in "$third"
[ "$(grep -c '"event":"rotation_announced"' "$dir/b.log" || :)" = "$before" ] ||
    fail "a rotation of the classical certificate was announced to a miner that never sees it"
expect 0 rotate finish --dir "$dir/node"
hup
wait_for "$dir/node.log" '"event":"identity_previous_dropped"' 3
kill -TERM "$b_pid"
ends "$b_pid" 0

# ---- kill -9 before and right after the switch of the plan ----
for moment in rotation_prepared identity_switched; do
    old=$(pin_of current 1)
    seen=$(grep -c "\"event\":\"$moment\"" "$dir/node.log" || :)
    expect 0 rotate prepare --dir "$dir/node" --switch-in 1s --keep 1h
    new=$(pin_of next 1)
    hup
    wait_for "$dir/node.log" "\"event\":\"$moment\"" $((${seen:-0} + 1))
    kill -9 "$node_pid"
    wait "$node_pid" 2>/dev/null || :
    listen_port=$port start_node node --difficulty 20000 --block-time 1s
    gets_in "$old"
    gets_in "$new"
    tries=0
    until "$PQLINK" rotate status --dir "$dir/node" --json | grep -qF '"state":"overlap"'; do
        tries=$((tries + 1))
        [ $tries -lt 600 ] || fail "the switch never came after kill -9 ($moment)"
        sleep 0.1
    done
    [ "$(pin_of current 1)" = "$new" ] || fail "kill -9 lost the next identity ($moment)"
    expect 0 rotate finish --dir "$dir/node"
    hup
    wait_for "$dir/node.log" '"event":"identity_previous_dropped"'
    third=$new
done

# ---- an identity that came in any other way is refused ----
expect 0 keygen --dir "$dir/other"
mv "$dir/node/identity" "$dir/kept"
cp -a "$dir/other/identity" "$dir/node/identity"
hup
wait_for "$dir/node.log" '"event":"reload_refused"'
gets_in "$third"
rm -r "$dir/node/identity"
mv "$dir/kept" "$dir/node/identity"
hup
wait_for "$dir/node.log" '"event":"reloaded"'
kill -TERM "$node_pid"
ends "$node_pid" 0
