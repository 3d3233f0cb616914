"""Looks for secrets in what programs wrote: secrets_in.py SECRETS FILE...

SECRETS has a line for each: a kind, and the secret's bytes in hexadecimal.  A secret counts as found
where 16 bytes of it in a row are there as text, as hexadecimal or as base64 (in any of its three
alignments, with either alphabet).  Prints each find without the secret; status 1 when there was one."""

import base64
import re
import sys

BYTES = 16
HEX = 2 * BYTES
BASE64 = 20  # characters that 16 bytes fill whatever the alignment


def windows(text, size):
    return (text[at : at + size] for at in range(len(text) - size + 1))


def patterns(secret):
    """The texts that give |secret| away, by length."""
    found = {HEX: set(), BASE64: set(), BYTES: set()}
    for piece in windows(secret, BYTES):
        if len(set(piece)) < 4:  # padding, not secrets
            continue
        found[HEX].add(piece.hex())
        if all(32 < byte < 127 for byte in piece):
            found[BYTES].add(piece.decode())
    for shift in range(3):
        encoded = base64.b64encode(secret[shift : shift + (len(secret) - shift) // 3 * 3]).decode()
        found[BASE64].update(w for w in windows(encoded, BASE64) if len(set(w)) > 5)
    return found


def main(secrets_file, files):
    by_kind = {}
    for line in open(secrets_file, encoding="ascii"):
        kind, value = line.split()
        for size, texts in patterns(bytes.fromhex(value)).items():
            by_kind.setdefault(size, {}).update(dict.fromkeys(texts, kind))
    finds = set()
    for name in files:
        text = open(name, encoding="utf-8", errors="replace").read()
        forms = {
            HEX: re.findall(r"[0-9a-f]{%d,}" % HEX, text.lower()),
            BASE64: re.findall(r"[A-Za-z0-9+/]{%d,}" % BASE64, text.replace("-", "+").replace("_", "/")),
            BYTES: re.findall(r"[!-~]{%d,}" % BYTES, text),
        }
        for size, runs in forms.items():
            for run in runs:
                finds.update((name, by_kind[size][w]) for w in windows(run, size) if w in by_kind[size])
    for name, kind in sorted(finds):
        print(f"{name} has a part of a secret in it: {kind}")
    return 1 if finds else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
