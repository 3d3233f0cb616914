#!/bin/sh
# /readyz follows what the node can do by itself: it says so in JSON with reasons and Retry-After, turns red
# when its directory is taken away, and green when it is back.  /healthz stays 200 throughout.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/node_lib.sh"

# readyz STATUS: asks until the node answers with it; the body is then in $dir/ready, the head in $dir/head.
readyz() {
    tries=0
    while :; do
        status=$(curl -sS -D "$dir/head" -o "$dir/ready" -w '%{http_code}' "http://127.0.0.1:$admin_port/readyz")
        [ "$status" -ne "$1" ] || return 0
        tries=$((tries + 1))
        [ $tries -lt 600 ] || { cat "$dir/ready" >&2; fail "/readyz never answered $1"; }
        sleep 0.1
    done
}

healthz_is_well() {
    [ "$(curl -sS "http://127.0.0.1:$admin_port/healthz")" = '{"ok":true}' ] || fail "/healthz is not well"
}

start_node node
readyz 200
for condition in crypto_self_test identity store policy listener not_draining; do
    contains "$dir/ready" "\"$condition\":{\"ok\":true}"
done
contains "$dir/ready" '"degraded":false'
healthz_is_well

mv "$dir/node" "$dir/aside"
readyz 503
contains "$dir/ready" '"degraded":true'
contains "$dir/ready" '"missing":["store"]'
contains "$dir/ready" 'are gone or were replaced'
contains "$dir/ready" '"retry_after":5'
grep -qi '^Retry-After: 5' "$dir/head" || fail "no Retry-After"
contains "$dir/node.log" '"event":"store_fails"'
healthz_is_well

mv "$dir/aside" "$dir/node"
readyz 200
contains "$dir/node.log" '"event":"store_works_again"'
kill -TERM "$node_pid"
ends "$node_pid" 0
