#!/bin/sh
# OpenSSL's QUIC client and our node: what both negotiate, what it is shown and told, and how it is
# refused.  OPENSSL names another openssl than the one in the PATH.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/node_lib.sh"
openssl=${OPENSSL:-openssl}
# s_client knows QUIC since 3.2; ML-KEM and ML-DSA came with 3.5.
if ! "$openssl" s_client -help 2>&1 | grep -q -e '^ *-quic ' ||
    ! "$openssl" list -kem-algorithms 2>/dev/null | grep -q X25519MLKEM768 ||
    ! "$openssl" list -signature-algorithms 2>/dev/null | grep -q -i ML-DSA-87; then
    echo "SKIPPED: OpenSSL's QUIC client was not tried against the node: it needs OpenSSL 3.5 or" \
        "later with QUIC, and this is $("$openssl" version 2>/dev/null || echo no OpenSSL at all)"
    exit 77
fi

# client GROUPS ALPN EVENT [OPTION...]: a miner that says it is ready and waits until the node has
# logged EVENT; what it said is then in $dir/out.
client() {
    groups=$1
    alpn=$2
    event=$3
    shift 3
    # The client ends with its input, so that stays open until the node has seen all of it.
    rm -f "$dir/in"
    mkfifo "$dir/in"
    exec 3<>"$dir/in"
    seen=$(grep -cF "\"event\":\"$event\"" "$log" || :)
    "$openssl" s_client -quic -groups "$groups" -alpn "$alpn" -connect "127.0.0.1:$port" "$@" \
        <"$dir/in" >"$dir/out" 2>&1 3>&- &
    client_pid=$!
    nodes="$nodes $client_pid"
    printf '\000\000\000\014{"Ready":{}}' >&3
    wait_for "$log" "\"event\":\"$event\"" $((seen + 1))
    exec 3>&-
    wait "$client_pid" || :
}

start_node node --log-level debug
log=$dir/node.log
client X25519MLKEM768 pqlink-miner/1 link_open
contains "$dir/out" 'Protocol: QUICv1'
contains "$dir/out" 'ALPN protocol: pqlink-miner/1'
contains "$dir/out" 'Peer signature type: mldsa87'
shown=$("$openssl" x509 -outform DER <"$dir/out" | sha256sum | cut -d ' ' -f 1)
[ "sha256:$shown" = "$pin" ] || fail "OpenSSL was shown sha256:$shown, and the pin is $pin"
[ "$(json_field "$log" handshake group)" = X25519MLKEM768 ] || fail "another group was used"

# AES-128 is for clients that have nothing stronger, whatever they like best.
client X25519MLKEM768 pqlink-miner/1 link_open \
    -ciphersuites TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384
contains "$dir/out" 'Cipher is TLS_AES_256_GCM_SHA384'

# Hybrid finishes a classical handshake; the miner service then says why it serves nobody on it.
client X25519 pqlink-miner/1 link_refused
contains "$log" 'needs an ML-KEM key exchange'

client X25519MLKEM768 no-such-protocol handshake_failed
contains "$dir/out" 'no peer certificate available'
[ "$(json_field "$log" handshake_failed code)" = 376 ] || fail "the alert was not 120"

start_node strict --policy pq-only
log=$dir/strict.log
client X25519 pqlink-miner/1 handshake_failed
contains "$dir/out" 'no peer certificate available'
[ "$(json_field "$log" handshake_failed status)" = PQL_E_POLICY ] ||
    fail "the node gave another reason than its policy"
client X25519MLKEM768 pqlink-miner/1 link_open
contains "$dir/out" 'Peer signature type: mldsa87'
