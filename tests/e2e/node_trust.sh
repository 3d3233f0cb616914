#!/bin/sh
# A miner without trust does not start; one with a wrong pin ends with status 3; --insecure shouts;
# trust on first use remembers.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/node_lib.sh"
start_node node --difficulty 20000 --block-time 1s
node="quic://127.0.0.1:$port"
mine="mine --node $node --threads 1 --max-blocks 1 --admin off --log-format json"

# shellcheck disable=SC2086
expect 2 $mine
contains "$dir/err" '--pin'

wrong=sha256:$(printf '%064d' 7)
# shellcheck disable=SC2086
expect 3 $mine --pin "$wrong"
contains "$dir/err" "$wrong"
contains "$dir/err" "$pin"

spki=$("$PQLINK" fingerprint --dir "$dir/node" | sed -n '2s/.* //p')
# shellcheck disable=SC2086
expect 0 $mine --pin "$spki"
# shellcheck disable=SC2086
expect 0 $mine --insecure
contains "$dir/err" '"level":"warn"'
contains "$dir/err" '"event":"insecure"'

# shellcheck disable=SC2086
expect 0 $mine --tofu --dir "$dir/miner"
# shellcheck disable=SC2086
expect 0 $mine --tofu --dir "$dir/miner"
chmod 0777 "$dir/miner"       # anybody could put another memory there
# shellcheck disable=SC2086
expect 7 $mine --tofu --dir "$dir/miner"
contains "$dir/err" "chmod go-w $dir/miner"
chmod go-w "$dir/miner"
kill -TERM "$node_pid"
ends "$node_pid" 0
rm -rf "$dir/node"
listen_port=$port start_node node --difficulty 20000 --block-time 1s
# shellcheck disable=SC2086
expect 3 $mine --tofu --dir "$dir/miner"
expect 0 forget --node "$node" --dir "$dir/miner"
expect 7 forget --node "$node" --dir "$dir/miner"
# shellcheck disable=SC2086
expect 0 $mine --tofu --dir "$dir/miner"

expect 0 fingerprint --remote "$node"
contains "$dir/out" "$pin"
kill -TERM "$node_pid"
ends "$node_pid" 0
expect 5 fingerprint --remote "$node"
