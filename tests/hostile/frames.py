"""HTTP/2 by hand: well-formed calls with any headers and bytes, and frames that no library would send."""

import socket
import struct
import time

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings
import hpack

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, END_HEADERS, ACK = 1, 4, 1


def frame(kind, flags=0, stream=0, payload=b"", length=None):
    """A frame; `length` is what it claims."""
    length = len(payload) if length is None else length
    return struct.pack(">I", length)[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def headers_of(api, path, token=None, method="POST", **more):
    headers = [(":method", method), (":scheme", "http"), (":authority", api), (":path", path)]
    headers += [("authorization", f"Bearer {token}")] if token else []
    return headers + [(name.replace("_", "-"), value) for name, value in more.items()]


def header_block(headers):
    return hpack.Encoder().encode(headers)


def connect(port, timeout=15.0):
    connection = socket.create_connection(("127.0.0.1", port), timeout=timeout)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def sent(connection, data):
    """Whether the data was sent before the other end closed the connection."""
    try:
        connection.sendall(data)
        return True
    except OSError:
        return False


def read_until_closed(connection, within):
    """What arrives until the other end closes; None if it does not in time."""
    deadline, read = time.monotonic() + within, b""
    while (left := deadline - time.monotonic()) > 0:
        try:
            connection.settimeout(left)
            chunk = connection.recv(65536)
        except TimeoutError:
            return None
        except OSError:
            return read
        if not chunk:
            return read
        # Enough to look at: an attacked server may say much.
        read = (read + chunk)[-(1 << 20) :]
    return None


class Stream:
    """The answer to a call."""

    def __init__(self):
        self.headers, self.trailers, self.data = {}, {}, b""
        self.reset = None
        self.ended = False

    @property
    def status(self):
        return int(self.headers.get(":status", 0))

    @property
    def grpc_status(self):
        """The gRPC status, from the trailers or the headers; None without one."""
        status = self.trailers.get("grpc-status", self.headers.get("grpc-status"))
        return None if status is None else int(status)


class Client:
    """An HTTP/2 client that does not check what it sends."""

    def __init__(self, port, timeout=15.0, settings=None):
        config = h2.config.H2Configuration(
            client_side=True, header_encoding="utf-8", validate_outbound_headers=False, normalize_outbound_headers=False
        )
        self.h2 = h2.connection.H2Connection(config)
        if settings:
            self.h2.local_settings = h2.settings.Settings(client=True, initial_values=settings)
        self.h2.initiate_connection()
        self.socket = connect(port, timeout)
        self.timeout = timeout
        self.streams = {}
        self.closed = False
        self.flush()

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def flush(self):
        self.closed |= not sent(self.socket, self.h2.data_to_send())

    def send(self, headers, data=b"", end=True):
        """Begins a call; returns its stream's number."""
        number = self.h2.get_next_available_stream_id()
        self.streams[number] = Stream()
        self.h2.send_headers(number, headers, end_stream=end and not data)
        self.flush()
        if data:
            self.upload(number, data, end)
        return number

    def upload(self, number, data, end=True):
        """Sends data as the windows allow."""
        try:
            while data and not self.streams[number].ended and not self.closed:
                size = min(self.h2.local_flow_control_window(number), self.h2.max_outbound_frame_size, len(data))
                if size == 0:
                    self.receive()
                    continue
                self.h2.send_data(number, data[:size], end_stream=end and size == len(data))
                data = data[size:]
                self.flush()
        except h2.exceptions.ProtocolError:
            self.streams[number].ended = True

    def receive(self):
        """Handles what arrives next. Raises TimeoutError if nothing does."""
        self.socket.settimeout(self.timeout)
        try:
            data = self.socket.recv(65536)
        except TimeoutError:
            raise
        except OSError:
            data = b""
        if not data:
            self.closed = True
            return
        for event in self.h2.receive_data(data):
            self._handle(event)
        self.flush()

    def _handle(self, event):
        stream = self.streams.get(getattr(event, "stream_id", None))
        match event:
            case h2.events.ResponseReceived():
                stream.headers = dict(event.headers)
            case h2.events.TrailersReceived():
                stream.trailers = dict(event.headers)
            case h2.events.DataReceived():
                stream.data += event.data
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            case h2.events.StreamEnded():
                stream.ended = True
            case h2.events.StreamReset():
                stream.reset, stream.ended = event.error_code, True
            case h2.events.ConnectionTerminated():
                self.closed = True

    def finish(self, number):
        """Waits for the end of a call."""
        stream = self.streams[number]
        while not stream.ended and not self.closed:
            self.receive()
        return stream

    def call(self, headers, data=b"", end=True):
        return self.finish(self.send(headers, data, end))


def message(content, flag=0, length=None):
    """A gRPC message with its prefix; `length` is what it claims."""
    return struct.pack(">BI", flag, len(content) if length is None else length) + content
