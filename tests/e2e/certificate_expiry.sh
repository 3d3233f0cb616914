#!/bin/sh
# The end of a certificate that a node shows is told by log, metric and fingerprint --json; the node
# stays ready also when it is over, because pins do not look at dates.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/node_lib.sh"
command -v openssl >"$dir/null" || {
    echo "SKIPPED: there is no openssl here to make a certificate that ends soon" >&2
    exit 77
}
# import NAME DAYS: an identity in $dir/NAME whose classical certificate ends after DAYS.  Days that
# are over, new versions of openssl take as dates only, which old ones do not know.
import() {
    chain="$dir/chain-$1"
    mkdir "$chain"
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=short" \
        -keyout "$chain/key.pem" -out "$chain/request.pem" 2>"$dir/openssl" &&
        { openssl x509 -req -days "$2" -signkey "$chain/key.pem" -in "$chain/request.pem" \
            -out "$chain/cert.pem" 2>>"$dir/openssl" ||
            openssl x509 -req -not_before 20250101000000Z -not_after 20250201000000Z -signkey "$chain/key.pem" \
                -in "$chain/request.pem" -out "$chain/cert.pem" 2>>"$dir/openssl"; } ||
        { cat "$dir/openssl" >&2; fail "openssl makes no certificate"; }
    openssl x509 -in "$chain/cert.pem" -outform DER -out "$chain/miner-tls-cert.der"
    openssl pkcs8 -topk8 -nocrypt -in "$chain/key.pem" -outform DER -out "$chain/miner-tls-key.der"
    chmod 600 "$chain/miner-tls-key.der"
    expect 0 keygen --dir "$dir/$1" --import-quantus "$chain"
}
seconds() {
    curl -sS "http://127.0.0.1:$admin_port/metrics" |
        sed -n "s/^pqlink_certificate_expiry_seconds{leaf=\"$1\"} //p"
}
ready() {
    curl -sS "http://127.0.0.1:$admin_port/readyz" | grep -q '"ready":true' || fail "it is not ready"
}

# ---- five days left ----
import soon 5
start_node soon
wait_for "$dir/soon.log" '"event":"certificate_expires"'
contains "$dir/soon.log" '"leaf":"classical"'
left=$(seconds classical)
[ "$left" -gt $((4 * 86400)) ] && [ "$left" -le $((5 * 86400)) ] || fail "$left seconds are left"
[ "$(seconds pq)" = "+Inf" ] || fail "the certificate of ours ends in $(seconds pq) seconds"
expect 0 fingerprint --dir "$dir/soon" --json
contains "$dir/out" '"not_after":null'
contains "$dir/out" '"not_after":1'
ready
kill -TERM "$node_pid"
ends "$node_pid" 0
[ "$(grep -c '"event":"certificate_expire' "$dir/soon.log")" -eq 1 ] || fail "it was said twice"

# ---- said again after a restart ----
start_node soon
wait_for "$dir/soon.log" '"event":"certificate_expires"'
kill -TERM "$node_pid"
ends "$node_pid" 0

# ---- over: said as an error, and serving goes on ----
import over -1
start_node over
wait_for "$dir/over.log" '"event":"certificate_expired"'
contains "$dir/over.log" '"level":"error"'
[ "$(seconds classical)" -lt 0 ] || fail "the metric is not below zero"
ready
start_miner a
wait_for "$dir/a.log" '"event":"job"'
kill -TERM "$miner_pid"
ends "$miner_pid" 0
kill -TERM "$node_pid"
ends "$node_pid" 0
