#!/bin/sh
# A whole run at the level debug, in both log formats: lines of one link carry one corr_id from its
# opening to its end, and nothing that a program writes has a token or a line of a key in it.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/node_lib.sh"

token=5e3ff6a1c0ffee00d15ea5e0b57ac1e5feedfacedeadbeef0123456789abcdef
wrong=0badc0de0badc0de0badc0de0badc0de0badc0de0badc0de0badc0de0badc0de
printf 'alice:%s\n' "$token" >"$dir/tokens"
printf '%s\n' "$token" >"$dir/token"
printf '%s\n' "$wrong" >"$dir/wrong"
chmod 600 "$dir/tokens" "$dir/token" "$dir/wrong"
printf '[node]\ntokens = "%s"\nlog_level = "debug"\n' "$dir/tokens" >"$dir/pqlink.conf"

start_node node --config "$dir/pqlink.conf" --difficulty 20000 --block-time 1s
start_miner good --token-file "$dir/token" --max-blocks 2 --log-level debug
ends "$miner_pid" 0
expect 9 mine --node "quic://127.0.0.1:$port" --pin "$pin" --threads 1 --admin off \
    --token-file "$dir/wrong" --log-level debug --log-format text
cp "$dir/err" "$dir/bad.log"
curl -sS "http://127.0.0.1:$admin_port/status" >"$dir/status.out"
curl -sS "http://127.0.0.1:$admin_port/metrics" >"$dir/metrics.out"
printf 'alice:%s\nbroken line\n' "$token" >"$dir/tokens"
kill -HUP "$node_pid"
wait_for "$dir/node.log" '"event":"tokens_refused"'
"$PQLINK" config show --config "$dir/pqlink.conf" >"$dir/show.out"
kill -TERM "$node_pid"
ends "$node_pid" 0

# From the opening to the end, on both sides.
opened=$(json_field "$dir/node.log" link_open corr_id)
for event in accepted handshake block_accepted miner_gone link_closed; do
    grep -F "\"event\":\"$event\"" "$dir/node.log" | grep -qF "\"corr_id\":\"$opened\"}" ||
        fail "$event has not the corr_id $opened of its link"
done
mined=$(json_field "$dir/good.log" connecting corr_id)
for event in handshake connected job result disconnected link_closed; do
    [ "$(json_field "$dir/good.log" $event corr_id)" = "$mined" ] || fail "$event of the miner has not the corr_id $mined"
done
[ "$mined" != "$opened" ] || fail "two processes share the corr_id $mined"
grep -F '"event":"link_refused"' "$dir/node.log" | grep -q '"corr_id":"[0-9a-f]\{8\}-[1-9]' ||
    fail "the refused link has no corr_id"

# What must not be said: tokens, and every line of every private key.
printf '%s\n%s\n' "$token" "$wrong" >"$dir/secrets"
for key in "$dir"/node/identity/*key*.pem; do
    grep -v -- '-----' "$key" | head -n -1 >>"$dir/secrets"
done
[ -e "$dir/node/miner-auth-token" ] && cat "$dir/node/miner-auth-token" >>"$dir/secrets"
[ "$(wc -l <"$dir/secrets")" -gt 4 ] || fail "no keys were found to look for"
for file in "$dir"/*.log "$dir"/*.out; do
    if grep -qFf "$dir/secrets" "$file"; then
        fail "$(basename "$file") has a secret in it: $(grep -nFf "$dir/secrets" "$file" | cut -c1-80)"
    fi
done
