"""A registry on this machine: what of the distribution specification skopeo and Helm use to push.

https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md
"""

import hashlib
import http.server
import json
import re
import threading
import urllib.parse
import uuid


class Registry:
    def __init__(self):
        self.blobs, self.manifests, self.uploads = {}, {}, {}

    def __enter__(self):
        handler = type("Handler", (Handler,), {"registry": self})
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.host = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def manifest(self, name, reference):
        """A manifest by tag or digest, and its digest."""
        _, body = self.manifests[name, reference]
        return json.loads(body), digest(body)

    def blob(self, descriptor):
        return self.blobs[descriptor["digest"]]


def digest(body):
    return "sha256:" + hashlib.sha256(body).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    registry = None

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def body(self):
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def do_GET(self):
        path = urllib.parse.urlsplit(self.path).path
        if path == "/v2/":
            return self.answer(200)
        if found := re.fullmatch(r"/v2/(.+)/blobs/(.+)", path):
            blob = self.registry.blobs.get(found[2])
            return self.answer(200, blob, Docker_Content_Digest=found[2]) if blob is not None else self.answer(404)
        if found := re.fullmatch(r"/v2/(.+)/manifests/(.+)", path):
            media_type, body = self.registry.manifests.get((found[1], found[2]), (None, None))
            if body is not None:
                return self.answer(200, body, Content_Type=media_type, Docker_Content_Digest=digest(body))
        return self.answer(404)

    do_HEAD = do_GET

    def do_POST(self):
        self.body()
        upload = str(uuid.uuid4())
        self.registry.uploads[upload] = b""
        self.answer(202, Location=f"{urllib.parse.urlsplit(self.path).path}{upload}", Range="0-0")

    def do_PATCH(self):
        upload = urllib.parse.urlsplit(self.path).path.rsplit("/", 1)[1]
        # A body of unknown length comes in chunks.
        body = self.chunks() if self.headers.get("Transfer-Encoding") == "chunked" else self.body()
        self.registry.uploads[upload] += body
        size = len(self.registry.uploads[upload])
        self.answer(202, Location=self.path, Range=f"0-{max(size - 1, 0)}")

    def chunks(self):
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def do_PUT(self):
        url = urllib.parse.urlsplit(self.path)
        body = self.chunks() if self.headers.get("Transfer-Encoding") == "chunked" else self.body()
        if found := re.fullmatch(r"/v2/(.+)/manifests/(.+)", url.path):
            for reference in (found[2], digest(body)):
                self.registry.manifests[found[1], reference] = (self.headers["Content-Type"], body)
            return self.answer(201, Docker_Content_Digest=digest(body), Location=self.path)
        wanted = urllib.parse.parse_qs(url.query)["digest"][0]
        blob = self.registry.uploads.pop(url.path.rsplit("/", 1)[1]) + body
        if digest(blob) != wanted:
            return self.answer(400)
        self.registry.blobs[wanted] = blob
        return self.answer(201, Docker_Content_Digest=wanted, Location=self.path)
