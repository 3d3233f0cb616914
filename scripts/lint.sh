#!/bin/bash
# scripts/lint.sh BUILD-DIRECTORY: clang-tidy-19 and cppcheck over the sources that it compiles.
set -u
cd "$(dirname "$0")/.."
build=$1
failed=0

echo "clang-tidy-19 (.clang-tidy says which checks)"
find src -name '*.c' -print0 |
    xargs -0 -r -n 4 -P "$(nproc)" clang-tidy-19 --quiet -p "$build" 2>/dev/null || failed=1

# u512.c counts down with `bit-- > 0` behind another condition, which cppcheck reads wrongly.
echo "cppcheck"
cppcheck --quiet --error-exitcode=1 --inline-suppr --std=c11 -j "$(nproc)" \
    --enable=warning,performance,portability \
    --suppress=missingIncludeSystem --suppress=unknownMacro \
    --suppress=arrayIndexOutOfBounds:src/miner/u512.c \
    -D_GNU_SOURCE -DPQLINK_VERSION='"0"' -I include -I src src || failed=1

[ "$failed" = 0 ] && echo "lint: clean"
exit "$failed"
