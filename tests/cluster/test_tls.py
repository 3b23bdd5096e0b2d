"""A chart with a certificate in a TLS Secret: the real service presents it under the names of its Services."""

import ssl

import pytest

from control_plane import http_status, openssl
from kubelet import PROGRAMS, Pod

NAMES = "DNS:bigquery-headless.plugins.svc.cluster.local,IP:127.0.0.1"


@pytest.fixture
def certificate(plugins, tmp_path):
    """The file of a self-signed certificate; the Secret also has its key."""
    new = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days=2"]
    openssl(tmp_path, *new, "-subj=/CN=bigquery", f"-addext=subjectAltName={NAMES}", "-keyout=tls.key", "-out=tls.crt")
    files = [f"--cert={tmp_path}/tls.crt", f"--key={tmp_path}/tls.key"]
    plugins.kubectl("create", "secret", "tls", "certificate", *files)
    return tmp_path / "tls.crt"


@pytest.mark.skipif(not (PROGRAMS / "bigquery").exists(), reason="cargo build -p bigquery")
def test_service_presents_certificate_of_tls_secret(flyte, plugins, certificate, tmp_path):
    plugins.install("bigquery", {"tls": {"enabled": True, "existingSecret": "certificate"}})
    pod, _ = plugins.wait_for_pods("bigquery", 2)
    token = flyte.kubectl("create", "token", "flytepropeller", "--audience=flyte-connectors").strip()
    with Pod(plugins, pod, tmp_path / "root").run() as running:
        url, context = f"https://{running.api}/plugins/v1", ssl.create_default_context(cafile=certificate)
        assert http_status(url, token, context=context) == 200
        assert http_status(url, context=context) == 401
        assert http_status(url, token, context=ssl.create_default_context()) is None, "its CA is not trusted"
