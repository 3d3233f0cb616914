#!/bin/sh
# pqlink token: where keys and tokens may come from, and what is said of mistakes.
. "$(dirname "$0")/lib.sh"
umask 077
keys=$dir/keys

# Nothing is taken from the command line but names of files.
expect 2 token inspect pqcap1.abc
expect 2 token keygen --keys "$keys" --tenant 'a b'
contains "$dir/err" 'A tenant has 1 to 32 characters'
expect 2 token keygen --keys "$keys" --tenant acme --kid revoked
expect 2 token keygen --keys "$keys" --tenant acme --sign-algo none --require-signature
[ ! -e "$keys" ] || fail "a file was made in spite of a mistake"
expect 0 token keygen --keys "$keys" --tenant acme --kid one --sign-algo none
cp "$keys" "$dir/before"
expect 6 token keygen --keys "$keys" --tenant acme --kid one
contains "$dir/err" "There is a key 'one' already"
cmp -s "$keys" "$dir/before" || fail "the keys changed in spite of a mistake"

expect 6 token mint --keys "$keys" --audience admin --sign
contains "$dir/err" 'cannot sign'
expect 2 token mint --keys "$keys"
contains "$dir/err" '--audience'
for wrong in '--path a' '--path /a/' '--path /a/../b' '--path //a' '--path /%61' '--method get' '--method GET,GET' \
    '--address 10.0.0.1/8' '--address ten' '--max-bytes -1' '--not-before soon' '--expires-in 0s'; do
    # shellcheck disable=SC2086 # two words
    expect 2 token mint --keys "$keys" --audience admin $wrong
    contains "$dir/err" "${wrong%% *}"
done
expect 0 token keygen --keys "$keys" --tenant other --sign-algo none
expect 2 token mint --keys "$keys" --audience admin
contains "$dir/err" '--tenant'
expect 0 token mint --keys "$keys" --audience admin --tenant acme
cp "$dir/out" "$dir/token"

# Standard input, with and without its name; white space around the token does no harm.
{ echo; cat "$dir/token"; echo; } | "$PQLINK" token inspect --token-file - >"$dir/out"
contains "$dir/out" 'tenant      acme'
"$PQLINK" token attenuate --max-bytes 10 <"$dir/token" >"$dir/narrow"
"$PQLINK" token verify --keys "$keys" --audience admin --bytes 10 <"$dir/narrow" >"$dir/out"
contains "$dir/out" 'allowed: tenant acme, key one'
expect 1 token verify --keys "$keys" --audience admin --bytes 11 --token-file "$dir/narrow"
contains "$dir/out" 'denied: bytes'
expect 1 token verify --keys "$keys" --audience admin --token-file "$dir/narrow"
contains "$dir/out" 'denied: bytes'
expect 1 token verify --keys "$keys" --audience admin --tenant other --token-file "$dir/token"
contains "$dir/out" 'denied: tenant'
expect 1 token verify --keys "$keys" --audience admin --require-signature --token-file "$dir/token"
contains "$dir/out" 'denied: signature'
expect 2 token attenuate --token-file "$dir/token"
contains "$dir/err" 'nothing to narrow'
expect 2 token inspect
contains "$dir/err" 'holds no capability token'
printf 'pqcap1.AAAA' >"$dir/broken"
expect 2 token inspect --token-file "$dir/broken"
contains "$dir/err" 'no capability token of version 1'

# SLH-DSA, by the variable of the security settings too: it works, or says what is missing.
status=0
PQ_SIGN_ALGO=slh-dsa "$PQLINK" token keygen --keys "$dir/slh" --tenant acme >"$dir/out" 2>"$dir/err" || status=$?
if [ "$status" -eq 0 ]; then
    expect 0 token mint --keys "$dir/slh" --audience admin --sign
    cp "$dir/out" "$dir/token"
    expect 0 token verify --keys "$dir/slh" --audience admin --require-signature --token-file "$dir/token"
    contains "$dir/out" ', signed'
else
    echo "NOT TESTED: $(cat "$dir/err")"
    [ "$status" -eq 1 ] || fail "it ended with $status instead of 1"
    contains "$dir/err" 'SLH-DSA needs OpenSSL 3.5'
    [ ! -e "$dir/slh" ] || fail "a file was made without the algorithm"
fi
