#!/bin/sh
# Every command of docs/runbook.md works: the blocks marked sh are run in their order against a real
# node.  Only what belongs to the machine is put in place of: sudo, systemctl, journalctl, the paths
# of a service, its ports.  A grep that finds nothing is fine but where it looks at the policy.
. "$(dirname "$0")/../e2e/lib.sh"
. "$(dirname "$0")/../e2e/node_lib.sh"
runbook="$source_root/docs/runbook.md"

command -v curl >/dev/null || { echo "SKIPPED: curl is missing; nobody has run the runbook" >&2; exit 77; }

mkdir "$dir/etc"
printf '[common]\ndir = "%s"\npolicy = "hybrid"\n[node]\nblock_time = "1s"\ndifficulty = 20000\n' \
    "$dir/node" >"$dir/etc/pqlink.conf"
start_node node --config "$dir/etc/pqlink.conf"
start_miner miner --dir "$dir/miner"
wait_for "$dir/miner.log" '"event":"connected"'

# What the blocks see instead of the machine.
mkdir "$dir/bin"
cat >"$dir/bin/sudo" <<'END'
#!/bin/sh
[ "$1" != -u ] || shift 2
exec "$@"
END
cat >"$dir/bin/journalctl" <<END
#!/bin/sh
exec cat "$dir/node.log"
END
# reload returns when the node has read its settings, as with Type=notify.
cat >"$dir/bin/systemctl" <<END
#!/bin/sh
[ "\$1" = reload ] || exit 0
policy=\$(sed -n 's/^policy = "\(.*\)"/\1/p' "$dir/etc/pqlink.conf")
kill -HUP $node_pid
for i in \$(seq 600); do
    curl -s "http://127.0.0.1:$admin_port/version" | grep -q "\"policy\":\"\$policy\"" && exit 0
    sleep 0.1
done
exit 1
END
ln -s "$PQLINK" "$dir/bin/pqlink"
chmod +x "$dir/bin/"*
PATH="$dir/bin:$PATH"
export PATH

awk '/^ *```sh$/ { on = 1; next } /^ *```$/ { on = 0 } on' "$runbook" |
    sed -e 's/^ *//' -e "s|/var/lib/pqlink|$dir/node|g" -e "s|/etc/pqlink|$dir/etc|g" \
        -e "s|localhost:9834|127.0.0.1:$admin_port|g" -e "s|127.0.0.1:9833|127.0.0.1:$port|g" \
        -e "s|pqlink node status|& --admin 127.0.0.1:$admin_port|" -e "s|drill.json|$dir/&|" >"$dir/commands"
[ "$(wc -l <"$dir/commands")" -gt 40 ] || fail "the runbook has lost its commands"

while IFS= read -r line; do
    status=0
    sh -c "$line" >"$dir/out" 2>"$dir/err" </dev/null || status=$?
    allowed=0
    case $line in
    *'grep '*'"policy":'*) ;;
    *'| grep '*) allowed=1 ;;
    esac
    [ $status -le $allowed ] || { cat "$dir/out" "$dir/err" >&2; fail "the runbook's command ended with $status: $line"; }
done <"$dir/commands"
echo "$(wc -l <"$dir/commands") commands of the runbook work"
contains "$dir/drill.json" '"passed": true'
kill -0 "$node_pid" || fail "the node has ended"
