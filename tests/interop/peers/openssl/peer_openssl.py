#!/usr/bin/env python3
"""A node on top of OpenSSL's QUIC server, for `make interop`.  (Its client is `openssl s_client -quic`.)

OpenSSL has no program that is a QUIC server, so this calls its library.  The QUIC and TLS are OpenSSL's; what is here
gives each miner one job.  It prints one JSON object for each thing that happens.
"""
import ctypes
import json
import socket
import struct
import sys

SSL_FILETYPE_PEM = 1
SSL_CTRL_SET_GROUPS_LIST = 92
SSL_TLSEXT_ERR_OK, SSL_TLSEXT_ERR_ALERT_FATAL = 0, 2
FRAME_MAX = 1024

POINTER, LONG, INT, SIZE, TEXT = ctypes.c_void_p, ctypes.c_long, ctypes.c_int, ctypes.c_size_t, ctypes.c_char_p
CHOOSE_ALPN = ctypes.CFUNCTYPE(INT, POINTER, ctypes.POINTER(POINTER), ctypes.POINTER(ctypes.c_ubyte),
                               ctypes.POINTER(ctypes.c_ubyte), ctypes.c_uint, POINTER)


def library():
    ssl, crypto = ctypes.CDLL("libssl.so.3"), ctypes.CDLL("libcrypto.so.3")
    for name, result, arguments in (
            ("OSSL_QUIC_server_method", POINTER, []), ("SSL_CTX_new", POINTER, [POINTER]),
            ("SSL_CTX_use_certificate_chain_file", INT, [POINTER, TEXT]),
            ("SSL_CTX_use_PrivateKey_file", INT, [POINTER, TEXT, INT]),
            ("SSL_CTX_ctrl", LONG, [POINTER, INT, LONG, TEXT]), ("SSL_get0_group_name", TEXT, [POINTER]),
            ("SSL_CTX_set_alpn_select_cb", None, [POINTER, CHOOSE_ALPN, POINTER]),
            ("SSL_new_listener", POINTER, [POINTER, ctypes.c_uint64]), ("SSL_set_fd", INT, [POINTER, INT]),
            ("SSL_listen", INT, [POINTER]), ("SSL_accept_connection", POINTER, [POINTER, ctypes.c_uint64]),
            ("SSL_do_handshake", INT, [POINTER]), ("SSL_session_reused", INT, [POINTER]),
            ("SSL_read_ex", INT, [POINTER, POINTER, SIZE, ctypes.POINTER(SIZE)]),
            ("SSL_write_ex", INT, [POINTER, POINTER, SIZE, ctypes.POINTER(SIZE)]),
            ("SSL_handle_events", INT, [POINTER])):
        function = getattr(ssl, name)
        function.restype, function.argtypes = result, arguments
    crypto.ERR_get_error.restype = ctypes.c_ulong
    crypto.ERR_error_string_n.argtypes = [ctypes.c_ulong, TEXT, SIZE]
    return ssl, crypto


SSL, CRYPTO = library()


class Failure(Exception):
    """What OpenSSL says of a call that failed."""

    def __init__(self, call):
        said, text = [], ctypes.create_string_buffer(256)
        while (code := CRYPTO.ERR_get_error()) != 0:
            CRYPTO.ERR_error_string_n(code, text, len(text))
            said.append(text.value.decode())
        super().__init__(f"{call}: {'; '.join(said) or 'no reason given'}")


def must(result, call):
    if not result or result < 0:
        raise Failure(call)
    return result


def say(**event):
    print(json.dumps(event), flush=True)


def chooser(wanted):
    """Takes the protocol with the name |wanted|, and keeps it alive for OpenSSL."""
    kept = ctypes.create_string_buffer(wanted)

    @CHOOSE_ALPN
    def choose(_ssl, out, out_len, offered, offered_len, _argument):
        names, at = bytes(offered[:offered_len]), 0
        while at < len(names):
            if names[at + 1:at + 1 + names[at]] == wanted:
                out[0], out_len[0] = ctypes.addressof(kept), len(wanted)
                return SSL_TLSEXT_ERR_OK
            at += 1 + names[at]
        return SSL_TLSEXT_ERR_ALERT_FATAL
    return choose


def read(link, wanted):
    data, count = ctypes.create_string_buffer(wanted), SIZE(0)
    got = b""
    while len(got) < wanted:
        must(SSL.SSL_read_ex(link, data, wanted - len(got), ctypes.byref(count)), "SSL_read_ex")
        got += data.raw[:count.value]
    return got


def read_message(link):
    (length,) = struct.unpack(">I", read(link, 4))
    if not 0 < length <= FRAME_MAX:
        raise ValueError(f"a frame of {length} bytes")
    return json.loads(read(link, length))


def write_message(link, message):
    body, count = json.dumps(message, separators=(",", ":")).encode(), SIZE(0)
    framed = struct.pack(">I", len(body)) + body
    must(SSL.SSL_write_ex(link, framed, len(framed), ctypes.byref(count)), "SSL_write_ex")


def serve(link):
    """One miner: a job for its Ready, until it closes."""
    must(SSL.SSL_do_handshake(link), "SSL_do_handshake")
    say(event="open", group=SSL.SSL_get0_group_name(link).decode(), resumed=SSL.SSL_session_reused(link) == 1)
    say(event="ready", message=read_message(link))
    write_message(link, {"NewJob": {"job_id": "1", "mining_hash": f"{1:064x}", "difficulty": "1"}})
    read(link, 1)


def main():
    options = dict(zip([name.lstrip("-") for name in sys.argv[2::2]], sys.argv[3::2]))
    choose = chooser(options["alpn"].encode())
    context = must(SSL.SSL_CTX_new(SSL.OSSL_QUIC_server_method()), "SSL_CTX_new")
    must(SSL.SSL_CTX_use_certificate_chain_file(context, options["cert"].encode()), "certificate")
    must(SSL.SSL_CTX_use_PrivateKey_file(context, options["key"].encode(), SSL_FILETYPE_PEM), "key")
    must(SSL.SSL_CTX_ctrl(context, SSL_CTRL_SET_GROUPS_LIST, 0, options["groups"].encode()), "groups")
    SSL.SSL_CTX_set_alpn_select_cb(context, choose, None)
    bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    bound.bind(("127.0.0.1", 0))
    listener = must(SSL.SSL_new_listener(context, 0), "SSL_new_listener")
    must(SSL.SSL_set_fd(listener, bound.fileno()), "SSL_set_fd")
    must(SSL.SSL_listen(listener), "SSL_listen")
    say(event="listening", port=bound.getsockname()[1])
    ended = []  # links go on saying why they ended, for as long as they are there
    while True:
        link = must(SSL.SSL_accept_connection(listener, 0), "SSL_accept_connection")
        try:
            serve(link)
        except (Failure, ValueError) as failure:
            say(event="link_failed", text=str(failure))
        SSL.SSL_handle_events(link)
        ended.append(link)


if __name__ == "__main__":
    main()
