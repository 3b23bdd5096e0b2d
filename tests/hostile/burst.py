"""Ten thousand calls at once: frames that were encoded before, and answers that are decoded afterwards."""

import selectors
import struct
import time

import hpack

import frames
from frames import DATA, END_HEADERS, END_STREAM, HEADERS, RST_STREAM, SETTINGS, WINDOW_UPDATE, frame

STREAMS = 250
"""What a service takes on a connection."""


class Connection:
    """One connection with many calls."""

    def __init__(self, port, path, token, bodies):
        self.socket = frames.connect(port, timeout=30)
        self.bodies = bodies
        headers = frames.headers_of("a", path, token, content_type="application/grpc", te="trailers")
        # Never indexed, so that one block serves for every stream.
        block = hpack.Encoder().encode([hpack.NeverIndexedHeaderTuple(*header) for header in headers])
        self.request = b"".join(
            frame(HEADERS, END_HEADERS, 2 * n + 1, block) + frame(DATA, END_STREAM, 2 * n + 1, frames.message(body)) for n, body in enumerate(bodies)
        )
        window = struct.pack(">I", (1 << 30) - 1)
        self.socket.sendall(frames.PREFACE + frame(SETTINGS, 0, 0, b"\0\4" + window) + frame(WINDOW_UPDATE, 0, 0, window))
        self.received = b""
        # The calls take more than the window that a connection begins with.
        while not any(kind == WINDOW_UPDATE for kind, *_ in self._frames(0)):
            chunk = self.socket.recv(65536)
            assert chunk, "the connection was closed"
            self.received += chunk
        self.arrivals = []
        """When bytes arrived: (time, how many bytes there were then)."""
        self.ended = set()
        self._parsed = 0
        """How many of the bytes were looked at."""

    def send(self):
        self.socket.settimeout(60)
        self.socket.sendall(frame(SETTINGS, frames.ACK) + self.request)

    def read(self):
        """Reads what is there; returns whether more is expected."""
        try:
            chunk = self.socket.recv(1 << 18)
        except OSError:
            chunk = b""
        self.received += chunk
        self.arrivals.append((time.monotonic(), len(self.received)))
        for kind, flags, stream, _, end in self._frames(self._parsed):
            if kind == RST_STREAM or (kind in (HEADERS, DATA) and flags & END_STREAM):
                self.ended.add(stream)
            self._parsed = end
        return bool(chunk) and len(self.ended) < len(self.bodies)

    def _frames(self, at):
        while at + 9 <= len(self.received):
            length = int.from_bytes(self.received[at : at + 3], "big")
            kind, flags, stream = struct.unpack(">BBI", self.received[at + 3 : at + 9])
            end = at + 9 + length
            if end > len(self.received):
                return
            yield kind, flags, stream & 0x7FFFFFFF, self.received[at + 9 : end], end
            at = end

    def outcomes(self):
        """For each ended call: when it ended, and its gRPC status (None if its stream was reset)."""
        decoder, status, outcomes, arrivals = hpack.Decoder(), {}, {}, iter(self.arrivals)
        decoder.max_header_list_size = 1 << 20
        arrived, size = next(arrivals, (0, 0))
        for kind, flags, stream, payload, end in self._frames(0):
            while size < end and (later := next(arrivals, None)):
                arrived, size = later
            if kind == HEADERS:
                fields = dict(decoder.decode(payload))
                if "grpc-status" in fields:
                    status[stream] = int(fields["grpc-status"])
            if kind == RST_STREAM:
                outcomes[stream] = (arrived, None)
            elif kind in (HEADERS, DATA) and flags & END_STREAM:
                outcomes[stream] = (arrived, status.get(stream))
        return list(outcomes.values())


def burst(port, path, token, bodies, within):
    """Makes a call with each body, all at once. Returns a list of (seconds, gRPC status) of those that ended in time."""
    groups = [bodies[at : at + STREAMS] for at in range(0, len(bodies), STREAMS)]
    connections = [Connection(port, path, token, group) for group in groups]
    selector = selectors.DefaultSelector()
    started = time.monotonic()
    for connection in connections:
        connection.send()
        selector.register(connection.socket, selectors.EVENT_READ, connection)
    while selector.get_map() and time.monotonic() < started + within:
        for key, _ in selector.select(timeout=0.5):
            if not key.data.read():
                selector.unregister(key.fileobj)
    outcomes = [(at - started, status) for connection in connections for at, status in connection.outcomes()]
    for connection in connections:
        connection.socket.close()
    return outcomes
