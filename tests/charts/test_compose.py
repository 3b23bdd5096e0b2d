"""compose/compose.yaml: the file, what it mounts, and its programs in the same arrangement on this machine."""

import contextlib
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import urllib.parse
import urllib.request

import jsonschema
import pytest
import yaml

import compose
from charts import PROGRAMS, ROOT, TOOLS, VERSION, run_tool
from running import eventually, free_port, http_status

FILE = compose.COMPOSE / "compose.yaml"
CONTENT = yaml.safe_load(FILE.read_text())
SERVICES = CONTENT["services"]
# Our images: a package's program.
OURS = re.compile(r"\$\{OUTRIGGER_PREFIX:-\}(?P<program>[a-z-]+):(?P<version>.+)")
# Where jobs of BigQuery are created.
TASKS = "/plugins/v1/bigquery_query_job_task/0"
TASK = {"custom": {"ProjectID": "acme-analytics", "Location": "EU"}, "sql": "SELECT 1"}

# The parts of https://github.com/compose-spec/compose-spec that the file uses; anything else is a mistake.
TEXT = {"type": "string"}
TEXTS = {"type": "array", "items": TEXT, "minItems": 1}


def closed(required=(), **properties):
    return {"type": "object", "additionalProperties": False, "required": list(required), "properties": properties}


CONDITIONS = ["service_started", "service_healthy", "service_completed_successfully"]
SERVICE = closed(
    ["image"],
    image=TEXT,
    command=TEXTS,
    user=TEXT,
    network_mode={"enum": ["none"]},
    environment={"type": "object", "additionalProperties": TEXT},
    volumes={"type": "array", "items": {"type": "string", "pattern": r"^[^:]+:/[^:]*(:ro)?$"}},
    # To this machine only: the service has a key that everybody on it may get a token of.
    ports={"type": "array", "items": {"type": "string", "pattern": r"^127\.0\.0\.1:\d+:\d+$"}},
    profiles=TEXTS,
    read_only={"const": True},
    cap_drop={"const": ["ALL"]},
    security_opt={"const": ["no-new-privileges:true"]},
    depends_on={"type": "object", "additionalProperties": closed(["condition"], condition={"enum": CONDITIONS})},
    healthcheck=closed(["test"], test=TEXTS, interval=TEXT, timeout=TEXT, start_period=TEXT),
)
SCHEMA = {
    **closed(
        ["services"],
        name=TEXT,
        services={"type": "object", "additionalProperties": SERVICE},
        volumes={"type": "object", "additionalProperties": {"const": {}}},
    ),
    "patternProperties": {"^x-": {}},
}


def mounts(name):
    """What is mounted into a container: path to source."""
    return {target: source for source, target, *_ in (it.split(":") for it in SERVICES[name].get("volumes", []))}


def test_file_has_only_what_the_specification_has():
    jsonschema.Draft202012Validator(SCHEMA).validate(CONTENT)
    for name, service in SERVICES.items():
        for other in service.get("depends_on", {}):
            assert other in SERVICES, name
    published = [port.split(":")[1] for service in SERVICES.values() for port in service.get("ports", [])]
    assert len(published) == len(set(published))


def test_every_mount_exists():
    for name in SERVICES:
        for source in mounts(name).values():
            if source.startswith("."):
                assert (compose.COMPOSE / source).exists(), source
            else:
                assert source in CONTENT["volumes"], source


def test_our_images_are_of_this_version_and_restricted_and_the_others_pinned():
    for name, service in SERVICES.items():
        if ours := OURS.fullmatch(service["image"]):
            assert ours["version"] == VERSION, name
            assert service["read_only"] and service["cap_drop"] == ["ALL"] and service["security_opt"], name
        else:
            assert re.fullmatch(r"docker\.io/.+:v?\d+\.\d+\.\d+", service["image"]), name


def test_alerts_and_dashboard_are_the_charts():
    for file, content in compose.rendered().items():
        assert file.read_text() == content, f"{file}: run python tests/charts/compose.py"


# Stands for an engine: notes what it is asked for, and has nothing.
PODMAN = """#!/bin/sh
case "$1" in
  --version) echo "podman version 4.9.3" ;;
  *) echo "$*" >> "$PODMAN_JOURNAL"; echo "[]" ;;
esac
"""


