# How AWS-LC and ngtcp2 are fetched and built.  Sourced by deps/setup, which sets:
#   work    an empty directory of ours, on the same file system as the cache
#   fetch   an empty directory that apt's download user may reach
#   final   where the prefix will live in the end
#   stage   where it is put together: $work/stage$final
# and offers step (a progress line around a logged command) and die.
# A change to this file or to deps/versions makes a new prefix.

# One field of the line of deps/versions that starts with the name $1: kind, suite, package, minimum.
version_field() {
    local column
    case $2 in kind) column=2 ;; suite) column=3 ;; package) column=4 ;; minimum) column=5 ;; esac
    awk -v name="$1" -v column="$column" '$1 == name { print $column }' "$deps_dir/versions"
}

oldest_lists_s=$((180 * 24 * 3600))

# ---- the archive: an apt of our own, which reads the user's settings and changes none of them ----

archive_keyring() {
    local file
    for file in /usr/share/keyrings/debian-archive-keyring.pgp \
        /usr/share/keyrings/debian-archive-keyring.gpg; do
        [ -r "$file" ] && echo "$file" && return 0
    done
    return 1
}

# apt_config URI SUITE KEYRING: the sources and settings for one mirror.
apt_config() {
    local architecture
    architecture=$(dpkg --print-architecture)
    mkdir -p "$fetch/apt/lists/partial" "$fetch/apt/cache/archives/partial" "$fetch/files"
    cat >"$fetch/apt/pqlink.sources" <<SOURCES
Types: deb
URIs: $1
Suites: $2
Components: main
Architectures: $architecture
Targets: Packages
Signed-By: $3

Types: deb-src
URIs: $1
Suites: $2
Components: main
Targets: Sources
Signed-By: $3
SOURCES
    # Hooks of the user's configuration are for the user's package lists, not for ours.
    # Lists of unstable expire after a week, which a mirror that is a snapshot outlives.  Its age is
    # no danger here: the signature is checked, deps/versions sets a minimum version, and BUILT.txt
    # records the date.
    cat >"$fetch/apt/apt.conf" <<CONFIG
#clear APT::Update;
#clear APT::Default-Release;
#clear DPkg::Post-Invoke;
Dir::Etc::sourcelist "$fetch/apt/pqlink.sources";
Dir::Etc::sourceparts "-";
Dir::Etc::preferences "-";
Dir::Etc::preferencesparts "-";
Dir::State::Lists "$fetch/apt/lists";
Dir::Cache "$fetch/apt/cache";
Dir::Cache::archives "archives";
Dir::Cache::pkgcache "pkgcache.bin";
Dir::Cache::srcpkgcache "srcpkgcache.bin";
Acquire::Min-ValidTime "$oldest_lists_s";
APT::Update::Error-Mode "any";
APT::Get::AllowUnauthenticated "false";
Acquire::AllowInsecureRepositories "false";
Acquire::Languages "none";
Acquire::Retries "3";
CONFIG
    # As root, apt downloads as the user _apt, who must be able to write there.
    if [ "$(id -u)" = 0 ] && id _apt >/dev/null 2>&1; then
        chmod 755 "$fetch"
        chown -R _apt "$fetch/apt/lists/partial" "$fetch/apt/cache/archives/partial" "$fetch/files"
    fi
}

own_apt() {
    (cd "$fetch/files" && apt-get -q -c "$fetch/apt/apt.conf" "$@")
}

# Each Debian mirror that this machine uses already, best first, one per line.
mirror_candidates() {
    if [ -n "${PQLINK_MIRROR:-}" ]; then
        echo "$PQLINK_MIRROR"
        return
    fi
    {
        apt-get indextargets --format '$(REPO_URI)|$(ORIGIN)|$(LABEL)' 2>/dev/null |
            awk -F'|' '$2 == "Debian" && $3 == "Debian" { print $1 }'
        mirrors_of_sources_files
    } | sed 's,/*$,,' | awk '!seen[$0]++'
}

