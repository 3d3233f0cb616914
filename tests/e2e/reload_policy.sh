#!/bin/sh
# SIGHUP changes the policy of a running node and of a running miner: links that satisfy the new one
# stay, the others end with a reason on both sides, and a file with a mistake changes nothing.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/node_lib.sh"
conf=$dir/node.conf
log=$dir/node.log

# policy NAME COUNT: writes it into the file, sends SIGHUP, and waits until it is in force.
policy() {
    printf '[node]\nlog_level = "info"\npolicy = "%s"\n' "$1" >"$conf"
    kill -HUP "$node_pid"
    wait_for "$log" "\"event\":\"security\",\"policy\":\"$1\",\"policy_from\":\"$conf:3\"" "$2"
}

# version TEXT: /version of the node has the text.
version() {
    curl -sf "http://127.0.0.1:$admin_port/version" >"$dir/version"
    contains "$dir/version" "$1"
}

# An official miner, which has no ML-KEM.
start_classical() {
    "$PQLINK" mine --node "quantus://127.0.0.1:$port" --pin-file "$dir/node/miner-tls-cert-sha256" \
        --token-file "$dir/node/miner-auth-token" --policy off --threads 1 --admin off \
        --log-format json >"$dir/$1.out" 2>"$dir/$1.log" &
    classical=$!
    nodes="$nodes $classical"
    wait_for "$dir/$1.log" '"event":"connected"'
}

# The hybrid miner has the one link that it began with.
stays() {
    [ "$(grep -cF '"event":"connected"' "$dir/hybrid.log")" -eq 1 ] || fail "the hybrid miner connected again"
    ! grep -qF '"event":"disconnected"' "$dir/hybrid.log" || fail "the hybrid miner lost its link"
}

printf '[node]\nlog_level = "info"\npolicy = "hybrid"\n' >"$conf"
start_node node --config "$conf" --difficulty 20000 --block-time 1s
contains "$log" "\"event\":\"security\",\"policy\":\"hybrid\",\"policy_from\":\"$conf:3\",\"authentication\":\"any\",\"amnesia\":false,\"key_rotation_days\":0"
version '"policy":"hybrid"'
start_miner hybrid
wait_for "$dir/hybrid.log" '"event":"connected"'
start_classical first

# A break is known: no more classical links.
policy pq-only 1
contains "$log" '"changed":"policy: hybrid -> pq-only"'
contains "$log" '"event":"official_miners_off"'
version '"policy":"pq-only"'
wait_for "$dir/first.log" '"event":"disconnected"'
ends "$classical" 4
contains "$dir/first.log" '"event":"node_given_up"'
contains "$log" 'ML-KEM'
expect 4 mine --node "quic://127.0.0.1:$port" --pin "$pin" --threads 1 --max-blocks 1 --admin off \
    --policy off --log-format json
contains "$dir/err" 'It may require ML-KEM: set the policy to hybrid on this side'
accepted=$(grep -cF '"event":"block_accepted"' "$log" || :)
wait_for "$log" '"event":"block_accepted"' $((accepted + 1))
stays

# Files with mistakes, and one that contradicts itself: nothing changes, and the place is said.
printf '[node]\nlog_level = "debug"\npolicy = "pq-onyl"\n' >"$conf"
kill -HUP "$node_pid"
wait_for "$log" "\"event\":\"reload_refused\",\"reason\":\"$conf:3:10: The value 'pq-onyl' of policy does not fit"
printf '[security]\npq_only = true\npq_hybrid = false\n' >"$conf"
kill -HUP "$node_pid"
wait_for "$log" "\"reason\":\"$conf:2:11: pq_only = true and pq_hybrid = false in $conf:3:13 contradict each other"
printf '[node]\nallow_v1 = true\npolicy = "pq-only"\n' >"$conf"
kill -HUP "$node_pid"
wait_for "$log" '--allow-v1 and --policy pq-only contradict each other'
version '"policy":"pq-only"'
[ "$(grep -cF '"event":"reloaded"' "$log")" -eq 1 ] || fail "a file with a mistake was taken over"

# And back, by another name.
printf '[node]\nlog_level = "info"\n[security]\npq_only = no\n' >"$conf"
sed -i 's/= no/= false/' "$conf"
kill -HUP "$node_pid"
wait_for "$log" "\"event\":\"security\",\"policy\":\"hybrid\",\"policy_from\":\"$conf:4 [security] pq_only\""
version '"policy":"hybrid"'
start_classical second
stays
kill "$classical"
ends "$classical" 0

# A link that was made while the policy was off does not outlive it, and comes back with ML-KEM.
policy off 1
grep -F '"event":"security"' "$dir/node.log" | tail -n 1 | grep -q '"level":"warn".*"policy":"off"' ||
    fail 'that the policy is off was not a warning'
"$PQLINK" mine --node "quic://127.0.0.1:$port" --pin "$pin" --threads 1 --admin off --policy off \
    --log-format json >"$dir/off.out" 2>"$dir/off.log" &
off=$!
nodes="$nodes $off"
wait_for "$dir/off.log" '"event":"job"'
start_miner late --dir "$dir/late" # without the memory that this node had ML-KEM
wait_for "$dir/late.log" '"event":"job"'
contains "$dir/late.log" '"pq":"off"'
policy hybrid 2
wait_for "$dir/late.log" '"pq":"hybrid"'
ends "$off" 4
stays
contains "$dir/off.log" 'needs an ML-KEM key exchange'
