# fish completion for pqlink.  Made by 'pqlink help --completion'; changes belong in src/cmd/.
complete -c pqlink -f
complete -c pqlink -l help -d 'Show a summary of the options'
complete -c pqlink -n '__fish_use_subcommand' -a keygen -d 'Make the keys and certificates of this endpoint'
complete -c pqlink -n '__fish_seen_subcommand_from keygen' -l dir -x -a '(__fish_complete_directories)' -d 'Directory of this endpoint\'s state; the identity goes to DIR/identity'
complete -c pqlink -n '__fish_seen_subcommand_from keygen' -l sign -x -a 'ml-dsa-87 ml-dsa-65 ml-dsa-44' -d 'Signature algorithm of the post-quantum key'
complete -c pqlink -n '__fish_seen_subcommand_from keygen' -l self-signed -d 'Make a self-signed post-quantum certificate instead of the compact one'
complete -c pqlink -n '__fish_seen_subcommand_from keygen' -l json -d 'Print the fingerprints as one JSON object'
complete -c pqlink -n '__fish_use_subcommand' -a fingerprint -d 'Show the fingerprints that peers pin'
complete -c pqlink -n '__fish_seen_subcommand_from fingerprint' -l dir -x -a '(__fish_complete_directories)' -d 'Directory of this endpoint\'s state, as given to keygen'
complete -c pqlink -n '__fish_seen_subcommand_from fingerprint' -l json -d 'Print one JSON object'
complete -c pqlink -n '__fish_use_subcommand' -a pow
complete -c pqlink -n '__fish_seen_subcommand_from pow' -a hash -d 'Compute one proof-of-work hash'
complete -c pqlink -n '__fish_seen_subcommand_from pow; and __fish_seen_subcommand_from hash' -l mining-hash -x -d 'Hash of the block to be mined: 64 hexadecimal digits'
complete -c pqlink -n '__fish_seen_subcommand_from pow; and __fish_seen_subcommand_from hash' -l nonce -x -d 'The nonce as a hexadecimal number of 1 to 128 digits; shorter ones are filled with zeros on the left'
complete -c pqlink -n '__fish_use_subcommand' -a pow
complete -c pqlink -n '__fish_seen_subcommand_from pow' -a check -d 'Check one proof of work'
complete -c pqlink -n '__fish_seen_subcommand_from pow; and __fish_seen_subcommand_from check' -l mining-hash -x -d 'Hash of the block to be mined: 64 hexadecimal digits'
complete -c pqlink -n '__fish_seen_subcommand_from pow; and __fish_seen_subcommand_from check' -l nonce -x -d 'The nonce as a hexadecimal number of 1 to 128 digits; shorter ones are filled with zeros on the left'
complete -c pqlink -n '__fish_seen_subcommand_from pow; and __fish_seen_subcommand_from check' -l difficulty -x -d 'Difficulty that the hash must achieve, in decimal'
complete -c pqlink -n '__fish_use_subcommand' -a version -d 'Show the version, and those of the libraries within'
complete -c pqlink -n '__fish_seen_subcommand_from version' -l json -d 'Print one JSON object'
complete -c pqlink -n '__fish_use_subcommand' -a help -d 'Explain the program or one command'
