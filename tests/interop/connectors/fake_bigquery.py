"""The fake BigQuery of the services' tests, and Google's token endpoint."""

import contextlib
import http.server
import json
import subprocess
import threading


class TokenEndpoint(http.server.BaseHTTPRequestHandler):
    """Google's, as far as its client needs it: the fake BigQuery takes every token of three parts."""

    def do_POST(self):
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.end_headers()
        self.wfile.write(b'{"access_token": "a.b.c", "expires_in": 3600, "token_type": "Bearer"}')

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def running(program, files):
    """Gives the environment in which Google's client calls it."""
    key, account = files / "key.pem", files / "account.json"
    subprocess.run(["openssl", "genpkey", "-quiet", "-algorithm", "RSA", "-out", key], check=True, timeout=60)
    endpoint = http.server.ThreadingHTTPServer(("127.0.0.1", 0), TokenEndpoint)
    threading.Thread(target=endpoint.serve_forever, daemon=True).start()
    names = {"type": "service_account", "project_id": "proj-1", "client_email": "flyte@example.com"}
    uri = f"http://127.0.0.1:{endpoint.server_port}/token"
    account.write_text(json.dumps({**names, "private_key": key.read_text(), "token_uri": uri}))
    fake = subprocess.Popen([program, "bigquery"], stdout=subprocess.PIPE, text=True)
    try:
        url = fake.stdout.readline().strip()
        yield {"BIGQUERY_EMULATOR_HOST": url, "GOOGLE_APPLICATION_CREDENTIALS": str(account)}
    finally:
        fake.kill()
        fake.wait()
        endpoint.shutdown()
