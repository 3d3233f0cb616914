#!/bin/sh
# Capability tokens from a user's seat: keys, tokens and narrower ones; miners of both kinds that log
# in with them, an expiry and a revocation while connected; the admin port with curl and node status.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/node_lib.sh"
command -v curl >/dev/null || { echo "SKIPPED: there is no curl"; exit 77; }
umask 077
keys=$dir/keys

expect 0 token keygen --keys "$keys" --tenant acme --kid first --verifier-keys "$dir/verifier"
[ "$(stat -c %a "$keys")" = 600 ] || fail "others could read the keys"
! grep -q private "$dir/verifier" || fail "the verifier's file has private keys"

# What was revoked for verifiers, and what they ask for, stays when a key comes.
cp "$keys" "$dir/keys.more"
sed 's/^require_signature = false/require_signature = true/' "$dir/verifier" >"$dir/verifier.more"
echo '000102030405060708090a0b0c0d0e0f = "lost"' >>"$dir/verifier.more"
echo 'f00102030405060708090a0b0c0d0e0f = "lost too"' >>"$dir/keys.more"
expect 0 token keygen --keys "$dir/keys.more" --tenant other --verifier-keys "$dir/verifier.more"
contains "$dir/verifier.more" '000102030405060708090a0b0c0d0e0f = "lost"'
contains "$dir/verifier.more" 'f00102030405060708090a0b0c0d0e0f = "lost too"'
contains "$dir/verifier.more" 'require_signature = true'
contains "$dir/verifier.more" 'tenant = "other"'
! grep -q private "$dir/verifier.more" || fail "the verifier's file has private keys"

# Who makes keys at the same time loses none.
adders=
for n in 1 2 3 4 5 6 7 8; do
    "$PQLINK" token keygen --keys "$dir/keys.many" --tenant "tenant-$n" --sign-algo none >"$dir/many.$n" 2>&1 &
    adders="$adders $!"
done
for adder in $adders; do ends "$adder" 0; done
[ "$(grep -c '^tenant' "$dir/keys.many")" = 8 ] || fail "keys that were made at the same time are lost"

# mint FILE OPTION...: a token into a file.
mint() {
    file=$1
    shift
    "$PQLINK" token mint --keys "$keys" "$@" >"$file" || fail "token mint $*"
}
mint "$dir/shed" --audience miner --expires-in 30d
mint "$dir/rig" --audience miner --expires-in 30d --address 127.0.0.0/8
mint "$dir/far" --audience miner --address 192.0.2.0/24
mint "$dir/brief" --audience miner --expires-in 3s
mint "$dir/full" --audience admin --sign
mint "$dir/metrics" --audience admin --method GET --path /metrics --address 127.0.0.1

# A holder narrows what it has; what stands in it can be read; neither takes a key.
"$PQLINK" token attenuate --path /status --token-file "$dir/full" >"$dir/status" </dev/null
"$PQLINK" token inspect <"$dir/status" >"$dir/out"
contains "$dir/out" 'NOT VERIFIED'
contains "$dir/out" 'path /status'
expect 0 token verify --keys "$dir/verifier" --token-file "$dir/status" --audience admin --path /status
contains "$dir/out" 'allowed: tenant acme, key first, signed'
expect 1 token verify --keys "$keys" --token-file "$dir/status" --audience admin --path /metrics
contains "$dir/out" 'denied: path'
expect 1 token verify --keys "$keys" --token-file "$dir/status" --audience admin
contains "$dir/out" 'denied: path'
expect 1 token mint --keys "$keys" --audience miner --sign
contains "$dir/err" "a miner's login carries 512"
chmod 644 "$dir/status"
expect 7 token inspect --token-file "$dir/status"
contains "$dir/err" 'chmod o-rwx'
chmod 600 "$dir/status"

start_node node --difficulty 4000000000 --capability-keys "$keys" --admin-capabilities "$dir/verifier" \
    --capability-skew 0s
[ ! -e "$dir/node/miner-auth-token" ] || fail "a token was made that nobody needs"

# The admin port.  ask STATUS PATH [CURL-OPTION...]
ask() {
    wanted=$1
    path=$2
    shift 2
    code=$(curl -s -o "$dir/answer" -D "$dir/headers" -w '%{http_code}' "$@" "http://127.0.0.1:$admin_port$path")
    [ "$code" = "$wanted" ] || { cat "$dir/answer" >&2; fail "$path answered $code instead of $wanted"; }
}
as() { printf 'header = "Authorization: %s %s"\n' "$1" "$(cat "$2")" >"$dir/curl"; } # not on the command line
ask 200 /healthz
ask 200 /readyz
for path in / /metrics /version /status /snapshot /events /page.js /nothing; do
    ask 401 $path
    contains "$dir/headers" 'WWW-Authenticate: Bearer realm="pqlink"'
done
as Bearer "$dir/full"
ask 200 /status -K "$dir/curl"
ask 404 /nothing -K "$dir/curl"
ask 200 /snapshot -K "$dir/curl"
# A stream ends with the token that opened it, and not with the patience of whoever listens.
"$PQLINK" token attenuate --token-file "$dir/full" --expires-in 2s >"$dir/passing" </dev/null
as Bearer "$dir/passing"
ask 200 /events -N --max-time 60 -K "$dir/curl"
contains "$dir/answer" 'data:'
ask 403 /events -K "$dir/curl"
contains "$dir/answer" expired
as mAcRo "$dir/metrics"
ask 200 /metrics -K "$dir/curl"
ask 403 /metrics -K "$dir/curl" --head
ask 403 /status -K "$dir/curl"
contains "$dir/answer" path
ask 403 /metrics/../status --path-as-is -K "$dir/curl"
as bearer "$dir/shed"
ask 403 /metrics -K "$dir/curl"
contains "$dir/answer" audience
as Basic "$dir/full"
ask 401 /metrics -K "$dir/curl"
as Bearer "$dir/full"
ask 401 /metrics -K "$dir/curl" -H 'Authorization: Bearer x'
ask 403 /metrics -H 'Authorization: Bearer x'
contains "$dir/answer" parse
expect 9 node status --admin "127.0.0.1:$admin_port"
contains "$dir/err" '--token-file'
expect 9 node status --admin "127.0.0.1:$admin_port" --token-file "$dir/metrics"
contains "$dir/err" 'denied the request: path'
expect 0 node status --admin "127.0.0.1:$admin_port" --token-file "$dir/status"
contains "$dir/out" '0 miners'

