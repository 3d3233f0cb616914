#!/bin/sh
# SIGHUP changes the policy of a running miner, and of a node towards its source: a link with ML-KEM
# stays, a classical one ends with a reason.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/node_lib.sh"
start_node node --difficulty 20000 --block-time 1s
source_port=$port
source_pin=$pin

# policy FILE TABLE NAME PID LOG COUNT: writes it, sends SIGHUP, and waits until it is in force.
policy() {
    printf '[%s]\npolicy = "%s"\n' "$2" "$3" >"$1"
    kill -HUP "$4"
    wait_for "$5" "\"event\":\"security\",\"policy\":\"$3\",\"policy_from\":\"$1:2\"" "$6"
}

printf '[mine]\npolicy = "hybrid"\n' >"$dir/mine.conf"
start_miner pq --config "$dir/mine.conf"
wait_for "$dir/pq.log" '"event":"connected"'
policy "$dir/mine.conf" mine pq-only "$miner_pid" "$dir/pq.log" 1
contains "$dir/pq.log" '"changed":"policy: hybrid -> pq-only"'
results=$(grep -cF '"verdict":"accepted"' "$dir/pq.log" || :)
wait_for "$dir/pq.log" '"verdict":"accepted"' $((results + 1))
policy "$dir/mine.conf" mine hybrid "$miner_pid" "$dir/pq.log" 2
! grep -qF '"event":"disconnected"' "$dir/pq.log" || fail "a link with ML-KEM did not stay"
printf '[mine]\npolicy = "hybrid"\nthread = 2\n' >"$dir/mine.conf"
kill -HUP "$miner_pid"
wait_for "$dir/pq.log" "\"event\":\"reload_refused\",\"reason\":\"$dir/mine.conf:3:1: The table [mine] has no key 'thread'"

# A link without ML-KEM ends with its policy, and the next one has it.
printf '[mine]\npolicy = "off"\n' >"$dir/mine.conf"
"$PQLINK" mine --node "quantus://127.0.0.1:$port" --pin-file "$dir/node/miner-tls-cert-sha256" \
    --token-file "$dir/node/miner-auth-token" --threads 1 --admin off --log-format json \
    --config "$dir/mine.conf" --dir "$dir/dropped" >"$dir/dropped.out" 2>"$dir/dropped.log" &
dropped=$!
nodes="$nodes $dropped"
wait_for "$dir/dropped.log" '"event":"connected"'
contains "$dir/dropped.log" '"pq":"off"'
printf '[mine]\npolicy = "pq-only"\n' >"$dir/mine.conf"
kill -HUP "$dropped"
wait_for "$dir/dropped.log" '"event":"disconnected"'

contains "$dir/dropped.log" 'which has no ML-KEM, and the policy is pq-only'
wait_for "$dir/dropped.log" '"pq":"hybrid"'

# A node that takes its jobs from another one asks the same of both sides.
printf '[node]\npolicy = "hybrid"\n' >"$dir/relay.conf"
start_node relay --config "$dir/relay.conf" --source "quic://127.0.0.1:$source_port#$source_pin"
wait_for "$dir/relay.log" '"service":"source","event":"connected"'
policy "$dir/relay.conf" node pq-only "$node_pid" "$dir/relay.log" 1
start_miner behind
wait_for "$dir/behind.log" '"verdict":"accepted"'
[ "$(grep -cF '"service":"source","event":"connected"' "$dir/relay.log")" -eq 1 ] || fail "the source was left"
