#!/bin/sh
# pq-only and hybrid work together; a classical miner is refused by both, with a reason.
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
wait_for "$dir/classical.log" '"event":"handshake_failed"'
grep -F '"event":"handshake_failed"' "$dir/classical.log" | grep -q '"corr_id":"[0-9a-f]\{8\}-[1-9]' ||
    fail "the line of the failed handshake does not name its link"
# shellcheck disable=SC2086
start_node hybrid $easy
expect 4 mine --node "quic://127.0.0.1:$port" --pin "$pin" --threads 1 --max-blocks 1 --admin off \
    --policy off --log-format json
contains "$dir/err" 'needs an ML-KEM key exchange'
