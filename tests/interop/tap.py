"""What passes the loopback interface at one port, whatever the programs say of it."""
import socket
import struct
import threading

ALL_PROTOCOLS = 0x0003
ETHERNET_HEADER = 14
UDP = 17
OUTGOING = 4  # PACKET_OUTGOING: loopback shows each packet twice
LONG_HEADER, LONG_TYPE = 0x80, 0x30
INITIAL, ZERO_RTT, RETRY = 0x00, 0x10, 0x30
CONGESTION = 3


def number(data, at):
    """A variable-length integer (RFC 9000, 16), and where it ends; 0 where the data does."""
    if at >= len(data):
        return 0, at
    end = at + (1 << (data[at] >> 6))
    return int.from_bytes(data[at:end], "big") & ((1 << (8 * (end - at) - 2)) - 1), end


class Tap:
    """Counts while it is entered: Retry and 0-RTT packets, ECN marks, and ports of clients.

    Packets from and to the client port |besides| are somebody else's.
    """

    def __init__(self, port, besides=None):
        self.port, self.besides = port, besides
        self.retries = self.zero_rtts = 0
        self.retried = set()  # connection IDs of clients that got one
        self.marks = {"to": set(), "from": set()}
        self.client_ports = set()

    def __enter__(self):
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL_PROTOCOLS))
        self.socket.bind(("lo", 0))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self.socket.settimeout(0.1)
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.watch, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()
        self.socket.close()

    def watch(self):
        # Until there is nothing more: what the case did has been counted when it looks.
        while True:
            try:
                packet, address = self.socket.recvfrom(65535)
            except TimeoutError:
                if self.ended.is_set():
                    return
                continue
            if address[2] != OUTGOING:
                self.count(packet[ETHERNET_HEADER:])

    def count(self, packet):
        if len(packet) < 28 or packet[0] >> 4 != 4 or packet[9] != UDP:
            return
        head = (packet[0] & 15) * 4
        source, target = struct.unpack("!HH", packet[head:head + 4])
        if self.port not in (source, target) or self.besides in (source, target):
            return
        to_server = target == self.port
        self.marks["to" if to_server else "from"].add(packet[1] & 3)
        if to_server:
            self.client_ports.add(source)
        self.count_packets(packet[head + 8:], to_server)

    def count_packets(self, rest, to_server):
        """The packets with a long header that one datagram holds (RFC 9000, 12.2 and 17.2)."""
        while len(rest) > 6 and rest[0] & LONG_HEADER and rest[1:5] != bytes(4):
            kind, at = rest[0] & LONG_TYPE, 6 + rest[5]
            if kind == RETRY:
                if not to_server:
                    self.retries += 1
                    self.retried.add(rest[6:at])
                return
            self.zero_rtts += kind == ZERO_RTT and to_server
            if at >= len(rest):
                return
            at += 1 + rest[at]
            if kind == INITIAL:
                token, at = number(rest, at)
                at += token
            length, at = number(rest, at)
            rest = rest[at + length:]
