"""A rendered pod without Kubernetes: its files and environment, and a fake of the cluster's API server."""

import base64
import datetime
import ipaddress
import json
import re
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from charts import container, one

API_SERVER = "https://kubernetes.default.svc"
# As that of a managed cluster: no value says which it is.
ISSUER = "https://oidc.example.com/id/0123456789ABCDEF"


def certificate(key, names=()):
    """A self-signed certificate for 127.0.0.1 and some names."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "kubernetes")])
    now = datetime.datetime.now(datetime.timezone.utc)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1")), *map(x509.DNSName, names)])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now - datetime.timedelta(minutes=5))
    builder = builder.not_valid_after(now + datetime.timedelta(hours=1)).add_extension(address, critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def tls_secret(names):
    """The content of cert-manager's Secret for a new certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    private = serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    its_own = certificate(key, names)
    private_key = key.private_bytes(serialization.Encoding.PEM, *private).decode()
    return {"tls.crt": its_own, "tls.key": private_key, "ca.crt": its_own}


class Cluster:
    """Signs ServiceAccount tokens, and serves its keys to the holder of the pod's own token."""

    def __init__(self, directory):
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.authority = certificate(self.key)
        self.pod_token = jwt.encode({"iss": ISSUER, "sub": "system:serviceaccount:flyte:bigquery"}, self.key, algorithm="RS256")
        keys = {**json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key())), "kid": "1", "alg": "RS256", "use": "sig"}
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler(json.dumps({"keys": [keys]}).encode()))
        self.server.socket = self._context(directory).wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def _context(self, directory):
        private = serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        key = self.key.private_bytes(serialization.Encoding.PEM, *private).decode()
        (directory / "api-server.pem").write_text(self.authority + key)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(directory / "api-server.pem")
        return context

    def _handler(self, keys):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(handler):
                known = handler.headers.get("authorization") == f"Bearer {self.pod_token}"
                body = keys if known and handler.path == "/openid/v1/jwks" else b"{}"
                handler.send_response(200 if body is keys else 403)
                handler.send_header("content-type", "application/jwk-set+json")
                handler.send_header("content-length", str(len(body)))
                handler.end_headers()
                handler.wfile.write(body)

            def log_message(handler, *_):
                pass

        return Handler

    @property
    def url(self):
        return f"https://127.0.0.1:{self.server.server_port}"

    def token(self, account="flyte:flytepropeller", audience="flyte-connectors", issuer=ISSUER):
        now = int(time.time())
        claims = {"iss": issuer, "sub": f"system:serviceaccount:{account}", "aud": [audience], "iat": now, "exp": now + 600}
        return jwt.encode(claims, self.key, "RS256", headers={"kid": "1"})

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Pod:
    """The files and variables of the Deployment's pod. `secrets` are existing Secrets: `{name: {key: value}}`."""

    def __init__(self, objects, root, cluster, secrets=None):
        self.objects, self.root, self.cluster, self.secrets = objects, root, cluster, secrets or {}
        self.container = container(objects)
        self.spec = one(objects, "Deployment")["spec"]["template"]["spec"]
        volumes = {volume["name"]: volume for volume in self.spec["volumes"]}
        for mount in self.container["volumeMounts"]:
            for path, content in self.files(volumes[mount["name"]]):
                file = root / mount["mountPath"].lstrip("/") / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(self.relocated(content))

    def relocated(self, text):
        """Replaces paths of mounted files, and the API server's address, with ours."""
        mounts = "|".join(re.escape(mount["mountPath"]) for mount in self.container["volumeMounts"])
        text = re.sub(mounts, lambda mount: f"{self.root}{mount[0]}", text)
        return text.replace(API_SERVER + "/", self.cluster.url + "/")

    def files(self, source):
        """Names and contents of the files of a volume, or of a source of a projected one."""
        for part in source.get("projected", {}).get("sources", []):
            yield from self.files(part)
        if "serviceAccountToken" in source:
            yield source["serviceAccountToken"]["path"], self.cluster.pod_token
        for kind in ("configMap", "secret"):
            if kind in source:
                data = self.data_of(kind, source[kind].get("secretName") or source[kind]["name"])
                items = source[kind].get("items") or [{"key": key, "path": key} for key in data]
                yield from ((item["path"], data[item["key"]]) for item in items)

    def data_of(self, kind, name):
        if name == "kube-root-ca.crt":
            return {"ca.crt": self.cluster.authority}
        if kind == "configMap":
            return one(self.objects, "ConfigMap", name)["data"]
        if name in self.secrets:
            return self.secrets[name]
        encoded = one(self.objects, "Secret", name)["data"]
        return {key: base64.b64decode(value).decode() for key, value in encoded.items()}

    def environment(self):
        variables = {variable["name"]: self.relocated(variable["value"]) for variable in self.container["env"]}
        # The services' default directory.
        return {**variables, "PLUGIN_SECRETS_DIR": f"{self.root}/etc/secrets"}

    def probe(self, name):
        """The URL of a probe."""
        ports = {port["name"]: port["containerPort"] for port in self.container["ports"]}
        get = self.container[f"{name}Probe"]["httpGet"]
        return f"http://127.0.0.1:{ports[get['port']]}{get['path']}"
