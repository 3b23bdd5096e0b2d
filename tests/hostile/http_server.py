"""An HTTP/1.1 server that a test scripts down to the byte."""

import asyncio
import dataclasses
import json
import threading
import time
import urllib.parse


class _Loop:
    """One event loop in a thread of its own, for all servers of a process."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()

    def run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(timeout=30)


LOOP = _Loop()


@dataclasses.dataclass
class Request:
    method: str
    path: str
    query: dict
    headers: dict
    body: bytes
    at: float
    """When it arrived, on the monotonic clock."""
    kind: str = ""
    """What it asks for, in the terms of the vendor that got it."""

    def json(self):
        return json.loads(self.body)

    def form(self):
        return dict(urllib.parse.parse_qsl(self.body.decode()))


@dataclasses.dataclass
class Answer:
    """A response. Its content is JSON unless it is bytes."""

    status: int = 200
    content: object = dataclasses.field(default_factory=dict)
    headers: dict = dataclasses.field(default_factory=dict)
    delay: float = 0

    def encode(self):
        body = self.content if isinstance(self.content, bytes) else json.dumps(self.content).encode()
        headers = {"content-type": "application/json", "content-length": str(len(body)), **self.headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"HTTP/1.1 {self.status} Scripted\r\n{head}\r\n".encode() + body


@dataclasses.dataclass
class Raw:
    """Writes a response by itself, and then has the connection closed: `async def write(writer)`."""

    write: object


class Server:
    """Answers every request with what `answer(request)` returns, and remembers the requests."""

    def __init__(self, answer):
        self.answer = answer
        self.requests = []
        self.under_way = {}
        self.most_under_way = {}
        self._server = LOOP.run(asyncio.start_server(self._connection, "127.0.0.1", 0, backlog=1024, limit=1 << 24))
        self.port = self._server.sockets[0].getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self.url = f"http://{self.address}"

    def close(self):
        LOOP.loop.call_soon_threadsafe(self._server.close)

    def clear(self):
        self.requests = []

    async def _connection(self, reader, writer):
        try:
            while request := await self._read(reader):
                if not await self._respond(request, reader, writer):
                    break
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _read(self, reader):
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return None
        first, *lines = head.split("\r\n")
        method, target, _ = first.split(" ", 2)
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
        if headers.get("transfer-encoding") == "chunked":
            body = await self._chunks(reader)
        else:
            body = await reader.readexactly(int(headers.get("content-length", 0)))
        path, _, query = target.partition("?")
        return Request(method, path, dict(urllib.parse.parse_qsl(query)), headers, body, time.monotonic())

    async def _chunks(self, reader):
        body = b""
        while size := int(await reader.readline(), 16):
            body += await reader.readexactly(size)
            await reader.readline()
        await reader.readline()
        return body

    async def _respond(self, request, reader, writer):
        """Answers; returns whether the connection stays open."""
        self.requests.append(request)
        answer = self.answer(request)
        kind = request.kind
        self.under_way[kind] = self.under_way.get(kind, 0) + 1
        self.most_under_way[kind] = max(self.under_way[kind], self.most_under_way.get(kind, 0))
        try:
            if asyncio.iscoroutine(answer):
                answer = await answer
            if isinstance(answer, Raw):
                await answer.write(writer)
                return False
            if not await self._wait(answer.delay, reader):
                return False
            writer.write(answer.encode())
            await writer.drain()
            return True
        finally:
            self.under_way[kind] -= 1

    async def _wait(self, delay, reader):
        """Waits; returns whether the client is there still."""
        until = time.monotonic() + delay
        while (left := until - time.monotonic()) > 0:
            if reader.at_eof():
                return False
            await asyncio.sleep(min(left, 0.02))
        return True