# Miners.
start_miner none
ends "$miner_pid" 9
wait_for "$dir/node.log" 'it has no token'
start_miner wrong --token-file "$dir/full"
ends "$miner_pid" 7
contains "$dir/wrong.log" 'which no token is'
start_miner far --token-file "$dir/far"
ends "$miner_pid" 9
wait_for "$dir/node.log" 'its capability token is refused: address'
start_miner shed --token-file "$dir/shed"
shed_pid=$miner_pid
wait_for "$dir/node.log" '"event":"link_open","miner":"acme","token":"first"'
"$PQLINK" mine --node "quantus://127.0.0.1:$port" --pin-file "$dir/node/miner-tls-cert-sha256" \
    --token-file "$dir/rig" --threads 1 --admin off --log-format json >"$dir/rig.out" 2>"$dir/rig.log" &
rig_pid=$!
nodes="$nodes $rig_pid"
wait_for "$dir/node.log" '"event":"link_open","miner":"acme","token":"first"' 2

# One that has expired does not get in; one that expires while connected is sent away, comes back, and
# is let in when its file has a newer one by then.
wait_for_expiry() {
    tries=0
    while "$PQLINK" token verify --keys "$keys" --clock-skew 0s --audience miner --token-file "$1" \
        >/dev/null; do
        tries=$((tries + 1))
        [ $tries -lt 600 ] || fail "a token of 3 seconds does not expire"
        sleep 0.1
    done
}
wait_for_expiry "$dir/brief"
start_miner late --token-file "$dir/brief"
ends "$miner_pid" 9
wait_for "$dir/node.log" 'its capability token is refused: expired'
mint "$dir/renewed" --audience miner --expires-in 10s
start_miner renewed --token-file "$dir/renewed"
renewed_pid=$miner_pid
wait_for "$dir/node.log" '"event":"link_open","miner":"acme","token":"first"' 3
mint "$dir/next" --audience miner --expires-in 30d
mv "$dir/next" "$dir/renewed"
wait_for "$dir/node.log" 'its capability token is no longer good: expired'
wait_for "$dir/node.log" '"event":"link_open","miner":"acme","token":"first"' 4

# Keys that no miner's token could satisfy are refused when they are read again, too.
cp -p "$keys" "$dir/keys.good"
sed -i 's/^require_signature = false/require_signature = true/' "$keys"
kill -HUP "$node_pid"
wait_for "$dir/node.log" '"event":"capability_keys_refused","audience":"miner"'
cp -p "$dir/keys.good" "$keys"

# A new key: tokens of the one before stay good.  A revoked token ends its miner and no other.
expect 0 token keygen --keys "$keys" --tenant acme --kid second
number=$("$PQLINK" token inspect --token-file "$dir/shed" | sed -n 's/^number *//p')
printf '%s = "lost"\n' "$number" >>"$keys"
kill -HUP "$node_pid"
wait_for "$dir/node.log" '"event":"capability_keys_loaded","audience":"miner","keys":2'
ends "$shed_pid" 9
wait_for "$dir/node.log" 'its capability token is no longer good: revoked'
as Bearer "$dir/full"
ask 200 /metrics -K "$dir/curl"
contains "$dir/answer" 'pqlink_capability_verify_total{result="expired"} 2'
contains "$dir/answer" 'pqlink_capability_verify_total{result="address"} 1'
contains "$dir/answer" 'pqlink_capability_verify_total{result="signature"} 0'
contains "$dir/answer" 'miner="acme"'
kill -0 "$rig_pid" && kill -0 "$renewed_pid" || fail "another miner was sent away"

# A file with a mistake changes nothing.
printf 'rubbish\n' >"$keys"
kill -HUP "$node_pid"
wait_for "$dir/node.log" '"event":"capability_keys_refused","audience":"miner","reason":' 2
kill -0 "$rig_pid" || fail "the miner was sent away by a mistake in a file"
kill -TERM "$rig_pid" "$renewed_pid"
ends "$rig_pid" 0
ends "$renewed_pid" 0
kill -TERM "$node_pid"
ends "$node_pid" 0
! grep -l 'pqcap1' "$dir"/*.log "$dir"/*.out || fail "a token stands in a log"

# What cannot be honoured is an error at the start.
rm "$keys"
expect 0 token keygen --keys "$keys" --tenant acme --require-signature
expect 2 node --dir "$dir/node" --listen quic://127.0.0.1:0 --admin off --capability-keys "$keys"
contains "$dir/err" 'too short for signatures'
expect 2 node --dir "$dir/node" --listen quic://127.0.0.1:0 --admin off --admin-capabilities "$keys"
contains "$dir/err" 'contradict each other'
expect 2 node --dir "$dir/node" --listen quic://127.0.0.1:0 --allow-v1 --capability-keys "$keys"
contains "$dir/err" 'contradict each other'
chmod 644 "$keys"
expect 6 node --dir "$dir/node" --listen quic://127.0.0.1:0 --admin off --capability-keys "$keys"
contains "$dir/err" "chmod 600 $keys"