# The same from the files, for a machine whose package lists were never fetched: every URI with a
# plain Debian suite and the component main.  A wrong guess fails at the signature, not later.
mirrors_of_sources_files() {
    local suites='^(stable|oldstable|testing|unstable|sid|bookworm|trixie|forky)$'
    cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null |
        sed 's/\[[^]]*\]//; s/#.*//' |
        awk -v suites="$suites" '$1 == "deb" && $3 ~ suites && / main( |$)/ { print $2 }'
    # A blank line after each file, so that the last paragraph of one never runs into the next.
    for file in /etc/apt/sources.list.d/*.sources; do
        [ -r "$file" ] && sed 's/#.*//' "$file" && echo
    done | awk -v suites="$suites" '
        function flush(i, plain) {
            for (i = 1; i <= ns; i++) if (s[i] ~ suites) plain = 1
            if (plain && main) for (i = 1; i <= nu; i++) print u[i]
            ns = nu = main = 0
        }
        /^[ \t]*$/ { flush(); next }
        tolower($1) == "uris:" { for (i = 2; i <= NF; i++) u[++nu] = $i }
        tolower($1) == "suites:" { for (i = 2; i <= NF; i++) s[++ns] = $i }
        tolower($1) == "components:" { for (i = 2; i <= NF; i++) if ($i == "main") main = 1 }
        END { flush() }'
}

