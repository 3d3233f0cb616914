#!/bin/sh
# The status page of a real node in a real browser: links, their posture and hash rates appear and change without a
# reload, a phone needs no sideways scrolling, nothing is asked for elsewhere, and what peers say stays text.
# STATUS_PAGE_SHOTS=DIRECTORY keeps the pictures.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/node_lib.sh"
. "$(dirname "$0")/stress_lib.sh"

chromium=
for name in chromium chromium-browser google-chrome; do
    chromium=${chromium:-$(command -v "$name" || :)}
done
[ -n "$chromium" ] || skip "the status page was not looked at: there is no chromium (apt-get install chromium)"
command -v python3 >/dev/null || skip "the status page was not looked at: there is no python3"
shots=${STATUS_PAGE_SHOTS:-$dir}

start_node node --difficulty 300000 --block-time 1s
"$PQLINK" mine --node "quic://127.0.0.1:$port" --pin "$pin" --threads 1 --admin 127.0.0.1:0 --name first \
    --log-format json 2>"$dir/first.log" &
nodes="$nodes $!"
wait_for "$dir/node.log" '"event":"link_open"'
miner_admin=$(json_field "$dir/first.log" started admin_port)
TMPDIR=$dir python3 "$(dirname "$0")/status_page.py" "$chromium" "$dir/profile" "http://127.0.0.1:$admin_port/" \
    "http://127.0.0.1:$miner_admin/" "$dir/started" "$shots" &
page_pid=$!
nodes="$nodes $page_pid"
while [ ! -e "$dir/started" ] && kill -0 "$page_pid" 2>/dev/null; do
    sleep 0.1
done
start_miner second --name second
ends "$page_pid" 0
nodes=$(echo "$nodes" | sed "s/ $page_pid//")

# A listener does not hold up the end.
curl -sSN "http://127.0.0.1:$admin_port/events" >"$dir/events" 2>&1 &
curl_pid=$!
nodes="$nodes $curl_pid"
wait_for "$dir/events" 'data: {'
kill -TERM "$node_pid"
ends "$node_pid" 0
ends "$curl_pid" 0