def asked_of_podman(directory, *arguments):
    """What podman-compose asks of Podman, a line for each command."""
    podman, journal = directory / "podman", directory / "journal"
    podman.write_text(PODMAN)
    podman.chmod(0o755)
    journal.write_text("")
    environment = {**os.environ, "PATH": f"{directory}:{os.environ['PATH']}", "PODMAN_JOURNAL": str(journal)}
    command = [sys.executable, "-m", "podman_compose", *arguments]
    done = subprocess.run(command, cwd=compose.COMPOSE, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return journal.read_text().splitlines()


def test_podman_compose_makes_the_containers_and_starts_the_keys_first(tmp_path):
    asked = asked_of_podman(tmp_path, "up", "--detach")
    created = {it.split("--name=outrigger_", 1)[1].split("_1 ", 1)[0]: it for it in asked if it.startswith("create ")}
    assert created.keys() == SERVICES.keys() - {"token"}
    for name, line in created.items():
        image = SERVICES[name]["image"].replace("${OUTRIGGER_PREFIX:-}", "")
        assert line.endswith(" ".join([image, *SERVICES[name].get("command", [])])), line
    started = [it.split("outrigger_", 1)[1] for it in asked if it.startswith("start ")]
    assert started.index("keys_1") < started.index("bigquery_1")


def test_podman_compose_runs_the_token_of_the_page(tmp_path):
    # The page says to write podman-compose for docker compose.
    (command,) = re.findall(r"\$\(docker compose (.* token)\)$", (compose.COMPOSE / "README.md").read_text(), re.MULTILINE)
    (ran,) = (it for it in asked_of_podman(tmp_path, *command.split()) if it.startswith("run "))
    assert ran.endswith(" ".join(["outrigger:" + VERSION, *SERVICES["token"]["command"]])), ran


def test_prometheus_accepts_its_files():
    done = run_tool("promtool", "check", "config", compose.COMPOSE / "prometheus" / "prometheus.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    (command,) = (it for it in SERVICES["prometheus"]["command"] if it.startswith("--config.file="))
    path = pathlib.PurePosixPath(command.partition("=")[2])
    source = mounts("prometheus")[str(path.parent)]
    assert (compose.COMPOSE / source / path.name).exists()
    (scraped,) = yaml.safe_load((compose.COMPOSE / "prometheus" / "prometheus.yaml").read_text())["scrape_configs"]
    # The names and labels that the alerts and the dashboard select.
    (target,) = scraped["static_configs"]
    assert target["targets"] == ["bigquery:9090"]
    pods = re.search(r'pod=~"([^"]+)"', (compose.COMPOSE / "prometheus" / "alerts.yaml").read_text()).group(1)
    assert re.fullmatch(pods, target["labels"]["pod"]) and target["labels"]["namespace"] == "flyte"


def test_grafana_finds_prometheus_and_the_dashboard():
    provisioning = compose.COMPOSE / "grafana" / "provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources" / "prometheus.yaml").read_text())["datasources"]
    assert source["type"] == "prometheus" and source["url"] == "http://prometheus:9090"
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "outrigger.yaml").read_text())["providers"]
    dashboards = mounts("grafana")[provider["options"]["path"]]
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    dashboard = compose.COMPOSE / dashboards / pathlib.PurePosixPath(home).name
    assert json.loads(dashboard.read_text())["panels"]


class Here:
    """The containers as processes of this machine: their names are addresses, their mounts directories."""

    def __init__(self, directory):
        self.directory = directory
        self.processes = []
        names = {"fake-bigquery:8085", "bigquery:8000", "bigquery:9090", "prometheus:9090"}
        self.addresses = {name: f"127.0.0.1:{free_port()}" for name in names}
        auth = (compose.COMPOSE / "auth.yaml").read_text()
        (directory / "keys").mkdir()
        (directory / "auth.yaml").write_text(auth.replace("/keys/", f"{directory}/keys/"))

    def local(self, name, text):
        """A text of the service ``name`` as it is on this machine."""
        for target, source in mounts(name).items():
            place = source.removeprefix("./") if source.startswith("./") else source
            text = text.replace(target, str(self.directory / place))
        own = text.replace("0.0.0.0:", f"{name}:")
        for address, here in self.addresses.items():
            own = own.replace(address, here)
        return own

    def command(self, name):
        service = SERVICES[name]
        program = OURS.fullmatch(service["image"])["program"]
        more = []
        if name == "bigquery":
            # Its defaults are these ports, of all addresses.
            more = [f"--listen={self.addresses['bigquery:8000']}", f"--admin-listen={self.addresses['bigquery:9090']}"]
        return [PROGRAMS / program, *(self.local(name, it) for it in service["command"]), *more]

    def environment(self, name):
        variables = SERVICES[name].get("environment", {})
        return {"PATH": os.environ["PATH"], **{key: self.local(name, value) for key, value in variables.items()}}

    def run(self, name):
        return subprocess.run(self.command(name), env=self.environment(name), capture_output=True, text=True, timeout=30)

    def start(self, name, command=None, environment=None):
        with open(self.directory / f"{name}.log", "w") as log:
            command, environment = command or self.command(name), environment or self.environment(name)
            self.processes.append(subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT))

    def stop(self):
        for process in reversed(self.processes):
            process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20)
            process.kill()
            process.wait()

    def url(self, name):
        return f"http://{self.addresses[name]}"


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """Everything but Grafana, started in the order of depends_on."""
    for name in ("outrigger", "fake-upstream", "bigquery"):
        if not (PROGRAMS / name).exists():
            pytest.fail(f"{name} is missing: cargo build --workspace --bins")
    running = Here(tmp_path_factory.mktemp("compose"))
    try:
        made = running.run("keys")
        assert made.returncode == 0, made.stderr
        running.start("fake-bigquery")
        running.start("bigquery")
        ready = running.url("bigquery:9090") + "/readyz"
        log = running.directory / "bigquery.log"
        eventually(lambda: http_status(ready) == 200, within=30, what=log.read_text())
        yield running
    finally:
        running.stop()


