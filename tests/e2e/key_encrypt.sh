#!/bin/sh
# Encrypted private keys: every command that opens them takes the passphrase from a file, OpenSSL
# reads what we write and we read what it writes, and a rotation goes on by itself.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/node_lib.sh"
secret='a passphrase that stands nowhere else'
# put FILE TEXT: a file that nobody else can read.
put() { (umask 077; printf '%s\n' "$2" >"$dir/$1"); }
put pass "$secret"
put other "another one"
all_encrypted() {
    for key in pq classical; do
        contains "$1/$key-key.pem" "BEGIN ENCRYPTED PRIVATE KEY"
    done
}

# ---- made encrypted; the fingerprint needs no passphrase ----
expect 0 keygen --dir "$dir/node" --passphrase-file "$dir/pass"
cp "$dir/out" "$dir/made"
all_encrypted "$dir/node/identity"
expect 0 fingerprint --dir "$dir/node"
cmp "$dir/out" "$dir/made" || fail "fingerprint shows another identity than keygen made"

# ---- every mistake is a sentence, and status 6 ----
refused() {
    words=$1
    shift
    expect 6 "$@"
    contains "$dir/err" "$words"
}
node="node --dir $dir/node --listen quic://127.0.0.1:0 --admin off"
# shellcheck disable=SC2086
{
    refused "is encrypted: give --passphrase-file" $node
    refused "does not fit" $node --passphrase-file "$dir/other"
    chmod 644 "$dir/pass"
    refused "chmod 600" $node --passphrase-file "$dir/pass"
    chmod 600 "$dir/pass"
    refused "is encrypted: give --passphrase-file" rotate prepare --dir "$dir/node"
}
[ ! -e "$dir/node/identity-next" ] || fail "a rotation without the passphrase made something"
expect 0 keygen --dir "$dir/plain"
refused "is not encrypted, but a passphrase is given" node --dir "$dir/plain" --admin off \
    --listen quic://127.0.0.1:0 --passphrase-file "$dir/pass"
expect 2 mine --node quic://127.0.0.1:1 --insecure --passphrase-file "$dir/pass"
contains "$dir/err" "--identity"

# ---- OpenSSL opens it with the same file, and what it encrypts is read ----
if command -v openssl >"$dir/null"; then
    for key in classical pq; do
        file="$dir/node/identity/$key-key.pem"
        if ! openssl pkcs8 -in "$file" -passin "file:$dir/pass" -out "$dir/plain.pem" 2>"$dir/err"; then
            [ $key = pq ] || fail "openssl cannot open $file"
            echo "openssl on this machine knows no ML-DSA: only the ECDSA key was opened with it"
        fi
    done
    openssl pkcs8 -in "$dir/node/identity/classical-key.pem" -passin "file:$dir/pass" |
        openssl pkcs8 -topk8 -v2 aes-256-cbc -passout "file:$dir/pass" >"$dir/again.pem"
    cp "$dir/again.pem" "$dir/node/identity/classical-key.pem"
    contains "$dir/node/identity/classical-key.pem" "BEGIN ENCRYPTED PRIVATE KEY"
else
    echo "no openssl here: nothing was read or written with it"
fi

# ---- a node with encrypted keys serves, and a miner shows encrypted ones ----
expect 0 keygen --dir "$dir/miner" --passphrase-file "$dir/other"
"$PQLINK" fingerprint --dir "$dir/miner" | sed -n '1s/.* //p' >"$dir/clients"
start_node node --difficulty 20000 --block-time 1s --passphrase-file "$dir/pass" \
    --clients "$dir/clients"
start_miner a --identity --dir "$dir/miner" --passphrase-file "$dir/other"
wait_for "$dir/a.log" '"event":"job"'

# ---- a rotation in the running node: the next key has the same passphrase ----
expect 0 rotate prepare --dir "$dir/node" --switch-in 2s --keep 1h --passphrase-file "$dir/pass"
all_encrypted "$dir/node/identity-next"
kill -HUP "$node_pid"
wait_for "$dir/node.log" '"event":"identity_switched"'
all_encrypted "$dir/node/identity"
all_encrypted "$dir/node/identity-previous"
if grep -q '"event":"disconnected"' "$dir/a.log"; then
    fail "the switch dropped a link"
fi

# ---- another passphrase under the running node, and none at all ----
expect 0 key passphrase --dir "$dir/node" --passphrase-file "$dir/pass" \
    --new-passphrase-file "$dir/other"
kill -HUP "$node_pid"
wait_for "$dir/node.log" '"event":"reload_refused"'
cp "$dir/other" "$dir/pass"
kill -HUP "$node_pid"
wait_for "$dir/node.log" '"event":"reloaded"'
kill -TERM "$miner_pid"
ends "$miner_pid" 0
kill -TERM "$node_pid"
ends "$node_pid" 0
expect 0 key decrypt --dir "$dir/node" --passphrase-file "$dir/pass"
for key in "$dir"/node/identity*/*-key.pem; do
    contains "$key" "BEGIN PRIVATE KEY"
done
expect 0 rotate finish --dir "$dir/node"
start_node node --clients "$dir/clients"
kill -TERM "$node_pid"
ends "$node_pid" 0

# ---- the passphrase is nowhere but in its file ----
put pass "$secret"
expect 0 key encrypt --dir "$dir/node" --passphrase-file "$dir/pass"
expect 0 key encrypt --dir "$dir/node" --passphrase-file "$dir/pass"
contains "$dir/out" "already"
rm "$dir/pass"
if grep -rqF "$secret" "$dir"; then
    fail "the passphrase lies in a file"
fi