# Fetches the package lists from the first mirror that has them, signed by Debian.
open_archive() {
    local keyring mirror suite
    keyring=$(archive_keyring) ||
        die "Debian's archive keys are missing: install the package debian-archive-keyring."
    suite=$(version_field aws-lc suite)
    for mirror in $(mirror_candidates); do
        apt_config "$mirror" "$suite" "$keyring"
        if step "fetch the package lists of Debian $suite from $mirror" own_apt update; then
            archive_mirror=$mirror
            return 0
        fi
        tail -n 5 "$log" >&2
        if tail -n 40 "$log" | grep -qE 'NO_PUBKEY|EXPKEYSIG|not signed|Missing key|sqv|BADSIG'; then
            note "the signature of $mirror did not verify with $keyring"
            note "(an old keyring: update the package debian-archive-keyring)"
        fi
        rm -rf "$fetch/apt"
    done
    die "No mirror with Debian $suite could be read.  Set PQLINK_MIRROR to one that this machine
  reaches (http://HOST/debian), or build AWS-LC and ngtcp2 yourself and set PQLINK_DEPS
  (docs/building.md)."
}

# ---- AWS-LC ----

fetch_aws_lc() {
    own_apt download "$(version_field aws-lc package)" || return
    mkdir -p "$work/aws-lc" && dpkg-deb -x "$fetch"/files/*aws-lc-sys*.deb "$work/aws-lc"
}

aws_lc_source() {
    echo "$work"/aws-lc/usr/share/cargo/registry/aws-lc-sys-*/aws-lc
}

aws_lc_version() {
    sed -n 's/^#define AWSLC_VERSION_NUMBER_STRING "\(.*\)"/\1/p' \
        "$(aws_lc_source)/include/openssl/base.h"
}

# Static and hidden: its names must never meet those of another libcrypto in the same process.
# Without Go and Perl it takes the generated assembly that the source carries.
build_aws_lc() {
    cmake -S "$(aws_lc_source)" -B "$work/aws-lc-build" -G Ninja \
        -DCMAKE_BUILD_TYPE=Release -DCMAKE_INSTALL_PREFIX="$final" -DCMAKE_INSTALL_LIBDIR=lib \
        -DBUILD_SHARED_LIBS=OFF -DCMAKE_POSITION_INDEPENDENT_CODE=ON \
        -DCMAKE_C_VISIBILITY_PRESET=hidden -DCMAKE_CXX_VISIBILITY_PRESET=hidden \
        -DCMAKE_C_FLAGS="-ffile-prefix-map=$work/=" -DCMAKE_CXX_FLAGS="-ffile-prefix-map=$work/=" \
        -DBUILD_TESTING=OFF -DBUILD_TOOL=OFF -DDISABLE_GO=ON -DDISABLE_PERL=ON &&
        cmake --build "$work/aws-lc-build" &&
        DESTDIR="$work/stage" cmake --install "$work/aws-lc-build"
}

# ---- ngtcp2 ----

fetch_ngtcp2() {
    own_apt source --download-only --only-source "$(version_field ngtcp2 package)" || return
    mkdir -p "$work/ngtcp2" &&
        tar -xf "$(ls "$fetch"/files/ngtcp2_*.orig.tar.* | grep -v '\.asc$')" \
            -C "$work/ngtcp2" --strip-components=1
}

ngtcp2_version() {
    sed -n 's/^project(ngtcp2 VERSION \([0-9.]*\).*/\1/p' "$work/ngtcp2/CMakeLists.txt"
}

build_ngtcp2() {
    cmake -S "$work/ngtcp2" -B "$work/ngtcp2-build" -G Ninja \
        -DCMAKE_BUILD_TYPE=Release -DCMAKE_INSTALL_PREFIX="$final" -DCMAKE_INSTALL_LIBDIR=lib \
        -DCMAKE_POSITION_INDEPENDENT_CODE=ON -DCMAKE_C_VISIBILITY_PRESET=hidden \
        -DCMAKE_C_FLAGS="-ffile-prefix-map=$work/=" -DCMAKE_CXX_FLAGS="-ffile-prefix-map=$work/=" \
        -DENABLE_SHARED_LIB=OFF -DENABLE_STATIC_LIB=ON -DENABLE_LIB_ONLY=ON -DBUILD_TESTING=OFF \
        -DENABLE_OPENSSL=OFF -DENABLE_BORINGSSL=ON \
        -DBORINGSSL_INCLUDE_DIR="$stage/include" \
        -DBORINGSSL_LIBRARIES="$stage/lib/libssl.a;$stage/lib/libcrypto.a;-lstdc++;-lpthread" &&
        cmake --build "$work/ngtcp2-build" &&
        DESTDIR="$work/stage" cmake --install "$work/ngtcp2-build"
}

# ---- all of it ----

require_version() { # name, version found
    local minimum
    minimum=$(version_field "$1" minimum)
    [ -n "$2" ] || die "The version of $1 could not be read from its source: it has changed its layout."
    dpkg --compare-versions "$2" ge "$minimum" ||
        die "$archive_mirror has $1 $2, and pqlink needs at least $minimum: the mirror is out of date.
  Set PQLINK_MIRROR to another one."
}

date_of_the_lists() {
    sed -n 's/^Date: //p' "$fetch"/apt/lists/*Release | head -n 1
}

record_what_was_built() {
    {
        echo "AWS-LC $(aws_lc_version)"
        echo "ngtcp2 $(ngtcp2_version)"
        echo "built $(date -u +%Y-%m-%dT%H:%M:%SZ) by $(${CC:-cc} --version | head -n 1)"
        echo "from Debian $(version_field aws-lc suite) of $(date_of_the_lists):"
        (cd "$fetch/files" && sha256sum ./*.deb ./*.orig.tar.?z ./*.dsc | sed 's,\./,,')
    } >"$stage/BUILT.txt"
}

build_prefix() {
    open_archive
    step "fetch AWS-LC" fetch_aws_lc || die_with_log "AWS-LC could not be fetched."
    step "fetch ngtcp2" fetch_ngtcp2 || die_with_log "ngtcp2 could not be fetched."
    require_version aws-lc "$(aws_lc_version)"
    require_version ngtcp2 "$(ngtcp2_version)"
    step "build AWS-LC $(aws_lc_version) (about 40 s on two cores)" build_aws_lc ||
        die_with_log "AWS-LC did not build."
    step "build ngtcp2 $(ngtcp2_version)" build_ngtcp2 || die_with_log "ngtcp2 did not build."
    record_what_was_built
}
