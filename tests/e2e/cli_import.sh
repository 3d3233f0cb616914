#!/bin/sh
# keygen --import-quantus takes over the certificate of an official node, made here by OpenSSL in
# the kinds and forms that such nodes have, with the fingerprint that their miners pinned.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/node_lib.sh"
command -v openssl >/dev/null || {
    echo "SKIPPED: there is no openssl here to make the certificates of another program" >&2
    exit 77
}
make_original() {
    chain="$dir/$1"
    mkdir "$chain"
    shift
    openssl req -x509 -newkey "$@" -nodes -days 36500 -subj "/CN=rcgen self signed cert" \
        -addext "subjectAltName=DNS:localhost" -keyout "$chain/key.pem" \
        -out "$chain/cert.pem" 2>"$dir/openssl" || { cat "$dir/openssl" >&2; fail "openssl req"; }
    openssl x509 -in "$chain/cert.pem" -outform DER -out "$chain/miner-tls-cert.der"
    openssl pkcs8 -topk8 -nocrypt -in "$chain/key.pem" -outform DER \
        -out "$chain/miner-tls-key.der"
    chmod 600 "$chain/miner-tls-key.der"
}
# takes_over NAME ALGORITHM: a new identity has the certificate of $dir/NAME, and a node shows it to
# official miners.
takes_over() {
    rm -rf "$dir/own"
    expect 0 keygen --dir "$dir/own" --import-quantus "$dir/$1"
    pin=$(sha256sum "$dir/$1/miner-tls-cert.der" | cut -d ' ' -f 1)
    contains "$dir/out" "$2"
    contains "$dir/out" "sha256:$pin"
    expect 0 fingerprint --dir "$dir/own"
    contains "$dir/out" "sha256:$pin"
    original=$pin
    start_node own
    expect 0 fingerprint --remote "quic://127.0.0.1:$port" --alpn quantus-miner/2
    contains "$dir/out" "sha256:$original"
    [ "$(cat "$dir/own/miner-tls-cert-sha256")" = "$original" ] ||
        fail "miner-tls-cert-sha256 is not that of the official node"
    kill -TERM "$node_pid"
    ends "$node_pid" 0
}

make_original p256 ec -pkeyopt ec_paramgen_curve:P-256
printf '%064d\n' 42 >"$dir/p256/miner-auth-token"
takes_over p256 ECDSA-P256
cmp "$dir/p256/miner-auth-token" "$dir/own/miner-auth-token" || fail "the token is another one"
make_original p384 ec -pkeyopt ec_paramgen_curve:P-384
takes_over p384 ECDSA-P384
make_original ed25519 ed25519
takes_over ed25519 Ed25519
make_original rsa rsa:2048
takes_over rsa RSA

# The older forms of the key.
openssl ec -in "$dir/p256/key.pem" -outform DER -out "$dir/p256/miner-tls-key.der" 2>/dev/null
takes_over p256 ECDSA-P256
openssl rsa -in "$dir/rsa/key.pem" -traditional -outform DER -out "$dir/rsa/miner-tls-key.der" \
    2>/dev/null
takes_over rsa RSA

# What does not belong together, or is not all there, makes nothing.
cp "$dir/p256/miner-tls-key.der" "$dir/p384/miner-tls-key.der"
expect 6 keygen --dir "$dir/none" --import-quantus "$dir/p384"
contains "$dir/err" "does not fit"
rm "$dir/p384/miner-tls-key.der"
expect 6 keygen --dir "$dir/none" --import-quantus "$dir/p384"
contains "$dir/err" "miner-tls-key.der is missing"
chmod 644 "$dir/rsa/miner-tls-key.der"
expect 6 keygen --dir "$dir/none" --import-quantus "$dir/rsa"
contains "$dir/err" "chmod 600"
expect 7 keygen --dir "$dir/none" --import-quantus "$dir/nowhere"
[ ! -e "$dir/none/identity" ] || fail "a failed import left an identity"
