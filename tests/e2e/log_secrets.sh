#!/bin/sh
# A whole run at the level debug, in both log formats: lines of one link carry one corr_id from its
# opening to its end, and nothing that a program writes or shows has a secret of the run in it.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/node_lib.sh"
if ! command -v python3 >/dev/null; then
    echo "SKIPPED: python3 is missing, and it looks for the secrets" >&2
    exit 77
fi

token=5e3ff6a1c0ffee00d15ea5e0b57ac1e5feedfacedeadbeef0123456789abcdef
wrong=0badc0de0badc0de0badc0de0badc0de0badc0de0badc0de0badc0de0badc0de
printf 'alice:%s\n' "$token" >"$dir/tokens"
printf '%s\n' "$token" >"$dir/token"
printf '%s\n' "$wrong" >"$dir/wrong"
chmod 600 "$dir/tokens" "$dir/token" "$dir/wrong"
printf '[node]\ntokens = "%s"\nlog_level = "debug"\n' "$dir/tokens" >"$dir/pqlink.conf"

start_node node --config "$dir/pqlink.conf" --difficulty 20000 --block-time 1s --keylog "$dir/keys"
start_miner good --token-file "$dir/token" --max-blocks 2 --log-level debug
ends "$miner_pid" 0
expect 9 mine --node "quic://127.0.0.1:$port" --pin "$pin" --threads 1 --admin off \
    --token-file "$dir/wrong" --log-level debug --log-format text
cp "$dir/err" "$dir/bad.log"
curl -sS "http://127.0.0.1:$admin_port/status" >"$dir/status.out"
for path in metrics version readyz; do
    curl -sS "http://127.0.0.1:$admin_port/$path" >"$dir/$path.out"
done
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

# What must not be said: tokens, private keys, the secrets of the node and of its TLS sessions, and
# what the links carried.
python3 - "$dir" >"$dir/secrets" <<'END'
import base64
import glob
import sqlite3
import sys

at = sys.argv[1]


def secret(kind, value):
    print(kind, value.hex())


for name in ["token", "wrong"]:
    text = open(f"{at}/{name}", encoding="ascii").read().strip()
    secret("token", text.encode())
    secret("token", bytes.fromhex(text))
for name in glob.glob(f"{at}/node/identity/*key*.pem"):
    lines = open(name, encoding="ascii").read().splitlines()
    secret("private-key", base64.b64decode("".join(l for l in lines if not l.startswith("-----"))))
for line in open(f"{at}/keys", encoding="ascii"):
    secret("tls-" + line.split()[0].lower(), bytes.fromhex(line.split()[2]))
for name in glob.glob(f"{at}/node/*.sqlite3"):
    store = sqlite3.connect(name)
    for value, previous in store.execute("SELECT value, previous FROM secret"):
        secret("store", value)
        secret("store", previous or value)
    for nonce, mining_hash in store.execute("SELECT nonce, mining_hash FROM block"):
        secret("payload-nonce", nonce)
        secret("payload-hash", mining_hash)
END
for kind in token private-key tls-server_traffic_secret_0 tls-client_handshake_traffic_secret store payload-nonce payload-hash; do
    grep -q "^$kind " "$dir/secrets" || fail "no secret of the kind $kind was found to look for"
done
python3 "$(dirname "$0")/secrets_in.py" "$dir/secrets" "$dir"/*.log "$dir"/*.out || fail "a secret was said"

# The control: each of them would have been found, in all three forms.
cut -d ' ' -f 1 "$dir/secrets" | sort -u | while read -r kind; do
    grep "^$kind " "$dir/secrets" | tail -n 1 >"$dir/one"
    value=$(cut -d ' ' -f 2 "$dir/one")
    encoded=$(python3 -c 'import base64, sys; print(base64.urlsafe_b64encode(b"x" + bytes.fromhex(sys.argv[1])).decode())' "$value")
    for form in "$value" "$(printf %s "$value" | tr a-f A-F)" "$encoded"; do
        { cat "$dir/node.log" && printf '{"event":"oops","value":"%s"}\n' "$form"; } >"$dir/planted"
        if python3 "$(dirname "$0")/secrets_in.py" "$dir/one" "$dir/planted" >"$dir/found"; then
            fail "a planted $kind was not found"
        fi
        contains "$dir/found" ": $kind"
    done
done
