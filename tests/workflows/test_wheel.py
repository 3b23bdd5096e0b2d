"""A Python plugin's image has this release's `outrigger-plugin`, whatever a package index calls by that name."""

import http.server
import os
import pathlib
import platform
import re
import subprocess
import sys
import threading
import zipfile

import pytest
from workflow import ROOT, VERSION

DOCKERFILES = sorted(ROOT.glob("plugins/*/Dockerfile"))
PLATFORMS = "manylinux_2_17_{0}.musllinux_1_1_{0}"


def wheel(directory, version, platforms, whose):
    """A wheel of the package that says whose it is."""
    file = directory / f"outrigger_plugin-{version}-py3-none-{platforms}.whl"
    about = f"outrigger_plugin-{version}.dist-info"
    with zipfile.ZipFile(file, "w") as written:
        written.writestr("outrigger_plugin/__init__.py", f"WHOSE = {whose!r}\n")
        written.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: outrigger-plugin\nVersion: {version}\n")
        tags = [f"Tag: py3-none-{each}\n" for each in platforms.split(".")]
        written.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: false\n" + "".join(tags))
        written.writestr(f"{about}/RECORD", "")
    return file


class Index(http.server.BaseHTTPRequestHandler):
    """A package index (PEP 503) where somebody else has the name."""

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.server.asked.append(self.path)
        file = self.server.files / pathlib.PurePosixPath(self.path).name
        links = "".join(f'<a href="/files/{each.name}">{each.name}</a>' for each in self.server.files.iterdir())
        body = file.read_bytes() if file.is_file() else links.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def index(tmp_path):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Index)
    server.asked, server.files = [], tmp_path / "index"
    server.files.mkdir()
    for version in (VERSION, "99.0.0"):
        wheel(server.files, version, "any", "somebody else's")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(params=DOCKERFILES, ids=lambda file: file.parent.name)
def image(request, tmp_path, index):
    """Runs the Dockerfile's installation as far as the package goes, and returns how it ended."""
    (install,) = re.findall(r"^RUN (.*\bpip install .*)$", request.param.read_text(), re.M)
    context, installed = tmp_path / "app", tmp_path / "installed"
    context.mkdir()
    requirements = (request.param.parent / "requirements.txt").read_text()
    ours = [line for line in requirements.splitlines() if line.startswith(("-", "outrigger-plugin"))]
    (context / "requirements.txt").write_text("\n".join(ours) + "\n")
    env = {
        **os.environ,
        "PATH": f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_INDEX_URL": f"http://127.0.0.1:{index.server_port}/simple",
        "PIP_TARGET": str(installed),
        "NO_PROXY": "127.0.0.1",
    }
    for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL"):
        env.pop(name, None)

    def image():
        return subprocess.run(["sh", "-c", install], cwd=context, env=env, capture_output=True, text=True)

    image.context, image.package = context, installed / "outrigger_plugin" / "__init__.py"
    return image


def test_the_wheel_beside_the_dockerfile_is_installed_and_no_index_asked(image, index):
    for machine in ("x86_64", "aarch64"):
        wheel(image.context, VERSION, PLATFORMS.format(machine), f"ours for {machine}")
    done = image()
    assert done.returncode == 0, done.stderr
    assert image.package.read_text() == f"WHOSE = 'ours for {platform.machine()}'\n"
    assert not [path for path in index.asked if "outrigger" in path]


def test_without_the_wheel_nothing_is_installed(image):
    done = image()
    assert done.returncode != 0 and "outrigger_plugin-" in done.stderr
    assert not image.package.exists()


def test_a_wheel_of_another_release_is_refused(image):
    wheel(image.context, "0.0.1", PLATFORMS.format(platform.machine()), "ours of another release")
    done = image()
    assert done.returncode != 0 and "conflicting" in done.stderr, done.stderr
    assert not image.package.exists()
