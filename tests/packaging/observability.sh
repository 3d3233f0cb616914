#!/bin/sh
# observability.sh names|prometheus: alert rules, dashboard and the queries of the runbook.
#   names        they ask for nothing that a fresh node does not expose, down to the label values
#   prometheus   promtool takes and tests them; a real Prometheus scrapes a node, evaluates all of
#                them, and fires the alert that a drill has to cause
. "$(dirname "$0")/../e2e/lib.sh"
. "$(dirname "$0")/../e2e/node_lib.sh"
check="$source_root/tests/packaging/observability.py"
rules="$source_root/packaging/prometheus/pqlink-alerts.yml"

if ! command -v python3 >/dev/null || ! command -v curl >/dev/null; then
    echo "SKIPPED: python3 or curl is missing; nobody has looked at alert rules and dashboard" >&2
    exit 77
fi

# api PATH [CURL-OPTION...]: asks Prometheus; the answer is in $dir/api.
api() {
    path=$1
    shift
    curl -sS -m 20 "$@" "http://$prometheus/api/v1/$path" >"$dir/api"
}

# api_says PATH TEXT: until the answer has the text.
api_says() {
    tries=0
    until api "$1" && grep -qF -- "$2" "$dir/api"; do
        tries=$((tries + 1))
        [ $tries -lt 1200 ] || { cat "$dir/api" "$dir/prometheus.log" >&2; fail "Prometheus never said: $2"; }
        sleep 0.1
    done
}

names() {
    start_node node --difficulty 20000 --block-time 1s
    curl -sS "http://127.0.0.1:$admin_port/metrics" >"$dir/fresh.prom"
    fresh_port=$admin_port
    start_miner miner --dir "$dir/miner"
    wait_for "$dir/miner.log" '"event":"connected"'
    start_node behind --source "quic://127.0.0.1:$port#$pin" # it has the series of a source too
    wait_for "$dir/behind.log" '"event":"connected"'
    curl -sS "http://127.0.0.1:$admin_port/metrics" >"$dir/behind.prom"
    curl -sS "http://127.0.0.1:$fresh_port/metrics" >"$dir/mined.prom" # and that one those of miners
    python3 "$check" check "$dir/fresh.prom" "$dir/mined.prom" "$dir/behind.prom" || fail "see above"

    # It sees what is wrong. Without a label value, a label, a metric it has to fail.
    for gone in '/reason="remembered"/d' 's/,posture="[a-z]*"//' '/^pqlink_ready /d'; do
        sed "$gone" "$dir/fresh.prom" >"$dir/less.prom"
        cmp -s "$dir/fresh.prom" "$dir/less.prom" && fail "nothing was taken away by $gone"
        if python3 "$check" check "$dir/less.prom" "$dir/less.prom" >/dev/null 2>"$dir/bad"; then
            fail "it did not notice $gone"
        fi
    done
}

start_prometheus() {
    cat >"$dir/prometheus.yml" <<END
global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [$rules]
scrape_configs:
  - job_name: pqlink
    static_configs: [{targets: ["127.0.0.1:$admin_port"]}]
END
    promtool check config "$dir/prometheus.yml"
    prometheus --config.file="$dir/prometheus.yml" --storage.tsdb.path="$dir/tsdb" \
        --web.listen-address=127.0.0.1:0 >"$dir/prometheus.log" 2>&1 &
    nodes="$nodes $!"
    wait_for "$dir/prometheus.log" 'msg="Listening on"'
    prometheus=$(sed -n 's/.*msg="Listening on".*address=\([0-9.:]*\).*/\1/p' "$dir/prometheus.log")
}

with_prometheus() {
    if ! command -v promtool >/dev/null || ! command -v prometheus >/dev/null; then
        echo "SKIPPED: Prometheus is missing (Debian package prometheus, set ci of deps/packages);" \
            "nobody has tested the alert rules" >&2
        exit 77
    fi
    promtool check rules "$rules"
    (cd "$(dirname "$rules")" && promtool test rules pqlink-alerts_test.yml)
    python3 "$check" rules >"$dir/expressions.json"
    promtool check rules "$dir/expressions.json"

    start_node node --difficulty 20000 --block-time 1s
    start_miner miner --dir "$dir/miner"
    wait_for "$dir/miner.log" '"event":"connected"'
    start_prometheus
    api_says targets '"health":"up"'
    api_says 'query?query=pqlink_ready' '"value":'
    api alerts
    if grep -qF PqlinkClassicalPeersRefused "$dir/api"; then fail "the alert was there before the drill"; fi

    expect 0 drill classical-break --dir "$dir/node" --for 5s
    contains "$dir/out" 'alert PqlinkClassicalPeersRefused'
    api_says alerts '"alertname":"PqlinkClassicalPeersRefused"'
    contains "$dir/api" '"state":"firing"'
    api_says 'query?query=ALERTS%7Bseverity%3D%22critical%22%7D' '"result":[]'
    api_says targets '"health":"up"'

    mkdir "$dir/expressions"
    python3 "$check" expressions "$dir/expressions"
    for expression in "$dir/expressions"/*; do
        api query --data-urlencode "query@$expression"
        grep -qF '"status":"success"' "$dir/api" || { cat "$expression" "$dir/api" >&2; fail "a query failed"; }
    done
    api rules
    if grep -F '"health":"err"' "$dir/api"; then fail "a rule could not be evaluated"; fi
    kill -0 "$node_pid" || fail "the node has ended"
}

case $1 in
names) names ;;
prometheus) with_prometheus ;;
*) fail "observability.sh names|prometheus" ;;
esac
