"""Issuers of tokens: keys, tokens right and wrong, and a server of key sets."""

import base64
import datetime
import hashlib
import hmac
import json
import time

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from http_server import Answer, Server

AUDIENCE = "connectors"
SECRET = "a shared secret of more than thirty-two bytes"
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())


def encoded(data):
    if not isinstance(data, bytes):
        data = json.dumps(data).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(header, claims, key=SECRET):
    """A token of any header and claims, signed with a shared secret."""
    message = f"{encoded(header)}.{encoded(claims)}"
    key = key if isinstance(key, bytes) else key.encode()
    return f"{message}.{encoded(hmac.new(key, message.encode(), hashlib.sha256).digest())}"


def jwk(key, kid, **members):
    """The public key as a member of a key set."""
    public = key.public_key()
    algorithm = jwt.algorithms.RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else jwt.algorithms.ECAlgorithm
    return {**json.loads(algorithm.to_jwk(public)), "kid": kid, **members}


class Issuers:
    """Two issuers that a service trusts: `shared`, by a secret, and `published`, by a key set that it fetches."""

    def __init__(self, files):
        self.files = files
        self.keys = [jwk(RSA, "first", use="sig", alg="RS256")]
        self.on_fetch = None
        self.server = Server(lambda request: (self.on_fetch and self.on_fetch(request)) or Answer(200, {"keys": self.keys}))

    def write(self, file, rules=None):
        """Writes an authentication file. Returns its path."""
        (self.files / "shared.secret").write_text(SECRET)
        rules = rules or [
            {"issuer": "shared", "sub": "propeller", "role": "propeller"},
            {"issuer": "shared", "sub": "admin", "role": "admin"},
            {"issuer": "shared", "client": "machine", "role": "user"},
            {"issuer": "shared", "sub": "alice", "role": "user"},
            {"issuer": "shared", "sub": "bob", "role": "user"},
            {"issuer": "shared", "sub": "client:machine", "role": "user"},
            {"issuer": "published", "sub": "alice", "role": "user"},
            {"issuer": "published", "sub": "propeller", "role": "propeller"},
        ]
        shared = {"name": "shared", "issuer": "https://shared.example.com", "audiences": [AUDIENCE]}
        shared["key"] = {"hs256_secret_file": str(self.files / "shared.secret")}
        published = {"name": "published", "issuer": "https://published.example.com", "audiences": [AUDIENCE]}
        published["jwks"] = {"url": f"{self.server.url}/keys"}
        published["algorithms"] = ["RS256", "ES256"]
        # JSON is YAML.
        file.write_text(json.dumps({"issuers": [shared, published], "rules": rules}))
        return file


def claims(issuer="shared", subject="alice", **over):
    """Valid claims; a member set to None is left out."""
    now = int(time.time())
    all_claims = {"iss": f"https://{issuer}.example.com", "aud": AUDIENCE, "sub": subject, "iat": now, "exp": now + 3600, **over}
    return {name: value for name, value in all_claims.items() if value is not None}


def shared_token(subject="alice", **over):
    return signed({"alg": "HS256", "typ": "JWT"}, claims(subject=subject, **over))


def published_token(subject="alice", kid="first", key=RSA, algorithm="RS256", **over):
    return jwt.encode(claims("published", subject, **over), key, algorithm, {"kid": kid})


def certificate(files):
    """A certificate for loopback, and its key."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "hostile")])
    now = datetime.datetime.now(datetime.timezone.utc)
    built = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(EC.public_key())
    built = built.serial_number(1).not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=1))
    signed = built.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), False).sign(EC, hashes.SHA256())
    (files / "tls.crt").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.PKCS8
    (files / "tls.key").write_bytes(EC.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
    return files / "tls.crt", files / "tls.key"
