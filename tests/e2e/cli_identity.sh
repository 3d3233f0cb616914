#!/bin/sh
# keygen makes an identity once and never again; fingerprint shows the same ever after.
. "$(dirname "$0")/lib.sh"
hex64='[0-9a-f]{64}'

expect 0 keygen --dir "$dir/id"
cp "$dir/out" "$dir/made"
[ "$(wc -l <"$dir/made")" -eq 4 ] || fail "keygen prints not four lines"
for algorithm in ML-DSA-87 ECDSA-P256; do
    grep -qE "^$algorithm +sha256:$hex64\$" "$dir/made" || fail "no certificate of $algorithm"
    grep -qE "^$algorithm +spki-sha256:$hex64\$" "$dir/made" || fail "no key of $algorithm"
done

expect 0 fingerprint --dir "$dir/id"
cmp "$dir/out" "$dir/made" || fail "fingerprint shows another identity than keygen made"
PQLINK_DIR=$dir/id expect 0 fingerprint
cmp "$dir/out" "$dir/made" || fail "PQLINK_DIR does not stand in for --dir"

expect 6 keygen --dir "$dir/id"
contains "$dir/err" "keygen never overwrites one"
[ ! -s "$dir/out" ] || fail "a refused keygen writes to standard output"
expect 0 fingerprint --dir "$dir/id"
cmp "$dir/out" "$dir/made" || fail "a second keygen changed the identity"

expect 0 fingerprint --dir "$dir/id" --json
pin=$(sed -n '1s/^ML-DSA-87 *//p' "$dir/made")
contains "$dir/out" "{\"pq\":{\"algorithm\":\"ML-DSA-87\",\"certificate\":\"$pin\""

for set in 44 65; do
    expect 0 keygen --dir "$dir/id$set" --sign ml-dsa-$set
    grep -q "^ML-DSA-$set " "$dir/out" || fail "--sign ml-dsa-$set made another key"
done
expect 2 keygen --dir "$dir/other" --sign ed25519
[ ! -e "$dir/other" ] || fail "a usage error left a directory"

expect 6 fingerprint --dir "$dir/none"
[ ! -e "$dir/none" ] || fail "fingerprint made a directory"
