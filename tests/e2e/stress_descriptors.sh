#!/bin/bash
# A node that has no file descriptor left goes on serving the links that it has, and answers on its
# admin port again as soon as there are some.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/node_lib.sh"
. "$(dirname "$0")/stress_lib.sh"
limit=64
(
    ulimit -n $limit
    exec "$PQLINK" node --dir "$dir/node" --listen quic://127.0.0.1:0 --admin 127.0.0.1:0 \
        --log-format json --workers 2 --difficulty 20000 --block-time 200ms 2>"$dir/node.log"
) &
node_pid=$!
nodes="$nodes $node_pid"
wait_for "$dir/node.log" '"event":"listening"'
port=$(json_field "$dir/node.log" listening port)
admin_port=$(json_field "$dir/node.log" listening admin_port)
pin=$(json_field "$dir/node.log" listening fingerprint)
start_miner miner
mines_on node

# Connections to the admin port that say nothing take all descriptors there are.
open_files() { find "/proc/$node_pid/fd" -mindepth 1 | wc -l; }
held=()
for _ in $(seq $((2 * limit))); do
    exec {fd}<>"/dev/tcp/127.0.0.1/$admin_port" || break
    held+=("$fd")
done
tries=0
until [ "$(open_files)" -ge $((limit - 8)) ] || [ $tries -ge 50 ]; do
    tries=$((tries + 1))
    sleep 0.1
done
echo "the node has $(open_files) of $limit descriptors open"
mines_on node 3
kill -9 "$miner_pid"
wait "$miner_pid" 2>/dev/null || :
# A new link needs no descriptor on the node.  The miner must not inherit the connections held.
(
    for fd in "${held[@]}"; do
        exec {fd}>&-
    done
    exec "$PQLINK" mine --node "quic://127.0.0.1:$port" --pin "$pin" --threads 1 --admin off \
        --log-format json 2>"$dir/second.log" >&2
) &
miner_pid=$!
nodes="$nodes $miner_pid"
wait_for "$dir/second.log" '"event":"job"'
mines_on node 2

for fd in "${held[@]}"; do
    exec {fd}>&-
done
answer=
for _ in $(seq 600); do
    exec {fd}<>"/dev/tcp/127.0.0.1/$admin_port"
    printf 'GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n' >&"$fd" || :
    answer=$(timeout 2 head -n 1 <&"$fd" || :)
    exec {fd}>&-
    case $answer in *' 200 '*) break ;; esac
    sleep 0.1
done
case $answer in *' 200 '*) ;; *) fail "the admin port never came back: $answer" ;; esac
kill -TERM "$miner_pid"
ends "$miner_pid" 0
kill -TERM "$node_pid"
ends "$node_pid" 0
