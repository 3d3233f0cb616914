#!/usr/bin/env python3
"""A miner and a node on top of aioquic, for `make interop`.

The QUIC and TLS are aioquic's; what is here is only the miner protocol.  It prints one JSON object for
each thing that happens.
"""
import asyncio
import hashlib
import json
import os
import socket
import ssl
import struct
import sys

from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.asyncio.server import serve
from aioquic.quic import events
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from cryptography import x509
from cryptography.hazmat.primitives import serialization

FRAME_MAX = 1024
KEEP_ALIVE_S = 5


class Options(dict):
    """`ROLE --name value ...`; a flag has the value "yes"."""

    def __init__(self, arguments):
        super().__init__(zip([name.lstrip("-") for name in arguments[::2]], arguments[1::2]))

    def text(self, name):
        return self.get(name, "")

    def is_set(self, name):
        return self.get(name) == "yes"

    async def pause(self):
        """So that a session lasts until the event of its case."""
        await asyncio.sleep(self.count("pause-ms", 0) / 1000)

    def count(self, name, otherwise):
        return int(self.get(name, otherwise))


def say(**event):
    print(json.dumps(event), flush=True)


def frame(message):
    body = json.dumps(message, separators=(",", ":")).encode()
    return struct.pack(">I", len(body)) + body


async def read(reader):
    (length,) = struct.unpack(">I", await reader.readexactly(4))
    if not 0 < length <= FRAME_MAX:
        raise ValueError(f"a frame of {length} bytes")
    return json.loads(await reader.readexactly(length))


def ready(alpn, token):
    if alpn == "quantus-miner":
        return "Ready"
    return {"Ready": {"token": token} if token else {}}


def result(job_id, nonce):
    """With the given number as nonce; at difficulty 1 nearly every number is a proof."""
    return {"JobResult": {"status": "completed", "job_id": job_id, "nonce": f"{nonce:x}",
                          "work": f"{nonce:0128x}", "hash_count": 1, "elapsed_time": 0.25}}


class Talker(QuicConnectionProtocol):
    """Remembers how the handshake went and how the link ended."""

    completed = None
    ended = None

    def quic_event_received(self, event):
        if isinstance(event, events.HandshakeCompleted):
            self.completed = event
            if not self._quic.configuration.is_client:
                say(event="open", alpn=event.alpn_protocol, resumed=event.session_resumed)
        elif isinstance(event, events.ConnectionTerminated):
            self.ended = event
        super().quic_event_received(event)

    def leaf(self):
        certificate = self._quic.tls._peer_certificate
        return hashlib.sha256(certificate.public_bytes(serialization.Encoding.DER)).hexdigest()


def loopback_socket():
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind(("127.0.0.1", 0))
    return made


def own_leaf(options):
    """The certificate and key that this side shows."""
    with open(options.text("cert"), "rb") as file:
        certificate = x509.load_der_x509_certificate(file.read())
    with open(options.text("key"), "rb") as file:
        return certificate, serialization.load_der_private_key(file.read(), password=None)