def call(url, token, method="GET", body=None):
    data = None if body is None else json.dumps(body).encode()
    headers = {"authorization": f"Bearer {token}", "idempotency-key": "first"}
    request = urllib.request.Request(url, method=method, headers=headers, data=data)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


@pytest.fixture(scope="module")
def token(here):
    minted = here.run("token")
    assert minted.returncode == 0, minted.stderr
    return minted.stdout.strip()


def test_a_task_runs_with_the_token_of_the_page(here, token):
    url = here.url("bigquery:8000") + TASKS
    assert http_status(url, method="PUT", data=b"{}") == 401
    job = call(url, token, "PUT", TASK)["job_id"]
    state = eventually(
        lambda: (found := call(f"{url}?job_id={job}", token)["job_state"]) != "running" and found, within=30, what="end"
    )
    assert state == "succeed"


def test_the_page_of_the_api_is_open(here):
    assert http_status(here.url("bigquery:8000") + "/docs/") == 200


def test_service_starts_with_the_name_of_the_fake(here):
    """It is on loopback in the other tests, where plain HTTP needs no permission."""
    admin = f"127.0.0.1:{free_port()}"
    fake = (here.addresses["fake-bigquery:8085"], "fake-bigquery:8085")
    command = [*(str(it).replace(*fake) for it in here.command("bigquery")[:-2]), "--listen=127.0.0.1:0", f"--admin-listen={admin}"]
    here.start("bigquery-by-name", command, {key: value.replace(*fake) for key, value in here.environment("bigquery").items()})
    eventually(lambda: http_status(f"http://{admin}/readyz") == 200, within=10, what="the service is ready")


def test_health_check_of_the_container_passes(here):
    program, *arguments = SERVICES["bigquery"]["healthcheck"]["test"][1:]
    assert program == "/service"
    environment = {"PLUGIN_LISTEN": here.addresses["bigquery:8000"]}
    done = subprocess.run([PROGRAMS / "bigquery", *arguments], env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "SERVING\n"), done.stderr


def test_keys_are_kept_by_a_second_start(here):
    keys = {file: file.read_bytes() for file in (here.directory / "keys").iterdir()}
    assert len(keys) == 2
    assert here.run("keys").returncode == 0
    assert keys == {file: file.read_bytes() for file in keys}


def test_prometheus_scrapes_the_service_and_loads_the_alerts(here, token):
    files = here.directory / "prometheus"
    files.mkdir()
    for file in (compose.COMPOSE / "prometheus").iterdir():
        text = file.read_text().replace("bigquery:9090", here.addresses["bigquery:9090"])
        (files / file.name).write_text(text)
    listen = f"--web.listen-address={here.addresses['prometheus:9090']}"
    command = [it.replace("/etc/prometheus/", f"{files}/") for it in SERVICES["prometheus"]["command"]]
    command = [it.replace("=/prometheus", f"={here.directory}/data") for it in command]
    here.start("prometheus", [TOOLS / "prometheus", *command, listen])
    api = here.url("prometheus:9090") + "/api/v1"

    def get(path):
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{api}/{path}", timeout=10) as answer:
            return json.load(answer)["data"]

    def instant(query):
        return (get(f"query?query={urllib.parse.quote(query)}") or {}).get("result")

    try:
        found = eventually(lambda: instant("target_info"), within=60, what="the target is scraped")
    except AssertionError:
        pytest.fail((here.directory / "prometheus.log").read_text())
    assert found[0]["metric"]["pod"] == "bigquery-compose-local"

    def healths():
        return {rule["health"] for group in get("rules")["groups"] for rule in group["rules"]}

    eventually(lambda: healths() == {"ok"}, within=60, what="every alert is evaluated")
    # The first evaluation may come before the first scrape.
    eventually(lambda: not get("alerts")["alerts"], within=60, what="no alert fires")
    dashboard = json.loads((compose.COMPOSE / "grafana" / "dashboards" / "bigquery.json").read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    queries = [query.replace("$__rate_interval", "1m") for query in queries]
    assert queries and all(instant(query) is not None for query in queries)
    calls = next(query for query in queries if "flyte_connector_requests_success_total" in query)
    call(here.url("bigquery:8000") + TASKS, token, "PUT", TASK)
    eventually(lambda: instant(calls), within=150, what="the dashboard shows calls")
