#!/bin/bash
# Formats all C files, or with --check only says which are not formatted.  One version for
# everybody: clang-format-19, which Debian 12 and 13 both carry.
set -eu
cd "$(dirname "$0")/.."

command -v clang-format-19 >/dev/null || {
    echo "clang-format-19 is missing: run deps/setup --with-check" >&2
    exit 1
}
how=(-i)
[ "${1:-}" = --check ] && how=(--dry-run -Werror)
find include src tests fuzz bench proofs \( -name '*.c' -o -name '*.h' \) -print0 2>/dev/null |
    xargs -0 -r -n 20 -P "$(nproc)" clang-format-19 "${how[@]}"