class Miner:
    def __init__(self, options):
        self.options = options
        self.ticket = None
        self.token = b""

    def configuration(self):
        # The signature of the handshake is checked in this mode too; the pin is ours to check.
        configuration = QuicConfiguration(is_client=True, alpn_protocols=[self.options.text("alpn")],
                                          verify_mode=ssl.CERT_NONE, server_name="localhost")
        if self.options.text("cert"):
            configuration.certificate, configuration.private_key = own_leaf(self.options)
        configuration.token = self.token
        if self.ticket is not None:
            configuration.session_ticket = self.ticket
        return configuration

    async def connect(self):
        host, port = self.options.text("connect").rsplit(":", 1)
        connection = QuicConnection(configuration=self.configuration(),
                                    session_ticket_handler=self.keep_ticket, token_handler=self.keep_token)
        loop = asyncio.get_running_loop()
        _, talker = await loop.create_datagram_endpoint(lambda: Talker(connection), sock=loopback_socket())
        talker.connect((host, int(port)))
        try:
            await talker.wait_connected()
        except ConnectionError:
            raise ConnectionError(f"error {talker.ended.error_code}: {talker.ended.reason_phrase}") from None
        return talker

    def keep_token(self, token):
        self.token = token

    def keep_ticket(self, ticket):
        self.ticket = ticket

    async def session(self, seed):
        talker = await self.connect()
        leaf = talker.leaf() if not talker.completed.session_resumed else self.options.text("pin")
        if leaf != self.options.text("pin"):
            talker.close(error_code=0x131)
            raise ConnectionError("another certificate than the pinned one")
        say(event="open", alpn=talker.completed.alpn_protocol, leaf=leaf,
            resumed=talker.completed.session_resumed,
            early="accepted" if talker.completed.early_data_accepted else "not accepted")
        pings = asyncio.ensure_future(keep_alive(talker))
        try:
            return await self.mine(talker, seed)
        except asyncio.IncompleteReadError:
            say(event="closed", code=talker.ended.error_code, reason=talker.ended.reason_phrase)
            raise ConnectionError("connection lost") from None
        finally:
            pings.cancel()
            talker.close()
            await talker.wait_closed()

    async def mine(self, talker, seed):
        alpn, wanted = self.options.text("alpn"), self.options.count("results", 1)
        reader, writer = await talker.create_stream()
        writer.write(frame(ready(alpn, self.options.text("token"))))
        if self.options.is_set("second-stream"):
            _, second = await talker.create_stream()
            second.write(b"?")
            stream = talker._quic._streams[second.get_extra_info("stream_id")]
            say(event="second_stream", granted=not stream.is_blocked)
        accepted, job, waiting = 0, None, False
        while accepted < wanted:
            message = await read(reader)
            if "JobAck" in message:
                waiting = message["JobAck"]["verdict"] == "accepted" or self.options.is_set("any-verdict")
                accepted += waiting
            elif "NewJob" in message:
                # Without acknowledgements another job is all that a miner ever learns.
                accepted += alpn != "pqlink-miner/1" and waiting and message["NewJob"]["job_id"] != job
                job, waiting = message["NewJob"]["job_id"], False
            if waiting or job is None or accepted >= wanted:
                continue
            await self.disturb(talker, accepted)
            await self.options.pause()
            seed += 1
            writer.write(frame(result(job, seed)))
            waiting = True
        return accepted

    async def disturb(self, talker, accepted):
        """The events of a case, after the first accepted result."""
        if accepted and self.options.is_set("key-update"):
            talker.request_key_update()
            say(event="key_update")
        if accepted == 1 and self.options.is_set("migrate"):
            old = talker._transport
            loop = asyncio.get_running_loop()
            moved, _ = await loop.create_datagram_endpoint(lambda: talker, sock=loopback_socket())
            talker.change_connection_id()
            say(event="moved", to=moved.get_extra_info("sockname")[1],
                **{"from": old.get_extra_info("sockname")[1]})

    async def run(self):
        accepted = 0
        for number in range(self.options.count("sessions", 1)):
            accepted += await self.session(number * 1000)
        links = [self.session((number + 1) * 100000) for number in range(self.options.count("links", 0))]
        accepted += sum(await asyncio.gather(*links))
        say(event="done", accepted=accepted)


async def keep_alive(talker):
    while True:
        await asyncio.sleep(KEEP_ALIVE_S)
        await talker.ping()


def job(number, difficulty):
    return {"NewJob": {"job_id": str(number), "mining_hash": f"{number:064x}", "difficulty": difficulty}}


class Node:
    def __init__(self, options):
        self.options = options
        self.tickets = {}

    def keep(self, ticket):
        self.tickets[ticket.ticket] = ticket

    def configuration(self):
        configuration = QuicConfiguration(is_client=False, alpn_protocols=[self.options.text("alpn")])
        configuration.certificate, configuration.private_key = own_leaf(self.options)
        return configuration

    async def serve(self, reader, writer):
        message = await read(reader)
        say(event="ready", message=message)
        talker = writer.transport.protocol
        if message["Ready"].get("token", "") != self.options.text("token"):
            talker.close(reason_phrase="auth failed")
            return
        number, wanted, difficulty = 1, self.options.count("results", 1), self.options.text("difficulty")
        writer.write(frame(job(number, difficulty)))
        while number <= wanted:
            found = (await read(reader)).get("JobResult")
            if not found or found["status"] != "completed" or found["job_id"] != str(number):
                continue
            say(event="result", mining_hash=f"{number:064x}", difficulty=difficulty, work=found["work"])
            if self.options.is_set("key-update"):
                talker.request_key_update()
                say(event="key_update")
            if self.options.text("alpn") == "pqlink-miner/1":
                writer.write(frame({"JobAck": {"job_id": str(number), "nonce": found["nonce"], "height": number,
                                               "verdict": "accepted", "reason": "taken"}}))
            number += 1
            await self.options.pause()
            writer.write(frame(job(number, difficulty)))
        say(event="done", accepted=wanted)

    def start(self, reader, writer):
        task = asyncio.ensure_future(self.serve(reader, writer))
        task.add_done_callback(lambda done: done.exception() and say(event="link_failed", text=repr(done.exception())))

    async def run(self):
        server = await serve("127.0.0.1", 0, configuration=self.configuration(), create_protocol=Talker,
                             retry=self.options.is_set("retry"), stream_handler=self.start,
                             session_ticket_handler=self.keep, session_ticket_fetcher=self.tickets.get)
        say(event="listening", port=server._transport.get_extra_info("sockname")[1])
        await asyncio.Event().wait()


async def main():
    role, options = sys.argv[1], Options(sys.argv[2:])
    work = {"client": lambda: Miner(options).run(), "server": lambda: Node(options).run()}[role]()
    try:
        await asyncio.wait_for(work, options.count("timeout", 30))
    except (OSError, ValueError, asyncio.TimeoutError) as failure:
        say(event="failed", text=str(failure) or repr(failure))
        os._exit(1)


if __name__ == "__main__":
    asyncio.run(main())
