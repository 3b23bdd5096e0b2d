"""Becomes one of the servers that ours are compared with, in front of a mock of BigQuery."""

import argparse
import json
import os
import pathlib
import subprocess

HERE = pathlib.Path(__file__).parent
# The variables of a caller's shell must not configure a server.
INHERITED = ("PATH", "LD_LIBRARY_PATH")
GENERATE_KEY = """
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
print(key.private_bytes(pem, pkcs8, serialization.NoEncryption()).decode(), end="")
"""


def with_key(args):
    """The environment of Google's client with the key of an account."""
    key = subprocess.run([args.python, "-c", GENERATE_KEY], check=True, capture_output=True, text=True).stdout
    account = {
        "type": "service_account",
        "project_id": "acme-analytics",
        "private_key_id": "0123456789abcdef0123456789abcdef01234567",
        "private_key": key,
        "client_email": "outrigger@acme-analytics.iam.gserviceaccount.com",
        "client_id": "100000000000000000000",
        "token_uri": f"{args.endpoint}/token",
    }
    file = args.files / "account.json"
    file.write_text(json.dumps(account))
    return {"GOOGLE_APPLICATION_CREDENTIALS": str(file), "BIGQUERY_EMULATOR_HOST": args.endpoint}


def with_metadata_server(args):
    """The environment of Google's client on a machine of Google's."""
    host = args.endpoint.removeprefix("http://")
    # Nobody's own credentials are found there.
    found_first = {"CLOUDSDK_CONFIG": str(args.files), "HOME": str(args.files)}
    metadata = {"GCE_METADATA_HOST": host, "GCE_METADATA_ROOT": host, "GCE_METADATA_IP": host}
    return {**found_first, **metadata, "BIGQUERY_EMULATOR_HOST": args.endpoint}


def flytekit(args):
    program = pathlib.Path(args.python).parent / "pyflyte"
    # Port 0: its metrics are nobody's here, and every server would want port 9090.
    return [str(program), "serve", "connector", "--port", str(args.port), "--prometheus_port", "0"]


def flyte2(args):
    program = pathlib.Path(args.python).parent / "c0"
    return [str(program), "--port", str(args.port), "--prometheus_port", "0"]


def fastapi(args):
    app = ["fastapi_sketch:app", "--app-dir", str(HERE), "--host", "127.0.0.1", "--port", str(args.port)]
    return ["-m", "uvicorn", *app, "--workers", "1", "--no-access-log"]


def with_endpoint(args):
    names = ("PEER_SECRET", "PEER_ISSUER", "PEER_AUDIENCE")
    return {"PEER_ENDPOINT": args.endpoint, **{name: os.environ[name] for name in names}}


PEERS = {
    "flytekit-key": (flytekit, with_key),
    "flytekit-metadata": (flytekit, with_metadata_server),
    "flyte2": (flyte2, with_key),
    "fastapi": (fastapi, with_endpoint),
}


def read_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=PEERS)
    parser.add_argument("--python", required=True, help="interpreter that has the peer's packages")
    parser.add_argument("--port", required=True, type=int)
    parser.add_argument("--endpoint", required=True, metavar="URL", help="address of mock-vendor")
    parser.add_argument("--files", required=True, type=pathlib.Path, metavar="DIRECTORY", help="of its own")
    return parser.parse_args()


def main():
    args = read_arguments()
    args.files.mkdir(parents=True, exist_ok=True)
    command, environment = PEERS[args.name]
    inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
    # Exec keeps the pid, of which the caller reads time and memory.
    os.execve(args.python, [args.python, *command(args)], {**inherited, **environment(args)})


if __name__ == "__main__":
    main()
