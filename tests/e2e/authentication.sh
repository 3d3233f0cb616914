#!/bin/sh
# --authentication ml-dsa in each role: a miner towards its node, a node towards its miners, and a
# node towards its source; also under a policy that asks for nothing.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/node_lib.sh"

# proven LOG ROLE: the handshakes of the role were with ML-DSA, and there was one.
proven() {
    wait_for "$1" "\"event\":\"handshake\",\"role\":\"$2\""
    grep -F "\"event\":\"handshake\",\"role\":\"$2\"" "$1" >"$dir/handshakes"
    contains "$dir/handshakes" '"pq":"off"'
    ! grep -vF '"pq_authentication":true' "$dir/handshakes" || fail "a peer proved no ML-DSA key"
}

"$PQLINK" keygen --dir "$dir/rig" >"$dir/keygen.out"
sed -n '1s/.* //p' "$dir/keygen.out" >"$dir/clients"
start_node source --difficulty 20000 --block-time 1s --policy off
start_node relay --policy off --source "quic://127.0.0.1:$port#$pin" --clients "$dir/clients" \
    --authentication ml-dsa
contains "$dir/relay.log" '"authentication":"ml-dsa"'
! grep -F '"event":"listening"' "$dir/relay.log" | grep -qF quantus || fail "official miners are served"
start_miner rig --identity --dir "$dir/rig" --policy off --authentication ml-dsa --max-blocks 1
ends "$miner_pid" 0
proven "$dir/rig.log" client
proven "$dir/relay.log" client
proven "$dir/relay.log" server

# Who shows no certificate proves nothing.
start_miner bare --policy off --dir "$dir/bare"
wait_for "$dir/bare.log" 'with a certificate only'
kill -TERM "$miner_pid"
ends "$miner_pid" 0
