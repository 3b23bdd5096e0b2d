"""Tokens that must not open anything, over both protocols. RFC 7515, 7517, 7519, 8725."""

import concurrent.futures
import json
import time

import grpc
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from flyteidl.admin import agent_pb2
from flyteidl.service import agent_pb2_grpc

from callers import Rest, code
from http_server import Answer
from issuer import EC, OTHER_RSA, RSA, SECRET, Issuers, claims, encoded, jwk, published_token, shared_token, signed
from programs import Program, eventually


def answers(service, token, headers=None):
    """The HTTP status over REST and the gRPC status of a request with a token."""
    rest = Rest(service, token).request("GET", "/plugins/v1", headers=headers).status
    with grpc.insecure_channel(service.api, [("grpc.max_metadata_size", 1 << 20)]) as channel:
        stub = agent_pb2_grpc.AgentMetadataServiceStub(channel)
        try:
            metadata = [("authorization", f"Bearer {token}"), *(headers or {}).items()]
            stub.ListAgents(agent_pb2.ListAgentsRequest(), metadata=metadata, timeout=20)
            return rest, "OK"
        except grpc.RpcError as error:
            return rest, code(error)


ACCEPTED, UNAUTHENTICATED, FORBIDDEN = (200, "OK"), (401, "UNAUTHENTICATED"), (403, "PERMISSION_DENIED")
PUBLIC_PEM = RSA.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
PUBLIC_DER = RSA.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
HS256 = {"alg": "HS256", "typ": "JWT"}
NOW = int(time.time())


def unsigned(algorithm):
    return f"{encoded({'alg': algorithm, 'typ': 'JWT'})}.{encoded(claims())}."


def cut(token, *, by):
    return token[:-by]


def flipped(token, part, at=5):
    """The token with one character of a part changed."""
    parts = token.split(".")
    text = parts[part]
    parts[part] = text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]
    return ".".join(parts)


FORGED = {
    **{f"alg {name!r} without a signature": unsigned(name) for name in ("none", "None", "NONE", "nOnE", "")},
    **{f"alg {name!r}, signed": signed({"alg": name}, claims()) for name in ("none", "HS512", "hs256", "RS256", None, 1, ["HS256"])},
    "no alg": signed({"typ": "JWT"}, claims()),
    "HS256 with the RSA key's PEM": signed(HS256 | {"kid": "first"}, claims("published"), PUBLIC_PEM),
    "HS256 with the RSA key's PEM, trimmed": signed(HS256 | {"kid": "first"}, claims("published"), PUBLIC_PEM.strip()),
    "HS256 with the RSA key's DER": signed(HS256 | {"kid": "first"}, claims("published"), PUBLIC_DER),
    "HS256 with the key set": signed(HS256 | {"kid": "first"}, claims("published"), json.dumps(jwk(RSA, "first"))),
    "HS256 with an empty secret": signed(HS256, claims(), b""),
    "HS256 with another secret": signed(HS256, claims(), SECRET + "x"),
    "another RSA key": published_token(key=OTHER_RSA),
    "RS512 with the right key": published_token(algorithm="RS512"),
    "PS256 with the right key": published_token(algorithm="PS256"),
    "ES256 under an RSA key's id": published_token(key=EC, algorithm="ES256"),
    "a key in its own header": jwt.encode(claims("published"), OTHER_RSA, "RS256", {"jwk": jwk(OTHER_RSA, "first")}),
    "a signature cut": cut(shared_token(), by=4),
    "no signature": cut(shared_token(), by=43),
    "a longer signature": shared_token() + "AAAA",
    "padding": shared_token() + "=",
    "a changed header": flipped(shared_token(), 0),
    "changed claims": flipped(shared_token(), 1, 20),
    "two parts": shared_token().rpartition(".")[0],
    "four parts": shared_token() + ".AAAA",
    "nothing": "",
    "no token": "bogus",
    "of the other issuer": jwt.encode(claims("shared"), RSA, "RS256", {"kid": "first"}),
}
HEADERS = {
    **{f"kid {kid!r}": signed(HS256 | {"kid": kid}, claims()) for kid in (1, None, ["first"], {"a": 1})},
    "crit": signed(HS256 | {"crit": ["exp"], "exp": 1}, claims()),
    "b64": signed(HS256 | {"b64": False, "crit": ["b64"]}, claims()),
    **{f"typ {typ!r}": signed(HS256 | {"typ": typ}, claims()) for typ in ("dpop+jwt", "logout+jwt", "JWE", 1)},
    **{
        f"kid {kid[:20]!r}": published_token(kid=kid)
        for kid in ("../../../etc/passwd", "first' OR '1'='1", "http://127.0.0.1:1/keys", "first\x00", "FIRST", "k" * 5000)
    },
}
CLAIMS = {
    "expired": shared_token(exp=NOW - 120),
    "expired long ago": shared_token(exp=0),
    "no expiry": shared_token(exp=None),
    "exp in text": shared_token(exp=str(NOW + 3600)),
    "exp in a list": shared_token(exp=[NOW + 3600]),
    **{f"exp {exp!r}": shared_token(exp=exp) for exp in ("soon", -1, True, {})},
    "not yet valid": shared_token(nbf=NOW + 3600),
    "nbf of text": shared_token(nbf="now"),
    "issued in the future": shared_token(nbf=NOW + 7200, iat=NOW + 7200),
    "no audience": shared_token(aud=None),
    **{f"aud {aud!r}": shared_token(aud=aud) for aud in ("other", [], ["other"], "connectors2", "CONNECTORS", "connectors ", {"connectors": 1})},
    "no issuer": shared_token(iss=None),
    **{
        f"iss {iss!r}": shared_token(iss=iss)
        for iss in ("https://shared.example.com/", "https://SHARED.example.com", "https://published.example.com", ["https://shared.example.com"])
    },
    **{f"sub {sub!r}": shared_token(subject=sub) for sub in (1, ["alice"], {"alice": 1}, True)},
    "claims that are a list": signed(HS256, [claims()]),
    "claims that are text": signed(HS256, "alice"),
    "claims twice, the last is expired": signed(HS256, (json.dumps(claims())[:-1] + ', "exp": 1}').encode()),
}


