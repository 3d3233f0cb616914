#!/bin/sh
# The version names the program and the libraries within, for people and for programs.
. "$(dirname "$0")/lib.sh"

expect 0 version
grep -qE '^pqlink [0-9]+\.[0-9]+\.[0-9]+$' "$dir/out" || fail "no version of pqlink"
grep -qE '^AWS-LC [0-9]+\.' "$dir/out" || fail "no version of AWS-LC"
grep -qE '^ngtcp2 [0-9]+\.' "$dir/out" || fail "no version of ngtcp2"
cp "$dir/out" "$dir/text"
expect 0 --version
cmp "$dir/out" "$dir/text" || fail "'version' and '--version' differ"

expect 0 version --json
grep -qE '^\{"pqlink":"[0-9.]+","aws_lc":"[0-9.]+","ngtcp2":"[0-9.]+","build":\{"commit":"' "$dir/out" ||
    fail "the JSON is not as expected: $(cat "$dir/out")"
for library in aws_lc ngtcp2 libuv jansson sqlite libmicrohttpd; do
    grep -qE "\"dependencies\":\\{.*\"$library\":\"[0-9.]+" "$dir/out" || fail "no version of $library"
done
if grep -qF "$source_root" "$dir/out"; then
    fail "the build's directory is in the version"
fi

# The self-test says what it asked.
expect 0 version --self-test
for algo in ML-KEM-768 ML-KEM-1024 ML-DSA-44 ML-DSA-65 ML-DSA-87 X25519 AES-256-GCM; do
    grep -qE "^self-test passed in [0-9.]+ ms: .*\\b$algo\\b" "$dir/out" || fail "the self-test does not name $algo"
done

# A full disk is not a success.
if [ -w /dev/full ]; then
    status=0
    "$PQLINK" version >/dev/full 2>"$dir/err" || status=$?
    [ "$status" -eq 7 ] || fail "output to a full disk ended with $status instead of 7"
    contains "$dir/err" "Cannot write to standard output"
fi
