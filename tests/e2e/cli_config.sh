#!/bin/sh
# pqlink.conf is checked and shown as a whole, and every layer above it replaces what stands in it.
. "$(dirname "$0")/lib.sh"
unset PQLINK_DIR # which would outrank what the files here say
conf=$dir/pqlink.conf
cat >"$conf" <<CONF
[common]
dir = "$dir/state"
log_level = "warn"

[node]
listen = "quic://127.0.0.1:0"
workers = 2

[mine]
node = "quic://node.example:9833"
pin = ["sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"]
CONF

expect 0 config check "$conf"
contains "$dir/out" "$conf is good: 6 values in 3 tables."
PQLINK_CONFIG=$conf
expect 0 config check
expect 0 config show node
contains "$dir/out" "# $conf:2"
contains "$dir/out" "# default"
PQLINK_NODE_WORKERS=3
export PQLINK_NODE_WORKERS
expect 0 config show node -- --policy pq-only
contains "$dir/out" '# environment PQLINK_NODE_WORKERS'
contains "$dir/out" '# command line'
expect 0 config show --json node
contains "$dir/out" '"variable": "PQLINK_NODE_WORKERS"'
unset PQLINK_NODE_WORKERS
PQLINK_NODE_LISEN=x "$PQLINK" config show node >"$dir/out" 2>"$dir/err"
contains "$dir/err" "PQLINK_NODE_LISEN sets nothing; did you mean PQLINK_NODE_LISTEN?"

# Whoever can change the file decides for its owner.
for mode in 0664 0646; do
    chmod "$mode" "$conf"
    expect 7 config check "$conf"
    contains "$dir/err" "chmod go-w $conf"
    expect 7 fingerprint
done
chmod 0644 "$conf"

# What is shown is a configuration again, with the same meaning.
expect 0 config show
cp "$dir/out" "$dir/again.conf"
expect 0 config check "$dir/again.conf"
expect 0 config show --config "$dir/again.conf" mine
contains "$dir/out" 'node = ["quic://node.example:9833"]'

# Commands use it: the directory comes from [common].
expect 0 keygen
[ -e "$dir/state/identity/pq-key.pem" ] || fail "keygen did not use dir of [common]"
expect 0 fingerprint --json
expect 6 fingerprint --config none --dir "$dir/empty"

# What is wrong is said with file, line and column, by every command and before anything starts.
echo 'lisen = "x"' >>"$conf"
expect 2 config check "$conf"
contains "$dir/err" "pqlink: $conf:12:1: The table [mine] has no key 'lisen'"
[ ! -s "$dir/out" ] || fail "config check writes to standard output"
expect 2 fingerprint
contains "$dir/err" "$conf:12:1"
expect 0 fingerprint --help
expect 0 version

printf '[node]\nadmin = "localhost"\n' >"$conf"
expect 2 config check "$conf"
contains "$dir/err" "$conf:2:9: The value 'localhost' of admin does not fit"
printf '[mine]\nnode = "quic://a:1"\n' >"$conf"
expect 2 config check "$conf"
contains "$dir/err" "For 'pqlink mine': Say how the node is recognised"
printf '[common]\npolicy = "strong"\n' >"$conf"
expect 2 config check "$conf"
contains "$dir/err" "$conf:2:10: The value 'strong' of policy does not fit"

# Names of other programs: they count where they stand, and contradictions are found with both places.
printf '[security]\npq_only = true\n' >"$conf"
expect 0 config check "$conf"
expect 0 config show --config "$conf" node
contains "$dir/out" "# $conf:2 [security] pq_only"
PQ_ONLY=no PQ_HYBRID=0 "$PQLINK" config show --config "$conf" mine >"$dir/out" 2>"$dir/err" || fail "config show"
contains "$dir/out" 'policy = "off" '
contains "$dir/out" '# environment PQ_HYBRID'
PQ_HYBRID=0 "$PQLINK" node --config "$conf" --dir "$dir/never" >"$dir/out" 2>"$dir/err" &&
    fail "a node starts with settings that contradict each other"
contains "$dir/err" "pqlink: $conf:2:11: pq_only = true and PQ_HYBRID=0 in the environment contradict each other"
[ ! -e "$dir/never" ] || fail "something was made before the settings were checked"
PQ_HYBRID=0
export PQ_HYBRID
expect 2 config check "$conf"
contains "$dir/err" 'PQ_HYBRID=0 in the environment contradict'
unset PQ_HYBRID
printf '[security]\npq_only = true\n[common]\npolicy = "hybrid"\n' >"$conf"
expect 2 config check "$conf"
contains "$dir/err" "$conf:2:11: pq_only = true and policy = \"hybrid\" in $conf:4:10 contradict each other"
printf '[security]\npq_sign_algo = "slh-dsa"\n[node]\n' >"$conf"
expect 2 config check "$conf"
contains "$dir/err" "$conf:2:16: pq_sign_algo = \"slh-dsa\": no TLS has SLH-DSA certificates"
printf '[security]\npq_onli = true\n' >"$conf"
expect 2 config check "$conf"
contains "$dir/err" "$conf:2:1: The table [security] has no key 'pq_onli'; did you mean 'pq_only'?"

# A file that is named must be there; one that nobody named need not.
expect 2 fingerprint --config "$dir/missing.conf"
contains "$dir/err" "$dir/missing.conf"
PQLINK_CONFIG=$dir/missing.conf
expect 2 fingerprint
PQLINK_CONFIG=none
expect 2 config check
contains "$dir/err" 'There is no configuration file'

# The default file of somebody who is not root.
if [ "$(id -u)" -ne 0 ]; then
    unset PQLINK_CONFIG
    XDG_CONFIG_HOME=$dir/config
    export XDG_CONFIG_HOME
    expect 2 config check
    mkdir -p "$dir/config/pqlink"
    echo '[node]' >"$dir/config/pqlink/pqlink.conf"
    expect 0 config check
    contains "$dir/out" "$dir/config/pqlink/pqlink.conf is good"
    PQLINK_CONFIG=none
    export PQLINK_CONFIG
fi

# A mistyped variable is a warning.
PQLINK_FINGERPRINT_TIMEOT=1s
export PQLINK_FINGERPRINT_TIMEOT
expect 0 fingerprint --dir "$dir/state"
contains "$dir/err" 'pqlink: warning: the environment variable PQLINK_FINGERPRINT_TIMEOT sets nothing; did you mean PQLINK_FINGERPRINT_TIMEOUT?'