@pytest.mark.parametrize("token", [pytest.param(token, id=name) for name, token in (FORGED | HEADERS | CLAIMS).items()])
def test_a_token_that_is_not_valid_is_refused(shared_service, token):
    assert answers(shared_service, token) == UNAUTHENTICATED


def test_valid_tokens_are_accepted(shared_service):
    with_keys(shared_service)
    for token in (shared_token(), published_token(), shared_token(aud=["x", "connectors"]), shared_token(nbf=NOW)):
        assert answers(shared_service, token) == ACCEPTED


NO_SUBJECT = {
    "azp of a subject": shared_token(subject=None, azp="propeller"),
    "client_id of a subject": shared_token(subject=None, client_id="propeller"),
    "client_id of an admin": shared_token(subject=None, client_id="admin"),
    "client_id and azp of subjects": shared_token(subject=None, client_id="alice", azp="propeller"),
    "empty sub, azp of a subject": shared_token(subject="", azp="propeller"),
    "another's sub, azp of a subject": shared_token(subject="mallory", azp="propeller"),
    "sub of a client's name": shared_token(subject="machine"),
    "preferred_username": shared_token(subject=None, preferred_username="propeller", email="propeller"),
    "nothing at all": shared_token(subject=None),
}


@pytest.mark.parametrize("token", [pytest.param(token, id=name) for name, token in NO_SUBJECT.items()])
def test_a_client_is_no_subject(shared_service, token):
    assert answers(shared_service, token) in (FORBIDDEN, UNAUTHENTICATED)


def test_jobs_of_a_client_and_of_a_subject_of_its_name_are_different(shared_service):
    machine = Rest(shared_service, shared_token(subject=None, client_id="machine"))
    impostor = Rest(shared_service, shared_token(subject="client:machine"))
    handle = machine.created()
    assert machine.get(handle).status == 200
    assert impostor.get(handle).status == 403
    assert machine.get(impostor.created()).status == 403


def with_keys(service):
    """The service, once it has fetched its issuer's keys; one issuer's are enough for it to be ready."""
    eventually(lambda: answers(service, published_token()) == ACCEPTED, what="the issuer's keys are fetched")
    return service


