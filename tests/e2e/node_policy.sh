#!/bin/sh
# pq-only and hybrid work together; a classical miner is refused by both, with a reason.  cnsa-2.0 works
# with itself, is met half-way by pq-only, and refuses hybrid.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/node_lib.sh"
easy='--difficulty 20000 --block-time 1s'
# shellcheck disable=SC2086
start_node strict $easy --policy pq-only
expect 0 mine --node "quic://127.0.0.1:$port" --pin "$pin" --threads 1 --max-blocks 1 --admin off \
    --policy hybrid --log-format json
expect 4 mine --node "quic://127.0.0.1:$port" --pin "$pin" --threads 1 --max-blocks 1 --admin off \
    --policy off --log-format json
# shellcheck disable=SC2086
start_node classical $easy --policy off
expect 4 mine --node "quic://127.0.0.1:$port" --pin "$pin" --threads 1 --max-blocks 1 --admin off \
    --policy pq-only --log-format json
contains "$dir/err" 'set the policy to hybrid on this side'
grep -F '"event":"handshake_failed"' "$dir/err" | grep -qF "\"address\":\"127.0.0.1:$port\"" ||
    fail "the line of the failed handshake does not say with whom"
wait_for "$dir/classical.log" '"event":"handshake_failed"'
grep -F '"event":"handshake_failed"' "$dir/classical.log" | grep -q '"corr_id":"[0-9a-f]\{8\}-[1-9]' ||
    fail "the line of the failed handshake does not name its link"
# shellcheck disable=SC2086
start_node hybrid $easy
expect 4 mine --node "quic://127.0.0.1:$port" --pin "$pin" --threads 1 --max-blocks 1 --admin off \
    --policy off --log-format json
contains "$dir/err" 'needs an ML-KEM key exchange'
contains "$dir/err" 'The policy is off on this side: set it to hybrid.'
# shellcheck disable=SC2086
start_node cnsa $easy --policy cnsa-2.0
expect 0 mine --node "quic://127.0.0.1:$port" --pin "$pin" --threads 1 --max-blocks 1 --admin off \
    --policy cnsa-2.0-2026 --log-format json
contains "$dir/err" '"group":"MLKEM1024"'
expect 0 mine --node "quic://127.0.0.1:$port" --pin "$pin" --threads 1 --max-blocks 1 --admin off \
    --policy pq-only --log-format json
expect 4 mine --node "quic://127.0.0.1:$port" --pin "$pin" --threads 1 --max-blocks 1 --admin off \
    --policy hybrid --log-format json
contains "$dir/err" 'set the policy to cnsa-2.0 on this side'
# The certificate can be looked at all the same.
expect 0 fingerprint --remote "quic://127.0.0.1:$port"
contains "$dir/out" "$pin"
# A key that cannot sign ML-DSA-87 is an error at start, with the way out of it.
expect 0 keygen --dir "$dir/weak" --sign ml-dsa-65
expect 4 node --dir "$dir/weak" --listen quic://127.0.0.1:0 --admin off --policy cnsa-2.0
contains "$dir/err" 'ML-DSA-65'
contains "$dir/err" 'keygen'
