"""A DNS server for one name, which stands for a headless Service: it resolves to the current addresses, with a TTL of 1 s."""

import socket
import struct
import threading

A, IN = 1, 1


def question(query):
    """The queried name, its type, and the end of the question."""
    labels, at = [], 12
    while length := query[at]:
        labels.append(query[at + 1 : at + 1 + length].decode())
        at += 1 + length
    (kind,) = struct.unpack_from("!H", query, at + 1)
    return ".".join(labels), kind, at + 5


def answer(query, name, addresses):
    asked, kind, end = question(query)
    known = asked.lower() == name
    found = addresses if known and kind == A else []
    # An authoritative response, recursion desired and available; NXDOMAIN for any other name.
    header = query[:2] + struct.pack("!HHHHH", 0x8580 if known else 0x8583, 1, len(found), 0, 0)
    records = (struct.pack("!HHHIH", 0xC00C, A, IN, 1, 4) + socket.inet_aton(address) for address in found)
    return header + query[12:end] + b"".join(records)


class NameServer:
    """Answers until closed; `addresses` may be changed at any time."""

    def __init__(self, name, addresses):
        self.name, self.addresses, self.asked = name.rstrip(".").lower(), list(addresses), 0
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    @property
    def address(self):
        host, port = self.socket.getsockname()
        return f"{host}:{port}"

    def _serve(self):
        while True:
            query, client = self.socket.recvfrom(512)
            if client == self.socket.getsockname():
                return
            self.asked += 1
            self.socket.sendto(answer(query, self.name, self.addresses), client)

    def close(self):
        # A message to itself wakes it.
        self.socket.sendto(b"", self.socket.getsockname())
        self.thread.join()
        self.socket.close()
