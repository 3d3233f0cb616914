#!/bin/sh
# OpenSSL's QUIC client and our node: what both negotiate, what it is shown, and how it is refused.
# OPENSSL names another openssl than the one in the PATH.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/node_lib.sh"
openssl=${OPENSSL:-openssl}
# s_client knows QUIC since 3.2; ML-KEM and ML-DSA came with 3.5.
if ! "$openssl" s_client -help 2>&1 | grep -q -e '^ *-quic ' ||
    ! "$openssl" list -kem-algorithms 2>/dev/null | grep -q X25519MLKEM768 ||
    ! "$openssl" list -signature-algorithms 2>/dev/null | grep -q -i ML-DSA-87; then
    echo "SKIPPED: OpenSSL's QUIC client was not tried against the node: it needs OpenSSL 3.5 or later with QUIC," \
        "and this is $("$openssl" version 2>/dev/null || echo none)"
    exit 77
fi

# client GROUPS ALPN [OPTION...]: a handshake and nothing more; what it said is then in $dir/out.
client() {
    groups=$1
    alpn=$2
    shift 2
    "$openssl" s_client -quic -groups "$groups" -alpn "$alpn" -connect "127.0.0.1:$port" "$@" \
        >"$dir/out" 2>&1 </dev/null || :
}

start_node node
client X25519MLKEM768 pqlink-miner/1
contains "$dir/out" 'Protocol: QUICv1'
contains "$dir/out" 'ALPN protocol: pqlink-miner/1'
contains "$dir/out" 'Peer signature type: mldsa87'
shown=$("$openssl" x509 -outform DER <"$dir/out" | sha256sum | cut -d ' ' -f 1)
[ "sha256:$shown" = "$pin" ] || fail "OpenSSL was shown sha256:$shown, and the pin is $pin"
wait_for "$dir/node.log" '"event":"link_open"'
[ "$(json_field "$dir/node.log" link_open algo)" = X25519MLKEM768 ] || fail "another group was used"

# AES-128 is for clients that have nothing stronger, whatever they like best.
client X25519MLKEM768 pqlink-miner/1 -ciphersuites TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384
contains "$dir/out" 'Cipher is TLS_AES_256_GCM_SHA384'

# Hybrid finishes a classical handshake; the miner service then says why it serves nobody on it.
client X25519 pqlink-miner/1
contains "$dir/out" 'Peer signature type: mldsa87'
wait_for "$dir/node.log" '"event":"link_refused"'
contains "$dir/node.log" 'needs an ML-KEM key exchange'

client X25519MLKEM768 no-such-protocol
contains "$dir/out" 'no peer certificate available'
wait_for "$dir/node.log" '"event":"handshake_failed"'
[ "$(json_field "$dir/node.log" handshake_failed code)" = 376 ] || fail "the alert was not 120"

start_node strict --policy pq-only
client X25519 pqlink-miner/1
contains "$dir/out" 'no peer certificate available'
wait_for "$dir/strict.log" '"event":"handshake_failed"'
[ "$(json_field "$dir/strict.log" handshake_failed status)" = PQL_E_POLICY ] ||
    fail "the node gave another reason than its policy"
client X25519MLKEM768 pqlink-miner/1
contains "$dir/out" 'Peer signature type: mldsa87'
wait_for "$dir/strict.log" '"event":"link_open"'
