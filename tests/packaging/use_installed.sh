#!/bin/sh
# use_installed.sh BUILD-DIRECTORY COMPILER LIBDIR: installs into an empty place, then builds and
# runs a small program against it, once with libpqlink.so and once with libpqlink.a.  Each public
# header must compile when it is the only one.  Only pqlink is linked statically: the libraries it
# stands on come as Debian's programs have them.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT

cmake --install "$1" --prefix "$place/usr" >"$place/install.log" || {
    cat "$place/install.log"
    exit 1
}
PKG_CONFIG_PATH="$place/usr/$3/pkgconfig"
export PKG_CONFIG_PATH
include=$place/usr/include
for header in "$include"/pqlink/*.h; do
    "$2" -std=c11 -Wall -Wextra -Wpedantic -Werror -fsyntax-only -I "$include" -x c "$header"
    "$2" -std=c++17 -Wall -Wextra -Werror -fsyntax-only -I "$include" -x c++ "$header"
done
# shellcheck disable=SC2046 # the flags are words
"$2" -Wall -Werror -o "$place/shared" "$here/use.c" $(pkg-config --cflags --libs pqlink)
LD_LIBRARY_PATH="$place/usr/$3" "$place/shared"

mkdir "$place/static"
cp "$place/usr/$3/libpqlink.a" "$place/static"
"$2" -Wall -Werror -o "$place/static/program" "$here/use.c" $(pkg-config --cflags pqlink) \
    "$place/static/libpqlink.a" -lm -lpthread \
    $(pkg-config --libs $(pkg-config --print-requires-private pqlink))
"$place/static/program"
if ldd "$place/static/program" | grep -E 'libstdc|libpqlink|libssl|libcrypto'; then
    echo "the statically linked program needs the libraries above at run time"
    exit 1
fi
