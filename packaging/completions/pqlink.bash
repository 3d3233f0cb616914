# bash completion for pqlink.  Made by 'pqlink help --completion'; changes belong in src/cmd/.
_pqlink()
{
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} words=
    COMPREPLY=()
    if ((COMP_CWORD == 1)); then
        COMPREPLY=($(compgen -W 'node mine keygen fingerprint rotate forget token config pow key drill version help --help --version' -- "$cur"))
        return
    fi
    ((COMP_CWORD == 2)) && case ${COMP_WORDS[1]} in
    'node') words+=' status' ;;&
    'rotate') words+=' prepare' ;;&
    'rotate') words+=' status' ;;&
    'rotate') words+=' switch' ;;&
    'rotate') words+=' cancel' ;;&
    'rotate') words+=' finish' ;;&
    'token') words+=' keygen' ;;&
    'token') words+=' mint' ;;&
    'token') words+=' attenuate' ;;&
    'token') words+=' inspect' ;;&
    'token') words+=' verify' ;;&
    'config') words+=' check' ;;&
    'config') words+=' show' ;;&
    'pow') words+=' hash' ;;&
    'pow') words+=' check' ;;&
    'key') words+=' encrypt' ;;&
    'key') words+=' decrypt' ;;&
    'key') words+=' passphrase' ;;&
    'drill') words+=' classical-break' ;;&
    esac
    case "${COMP_WORDS[1]} ${COMP_WORDS[2]}" in
    'node status')
        words+=' --admin --token-file --json --config --help'
        case $prev in
        --admin) return ;;
        --token-file) compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --config) compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")); return ;;
        esac
        ;;
    'rotate prepare')
        words+=' --dir --leaf --sign --keep-key --self-signed --switch-in --switch-at --keep --passphrase-file --json --config --help'
        case $prev in
        --dir) compopt -o filenames; COMPREPLY=($(compgen -d -- "$cur")); return ;;
        --leaf) COMPREPLY=($(compgen -W 'pq classical both' -- "$cur")); return ;;
        --sign) COMPREPLY=($(compgen -W 'same ml-dsa-87 ml-dsa-65 ml-dsa-44' -- "$cur")); return ;;
        --switch-in) return ;;
        --switch-at) return ;;
        --keep) return ;;
        --passphrase-file) compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --config) compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")); return ;;
        esac
        ;;
    'rotate status')
        words+=' --dir --key-rotation-days --json --config --help'
        case $prev in
        --dir) compopt -o filenames; COMPREPLY=($(compgen -d -- "$cur")); return ;;
        --key-rotation-days) return ;;
        --config) compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")); return ;;
        esac
        ;;
    'rotate switch')
        words+=' --dir --passphrase-file --config --help'
        case $prev in
        --dir) compopt -o filenames; COMPREPLY=($(compgen -d -- "$cur")); return ;;
        --passphrase-file) compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --config) compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")); return ;;
        esac
        ;;
    'rotate cancel')
        words+=' --dir --config --help'
        case $prev in
        --dir) compopt -o filenames; COMPREPLY=($(compgen -d -- "$cur")); return ;;
        --config) compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")); return ;;
        esac
        ;;
    'rotate finish')
        words+=' --dir --config --help'
        case $prev in
        --dir) compopt -o filenames; COMPREPLY=($(compgen -d -- "$cur")); return ;;
        --config) compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")); return ;;
        esac
        ;;
    'token keygen')
        words+=' --keys --tenant --kid --sign-algo --require-signature --verifier-keys --help'
        case $prev in
        --keys) compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --tenant) return ;;
        --kid) return ;;
        --sign-algo) COMPREPLY=($(compgen -W 'ml-dsa slh-dsa none' -- "$cur")); return ;;
        --verifier-keys) compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")); return ;;
        esac
        ;;
    'token mint')
        words+=' --keys --tenant --audience --method --path --max-bytes --address --not-before --expires-in --sign --help'
        case $prev in
        --keys) compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --tenant) return ;;
        --audience) return ;;
        --method) return ;;
        --path) return ;;
        --max-bytes) return ;;
        --address) return ;;
        --not-before) return ;;
        --expires-in) return ;;
        esac
        ;;
    'token attenuate')
        words+=' --token-file --audience --method --path --max-bytes --address --not-before --expires-in --help'
        case $prev in
        --token-file) compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --audience) return ;;
        --method) return ;;
        --path) return ;;
        --max-bytes) return ;;
        --address) return ;;
        --not-before) return ;;
        --expires-in) return ;;
        esac
        ;;
    'token inspect')
        words+=' --token-file --help'
        case $prev in
        --token-file) compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")); return ;;
        esac
        ;;
    'token verify')
        words+=' --keys --token-file --audience --tenant --method --path --bytes --address --clock-skew --require-signature --help'
        case $prev in
        --keys) compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --token-file) compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --audience) return ;;
        --tenant) return ;;
        --method) return ;;
        --path) return ;;
        --bytes) return ;;
        --address) return ;;
        --clock-skew) return ;;
        esac
        ;;
    'config check')
        words+=' --help'
        case $prev in
        esac
        ;;
    'config show')
        words+=' --config --json --help'
        case $prev in
        --config) compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")); return ;;
        esac
        ;;
    'pow hash')
        words+=' --mining-hash --nonce --help'
        case $prev in
        --mining-hash) return ;;
        --nonce) return ;;
        esac
        ;;
    'pow check')
        words+=' --mining-hash --nonce --difficulty --help'
        case $prev in
        --mining-hash) return ;;
        --nonce) return ;;
        --difficulty) return ;;
        esac
        ;;
    'key encrypt')
        words+=' --dir --passphrase-file --config --help'
        case $prev in
        --dir) compopt -o filenames; COMPREPLY=($(compgen -d -- "$cur")); return ;;
        --passphrase-file) compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --config) compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")); return ;;
        esac
        ;;
    'key decrypt')
        words+=' --dir --passphrase-file --config --help'
        case $prev in
        --dir) compopt -o filenames; COMPREPLY=($(compgen -d -- "$cur")); return ;;
        --passphrase-file) compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --config) compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")); return ;;
        esac
        ;;
    'key passphrase')
        words+=' --dir --passphrase-file --new-passphrase-file --config --help'
        case $prev in
        --dir) compopt -o filenames; COMPREPLY=($(compgen -d -- "$cur")); return ;;
        --passphrase-file) compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --new-passphrase-file) compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --config) compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")); return ;;
        esac
        ;;
    'drill classical-break')
        words+=' --dir --for --json --config --help'
        case $prev in
        --dir) compopt -o filenames; COMPREPLY=($(compgen -d -- "$cur")); return ;;
        --for) return ;;
        --config) compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")); return ;;
        esac
        ;;
    'node '*)
        words+=' --listen --dir --source --source-pin --source-pin-file --source-token-file --source-probe-interval --source-dir --block-time --difficulty --share-difficulty --tokens --capability-keys --admin-capabilities --capability-skew --allow-v1 --policy --authentication --key-rotation-days --passphrase-file --amnesia --key-process --admin --workers --max-links-per-address --clients --log-format --log-level --keylog --qlog --config --help'
        case $prev in
        --listen) return ;;
        --dir) compopt -o filenames; COMPREPLY=($(compgen -d -- "$cur")); return ;;
        --source) return ;;
        --source-pin) return ;;
        --source-pin-file) compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --source-token-file) compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --source-probe-interval) return ;;
        --source-dir) compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --block-time) return ;;
        --difficulty) return ;;
        --share-difficulty) return ;;
        --tokens) compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --capability-keys) compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --admin-capabilities) compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --capability-skew) return ;;
        --policy) COMPREPLY=($(compgen -W 'hybrid off pq-only cnsa-2.0 hybrid-2026 off-2026 pq-only-2026 cnsa-2.0-2026' -- "$cur")); return ;;
        --authentication) COMPREPLY=($(compgen -W 'any ml-dsa' -- "$cur")); return ;;
        --key-rotation-days) return ;;
        --passphrase-file) compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --admin) return ;;
        --workers) return ;;
        --max-links-per-address) return ;;
        --clients) compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --log-format) COMPREPLY=($(compgen -W 'auto text json' -- "$cur")); return ;;
        --log-level) COMPREPLY=($(compgen -W 'debug info warn error' -- "$cur")); return ;;
        --keylog) compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --qlog) compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --config) compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")); return ;;
        esac
        ;;
    'mine '*)
        words+=' --node --pin --pin-file --tofu --ca --insecure --probe-interval --token-file --name --dir --identity --passphrase-file --threads --max-blocks --policy --authentication --amnesia --admin --bench --bench-seconds --status-interval --log-format --log-level --keylog --qlog --config --help'
        case $prev in
        --node) return ;;
        --pin) return ;;
        --pin-file) compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --ca) compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --probe-interval) return ;;
        --token-file) compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --name) return ;;
        --dir) compopt -o filenames; COMPREPLY=($(compgen -d -- "$cur")); return ;;
        --passphrase-file) compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --threads) return ;;
        --max-blocks) return ;;
        --policy) COMPREPLY=($(compgen -W 'hybrid off pq-only cnsa-2.0 hybrid-2026 off-2026 pq-only-2026 cnsa-2.0-2026' -- "$cur")); return ;;
        --authentication) COMPREPLY=($(compgen -W 'any ml-dsa' -- "$cur")); return ;;
        --admin) return ;;
        --bench-seconds) return ;;
        --status-interval) return ;;
        --log-format) COMPREPLY=($(compgen -W 'auto text json' -- "$cur")); return ;;
        --log-level) COMPREPLY=($(compgen -W 'debug info warn error' -- "$cur")); return ;;
        --keylog) compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --qlog) compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --config) compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")); return ;;
        esac
        ;;
    'keygen '*)
        words+=' --dir --sign --import-quantus --self-signed --passphrase-file --json --config --help'
        case $prev in
        --dir) compopt -o filenames; COMPREPLY=($(compgen -d -- "$cur")); return ;;
        --sign) COMPREPLY=($(compgen -W 'ml-dsa-87 ml-dsa-65 ml-dsa-44' -- "$cur")); return ;;
        --import-quantus) compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --passphrase-file) compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --config) compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")); return ;;
        esac
        ;;
    'fingerprint '*)
        words+=' --dir --remote --alpn --timeout --json --config --help'
        case $prev in
        --dir) compopt -o filenames; COMPREPLY=($(compgen -d -- "$cur")); return ;;
        --remote) return ;;
        --alpn) return ;;
        --timeout) return ;;
        --config) compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")); return ;;
        esac
        ;;
    'forget '*)
        words+=' --node --pin --dir --config --help'
        case $prev in
        --node) return ;;
        --pin) return ;;
        --dir) compopt -o filenames; COMPREPLY=($(compgen -d -- "$cur")); return ;;
        --config) compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")); return ;;
        esac
        ;;
    'version '*)
        words+=' --json --self-test --help'
        case $prev in
        esac
        ;;
    'help '*)
        words+=' --help'
        case $prev in
        esac
        ;;
    esac
    COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -F _pqlink pqlink
