#!/bin/bash
# tests/interop/setup.sh: peers that nobody here wrote, for `make interop`.
#
# Debian's own openssl, curl, nginx, HAProxy, aioquic and Go go into a small tree of Debian unstable in
# the cache; the shims on top of quinn and quic-go are built from tests/interop/peers with cargo and go.
# Nothing of the machine outside the cache changes, but that the package mmdebstrap is installed.
set -u

usage() {
    cat <<'TEXT'
usage: tests/interop/setup.sh [--print-directory] | --help

  (nothing)           make the tree of Debian unstable and build the peers, where they are not there yet
  --print-directory   print where they are (or will be), and do nothing

environment:
  PQLINK_CACHE    where it is kept (default: $XDG_CACHE_HOME/pqlink or ~/.cache/pqlink)
  PQLINK_MIRROR   a Debian mirror to fetch from (default: the one that apt uses on this machine)
TEXT
}

here=$(cd "$(dirname "$0")" && pwd)
deps_dir=$(cd "$here/../../deps" && pwd)
packages=openssl,curl,nginx,haproxy,python3-aioquic,golang-go,ca-certificates,iproute2,nftables
# aws-lc-rs and quinn ask for this Rust.
oldest_cargo=1.85

note() { printf '%s\n' "interop: $*" >&2; }

die() {
    note "$*"
    exit 1
}

# step LABEL COMMAND...: runs it with its output in $log.
step() {
    local label=$1 began=$SECONDS status
    shift
    note "$label ..."
    "$@" >>"$log" 2>&1 </dev/null
    status=$?
    [ "$status" = 0 ] && note "  done, $((SECONDS - began)) s"
    return "$status"
}

cache_root() {
    if [ -n "${PQLINK_CACHE:-}" ]; then
        case $PQLINK_CACHE in /*) echo "$PQLINK_CACHE" ;; *) echo "$PWD/$PQLINK_CACHE" ;; esac
    else
        echo "${XDG_CACHE_HOME:-${HOME:?is not set: set PQLINK_CACHE}/.cache}/pqlink"
    fi
}

# What the tree depends on; peers are built again whenever their sources change.
tree_key() { printf '%s %s 1\n' "$packages" "$(uname -m)" | sha256sum | cut -c 1-16; }

need_root() {
    [ "$(id -u)" = 0 ] || die "A tree of Debian unstable can only be made and entered by root:" \
        "run this as root (for instance: sudo make interop)."
}

need_mmdebstrap() {
    command -v mmdebstrap >/dev/null && return
    command -v apt-get >/dev/null ||
        die "The program mmdebstrap is missing: install it, and run this again."
    step "install mmdebstrap" env DEBIAN_FRONTEND=noninteractive \
        sh -c 'apt-get -q update; apt-get -q -y install --no-install-recommends mmdebstrap' ||
        die "mmdebstrap could not be installed; the output is in $log"
}

# Lists of unstable expire after a week, which a mirror that is a snapshot outlives; the signature is
# checked all the same.
tree_from() { # mirror keyring
    mmdebstrap --mode=root --variant=apt --components=main --keyring="$2" \
        --aptopt="Acquire::Min-ValidTime \"${oldest_lists_s:?}\"" --aptopt='Acquire::Retries "3"' \
        --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
        --include="$packages" unstable "$directory/root.new" "$1"
}

make_tree() {
    local mirror keyring
    [ -e "$directory/root/.complete" ] && return
    need_mmdebstrap
    # shellcheck source=deps/recipe.sh
    . "$deps_dir/recipe.sh"
    keyring=$(archive_keyring) ||
        die "Debian's archive keys are missing: install the package debian-archive-keyring."
    for mirror in $(mirror_candidates) http://deb.debian.org/debian; do
        rm -rf --one-file-system "$directory/root.new"
        if step "make a tree of Debian unstable from $mirror (about a minute)" tree_from "$mirror" "$keyring"; then
            touch "$directory/root.new/.complete"
            rm -rf --one-file-system "$directory/root"
            mv "$directory/root.new" "$directory/root"
            return
        fi
        tail -n 5 "$log" >&2
    done
    die "No mirror gave a tree of Debian unstable; the whole output is in $log"
}

cargo_is_new_enough() {
    local have
    have=$(cargo --version 2>/dev/null | awk '{ print $2 }')
    [ -n "$have" ] && [ "$(printf '%s\n%s\n' "$oldest_cargo" "$have" | sort -V | head -n 1)" = "$oldest_cargo" ]
}

build_quinn() {
    local sources="$here/peers/quinn" target="$directory/quinn-target"
    if ! cargo_is_new_enough; then
        note "the quinn peer is left out: it needs cargo $oldest_cargo or later in the PATH"
        return
    fi
    step "build the quinn peer" env CARGO_TARGET_DIR="$target" cargo build --release --locked \
        --manifest-path "$sources/Cargo.toml" || { note "it could not be built; see $log"; return 1; }
    install -D "$target/release/peer-quinn" "$directory/root/opt/peers/peer-quinn"
}

# in_tree COMMAND...: runs it inside, with /proc and /dev that go away with it.
in_tree() {
    # shellcheck disable=SC2016 # the inner shell expands it
    unshare --mount -- sh -c 'root=$1; shift
        mount -t proc proc "$root/proc" && mount --rbind /dev "$root/dev" &&
            exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root chroot "$root" "$@"' \
        sh "$directory/root" "$@"
}

# Debian unstable's Go knows ML-DSA in TLS, which older ones do not; it is used inside the tree.
build_quicgo() {
    local source="$directory/root/opt/quicgo" name settings=(GOTOOLCHAIN=local CGO_ENABLED=0)
    for name in GOPROXY GONOSUMDB GOFLAGS http_proxy https_proxy; do
        [ -n "${!name:-}" ] && settings+=("$name=${!name}")
    done
    rm -rf "$source" && mkdir -p "$source" "$directory/root/opt/peers" && cp "$here"/peers/quicgo/* "$source/"
    # As the machine itself finds and trusts the registry, behind whatever proxy it stands.
    cp /etc/resolv.conf "$directory/root/etc/resolv.conf" 2>/dev/null
    cp "${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}" "$source/roots.pem" 2>/dev/null &&
        settings+=(SSL_CERT_FILE=/opt/quicgo/roots.pem)
    step "build the quic-go peer" in_tree env "${settings[@]}" \
        sh -c 'cd /opt/quicgo && go build -buildvcs=false -o /opt/peers/peer-quicgo .' ||
        { note "it could not be built; see $log"; return 1; }
}

copy_scripts() {
    install -D "$here/peers/aioquic/peer_aioquic.py" "$directory/root/opt/peers/peer_aioquic.py" &&
        install -D "$here/peers/openssl/peer_openssl.py" "$directory/root/opt/peers/peer_openssl.py"
}

case ${1:-} in
'') ;;
--print-directory) echo "$(cache_root)/interop-$(tree_key)"; exit 0 ;;
--help) usage; exit 0 ;;
*) usage >&2; exit 2 ;;
esac
need_root
directory="$(cache_root)/interop-$(tree_key)"
mkdir -p "$directory" || die "The directory $directory could not be made."
log="$directory/setup.log"
exec 9>"$directory/lock"
flock 9
: >"$log"
make_tree
copy_scripts
# A peer that cannot be built is skipped, loudly, by the run; the others are not lost for it.
build_quinn
build_quicgo
