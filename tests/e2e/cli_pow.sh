#!/bin/sh
# pow hash gives the published hashes; pow check answers by exit status.
. "$(dirname "$0")/lib.sh"

zeros=0000000000000000000000000000000000000000000000000000000000000000
ones=0101010101010101010101010101010101010101010101010101010101010101
count=000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f

# hashes_to MINING_HASH NONCE HASH
hashes_to() {
    expect 0 pow hash --mining-hash "$1" --nonce "$2"
    contains "$dir/out" "hash       $3"
    grep -qE '^difficulty [1-9][0-9]*$' "$dir/out" || fail "no difficulty for nonce $2"
}

hashes_to $zeros 0 8e64e3d8e0f38f882e8501f9e525df0a95d2e91e9cfc32c9248d756fb07780e2f8fdca2c5a54441e6fcd8d774a5f6aae72f36d1c76bc19f691a0d4f6c607e8cc
hashes_to $ones 1 e4ef79db80b642a093d7e38e6a6daac7ec1cca7293ddbe3710b4e6781be4add0b93f7e3440626df5bb23b757436787ba8d3fd0a2652e387f8af5bd8a5cc2ce2f
hashes_to $ones 7b 0c580156318afca56700b7a2cafa4f44277a6c7ea668717984ed26b8169d277521951b73329d898590e953c35d036726becb74bc29d765112ec99b14d0dc5189
hashes_to $count 1234567890abcdef 7f6c410ce62e7fc54811ad3b8b92664ac0f8b1d2cd6eb163129251146e7ee34d27794aaae1b31eaaeb98ab835bae6a2b9ac4ad6f08c95903e1423f0b865816ff
# Leading zeros and upper case change nothing.
hashes_to $ones 0000007B 0c580156318afca56700b7a2cafa4f44277a6c7ea668717984ed26b8169d277521951b73329d898590e953c35d036726becb74bc29d765112ec99b14d0dc5189

# The first solution of the published job is valid at its difficulty ...
expect 0 pow check --mining-hash $ones --nonce 5a08 --difficulty 131072
contains "$dir/out" "valid: the hash achieves difficulty "
# ... but not far above it, and its neighbour is not valid at all.
expect 1 pow check --mining-hash $ones --nonce 5a08 --difficulty 1310720
contains "$dir/out" "not valid: the hash is not below the target"
[ ! -s "$dir/err" ] || fail "the answer no is no error message"
expect 1 pow check --mining-hash $ones --nonce 5a07 --difficulty 131072
expect 1 pow check --mining-hash $zeros --nonce 0 --difficulty 1
contains "$dir/out" "refuses the nonce 0"

# What cannot be read is a usage error, not an answer.
expect 2 pow check --mining-hash $ones --nonce 5a08 --difficulty 0
expect 2 pow check --mining-hash $ones --nonce 5a08 --difficulty -1
expect 2 pow check --mining-hash $ones --nonce 5a08
contains "$dir/err" "Option --difficulty N is required."
expect 2 pow hash --mining-hash $ones --nonce 0x5a08
contains "$dir/err" "Leave out the 0x"
expect 2 pow hash --mining-hash "${ones}01" --nonce 1
contains "$dir/err" "exactly 64 hexadecimal digits"
expect 2 pow hash --mining-hash $ones --nonce "$ones$ones$ones"
expect 2 pow hash --mining-hash $ones --nonce xyz
contains "$dir/err" "from 1 to 128 hexadecimal digits"