UNFIT = {
    "use: enc": {"use": "enc"},
    "key_ops: encrypt": {"key_ops": ["encrypt"]},
    "key_ops: sign": {"key_ops": ["sign"]},
    "key_ops: none": {"key_ops": []},
    "another alg": {"alg": "RS512"},
    "an alg for encryption": {"alg": "RSA-OAEP"},
    "another kty": {"kty": "oct"},
}


@pytest.mark.parametrize("members", UNFIT.values(), ids=UNFIT)
def test_a_key_verifies_only_what_it_is_for(start, vendor, members):
    service = with_keys(start(vendor))
    service.issuers.keys = [jwk(RSA, "first", use="sig"), jwk(OTHER_RSA, "unfit", **members)]
    token = published_token(kid="unfit", key=OTHER_RSA)
    # An unknown key is looked for at once.
    eventually(lambda: answers(service, token) == UNAUTHENTICATED and len(service.issuers.server.requests) > 1, what="fetched")
    assert answers(service, token) == UNAUTHENTICATED
    assert answers(service, published_token()) == ACCEPTED


WEAK = rsa.generate_private_key(public_exponent=65537, key_size=1024)
PRIVATE = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(RSA))


def in_file(key):
    if isinstance(key, dict):
        return {"jwks_file": json.dumps({"keys": [key]})}
    return {"pem_file": key.decode()}


def pem(key):
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


def public_pem(key):
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, form)


@pytest.mark.parametrize(
    "key",
    [
        pytest.param(public_pem(WEAK), id="RSA of 1024 bits in PEM"),
        pytest.param(jwk(WEAK, "weak"), id="RSA of 1024 bits in a key set"),
        pytest.param(pem(RSA), id="a private key in PEM"),
        pytest.param(PRIVATE | {"kid": "private"}, id="a private key in a key set"),
        pytest.param({"kty": "oct", "k": encoded(b"s" * 32), "kid": "shared"}, id="a shared secret in a key set"),
    ],
)
def test_a_key_that_protects_nothing_is_refused_at_start(tmp_path, vendor, key):
    ((setting, content),) = in_file(key).items()
    (tmp_path / "key").write_text(content)
    issuer = {"name": "x", "issuer": "https://x.example.com", "audiences": ["connectors"], "key": {setting: str(tmp_path / "key")}}
    auth = {"issuers": [issuer], "rules": [{"issuer": "x", "role": "user"}]}
    (tmp_path / "auth.yaml").write_text(json.dumps(auth))
    (tmp_path / "handle.key").write_bytes(bytes(range(32)))
    flags = [f"--auth={tmp_path / 'auth.yaml'}", f"--handle-keys={tmp_path / 'handle.key'}", "--listen=127.0.0.1:0"]
    own, variables = vendor.flags(tmp_path)
    with Program("bigquery", [*flags, "--admin-listen=127.0.0.1:0", *own], variables) as program:
        assert program.process.wait(timeout=30) not in (0, -9)
        eventually(lambda: str(tmp_path / "key") in program.log() or "key" in program.log(), what="the reason")


def test_unknown_key_ids_do_not_delay_a_new_key(start, vendor):
    service = with_keys(start(vendor))
    issuers = service.issuers
    fetched = len(issuers.server.requests)
    for number in range(200):
        assert Rest(service, published_token(kid=f"bogus-{number}", key=OTHER_RSA)).request("GET", "/plugins/v1").status == 401
    assert len(issuers.server.requests) - fetched <= 5, "a fetch for each unknown key"
    issuers.keys = [jwk(OTHER_RSA, "second", use="sig")]
    token = published_token(kid="second", key=OTHER_RSA)
    eventually(lambda: answers(service, token) == ACCEPTED, within=25, what="the new key is accepted")
    assert answers(service, published_token()) == UNAUTHENTICATED, "the removed key"


def test_a_hanging_issuer_delays_no_other(start, vendor):
    service = with_keys(start(vendor))
    service.issuers.on_fetch = lambda _: Answer(200, {"keys": []}, delay=20)
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        unknown = [pool.submit(Rest(service, published_token(kid=f"u{n}", key=OTHER_RSA)).request, "GET", "/plugins/v1") for n in range(20)]
        for _ in range(20):
            assert Rest(service, shared_token(), timeout=5).request("GET", "/plugins/v1").status == 200
            assert Rest(service, published_token(), timeout=5).request("GET", "/plugins/v1").status == 200
        assert {reply.result().status for reply in unknown} <= {401, 503}


KEY_SETS = {
    "endless": b"x" * (16 << 20),
    "no JSON": b"<html>",
    "a list": b"[]",
    "no keys": b"{}",
    "nested": b'{"keys":' + b"[" * 100_000,
    "many": json.dumps({"keys": [jwk(OTHER_RSA, f"k{n}") for n in range(20_000)]}).encode(),
    "a key of 1 MiB": json.dumps({"keys": [jwk(OTHER_RSA, "k") | {"n": "A" * (1 << 20)}]}).encode(),
}


@pytest.mark.parametrize("content", KEY_SETS.values(), ids=KEY_SETS)
def test_a_hostile_key_set_takes_no_known_key_away(start, vendor, content):
    service = with_keys(start(vendor))
    fetched = len(service.issuers.server.requests)
    service.issuers.on_fetch = lambda _: Answer(200, content)
    unknown = Rest(service, published_token(kid="unknown", key=OTHER_RSA))
    eventually(
        lambda: unknown.request("GET", "/plugins/v1").status in (401, 503) and len(service.issuers.server.requests) > fetched,
        within=15,
        what="fetched",
    )
    for _ in range(5):
        assert unknown.request("GET", "/plugins/v1").status in (401, 503)
        assert answers(service, published_token()) == ACCEPTED
    assert service.memory() < 192 << 20


@pytest.mark.parametrize("size", [5_000, 20_000, 60_000, 500_000])
def test_a_large_token_is_refused_without_harm(shared_service, size):
    token = shared_token(padding="x" * size)
    rest, flyte = answers(shared_service, token)
    assert rest in (200, 401, 431), rest
    assert flyte in ("OK", "UNAUTHENTICATED", "RESOURCE_EXHAUSTED", "UNAVAILABLE", "INTERNAL", "UNKNOWN"), flyte
    assert answers(shared_service, shared_token()) == ACCEPTED


def test_many_tokens_take_no_memory(shared_service):
    before = shared_service.memory()
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        clients = [Rest(shared_service) for _ in range(4)]

        def call(number):
            client = clients[number % 4]
            headers = {"authorization": f"Bearer {shared_token(padding='x' * 3000, number=number)}"}
            return client.request("GET", "/plugins/v1", headers=headers).status

        assert set(pool.map(call, range(3000))) == {200}
    assert shared_service.memory() - before < 48 << 20


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"flyte-authorization": f"Bearer {shared_token()}"}, id="two tokens"),
        pytest.param({"authorization": f"Basic {shared_token()}"}, id="another scheme"),
        pytest.param({"authorization": f"Bearer  {shared_token()}, Bearer {shared_token()}"}, id="a list"),
        pytest.param({"authorization": "Bearer"}, id="nothing after the scheme"),
    ],
)
def test_a_header_that_is_not_one_token_is_refused(shared_service, headers):
    reply = Rest(shared_service).request("GET", "/plugins/v1", headers=headers)
    # RFC 6750: 400 for a request that is malformed.
    assert reply.status in (400, 401) and "www-authenticate" in reply.headers


def test_a_token_in_the_query_is_none(shared_service):
    for name in ("access_token", "token", "authorization"):
        path = f"/plugins/v1?{name}={shared_token()}"
        assert Rest(shared_service).request("GET", path, headers={"authorization": ""}).status == 401


def test_refused_tokens_are_counted_and_not_logged(start, vendor):
    service = start(vendor)
    token = shared_token(exp=NOW - 120)
    assert answers(service, token) == UNAUTHENTICATED
    assert service.metric("plugin_auth_failures_total") >= 2
    assert token.rpartition(".")[2] not in service.log()
    assert SECRET not in service.log()


def test_a_rule_is_about_one_issuer(start, vendor, tmp_path):
    issuers = Issuers(tmp_path)
    auth = issuers.write(tmp_path / "auth.yaml", [{"issuer": "published", "sub": "alice", "role": "user"}])
    service = start(vendor, issuers=issuers, auth=auth)
    assert answers(service, shared_token("alice")) == FORBIDDEN
    with_keys(service)
