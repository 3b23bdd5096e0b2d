"""Flyte's client balances calls over the pods, finds new pods, and loses no call when a pod terminates.

The gRPC client has the endpoint and the service configuration of docs/flyte-values. It calls real services at
127.0.0.2 and following, behind a name server that stands for the headless Service. Two times are shorter than in a cluster: the
maximum age of connections (two minutes there), and gRPC's minimum time between DNS queries (30 s there).
"""

import collections
import contextlib
import re
import secrets
import threading
import time

import grpc
import pytest
import yaml
from flyteidl.admin import agent_pb2
from flyteidl.service import agent_pb2_grpc

from charts import ROOT, of_kind, render
from name_server import NameServer
from running import eventually, free_port, service

AGE, FLOOR = 2, 1
# The age has a jitter of 10%, and a busy machine is slow.
FOUND_WITHIN = AGE * 1.1 + FLOOR + 5
NAMESPACE = "flyte"


def values_of(fragment):
    return yaml.safe_load((ROOT / "docs" / "flyte-values" / fragment).read_text())


def connector(fragment):
    """The plugin's part of Flyte's configuration."""
    values = values_of(fragment)
    if fragment.startswith("core"):
        plugins = values["configmap"]["enabled_plugins"]["plugins"]
    else:
        plugins = values["configuration"]["inline"]["plugins"]
    (section,) = (plugins[name] for name in ("connector-service", "agent-service") if name in plugins)
    return (section.get("connectors") or section["agents"])["bigquery"]


def endpoint_of(fragment):
    """The endpoint of the service, behind the sidecar if there is one."""
    values, called = values_of(fragment), connector(fragment)["endpoint"]
    sidecars = values.get("flytepropeller", {}).get("additionalContainers") or values.get("deployment", {}).get("sidecars", [])
    args = [arg.removeprefix("--route=").split("=") for sidecar in sidecars for arg in sidecar["args"] if arg.startswith("--route=")]
    return {f"dns:///{listen}": target for listen, target in args}.get(called, called)


def headless_name(fragment):
    """The host name in Flyte's endpoint, which is that of the chart's headless Service."""
    endpoint = re.fullmatch(r"dns:///([^:]+):(\d+)", endpoint_of(fragment))
    (headless,) = (s for s in of_kind(render("bigquery"), "Service") if s["spec"].get("clusterIP") == "None")
    assert endpoint[1] == f"{headless['metadata']['name']}.{NAMESPACE}.svc.cluster.local"
    assert int(endpoint[2]) in [port["port"] for port in headless["spec"]["ports"]]
    return endpoint[1]


class Replicas:
    """Services that share a port and keys, each on its own address."""

    def __init__(self, directory, stack):
        self.directory, self.stack = directory, stack
        self.port, self.admin = free_port(), free_port()
        self.running = {}
        (directory / "handle.key").write_bytes(secrets.token_bytes(32))

    def add(self, number):
        address = f"127.0.0.{number + 2}"
        environment = {
            "PLUGIN_LISTEN": f"{address}:{self.port}",
            "PLUGIN_ADMIN_LISTEN": f"{address}:{self.admin}",
            "PLUGIN_HANDLE_KEYS": str(self.directory / "handle.key"),
            "PLUGIN_INSECURE_NO_AUTH": "true",
            "PLUGIN_CONNECTION_AGE": f"{AGE}s",
            "PLUGIN_DRAIN_DELAY": "1s",
        }
        replica = self.stack.enter_context(service("bigquery", environment, self.directory / f"log-{number}"))
        replica.wait_until_ready()
        self.running[address] = replica
        return address

    def served(self):
        """Calls by address."""
        counts = {}
        for address, replica in self.running.items():
            found = re.findall(r"^rpc_server_call_duration_seconds_count\{.*\} (\d+)$", replica.metrics(), re.MULTILINE)
            counts[address] = sum(map(int, found))
        return counts


class Caller:
    """Polls like FlytePropeller, one call after the other on one channel, and records failures."""

    def __init__(self, channel):
        self.polls = agent_pb2_grpc.AsyncAgentServiceStub(channel)
        # The service configuration does not retry these calls, so every failure is visible.
        self.lists = agent_pb2_grpc.AgentMetadataServiceStub(channel)
        self.results = collections.Counter()
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self._run)

    def _run(self):
        while not self.stopped.is_set():
            for call, request in (
                (self.polls.GetTask, agent_pb2.GetTaskRequest(resource_meta=b"{}")),
                (self.lists.ListAgents, agent_pb2.ListAgentsRequest()),
            ):
                try:
                    call(request, timeout=10)
                    self.results["ok"] += 1
                except grpc.RpcError as error:
                    self.results[f"{error.code()}: {error.details()}"] += 1
            self.stopped.wait(0.005)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopped.set()
        self.thread.join()

    def assert_nothing_failed(self):
        assert set(self.results) == {"ok"}, self.results


@pytest.fixture
def cluster(tmp_path):
    """Two replicas and their name server."""
    with contextlib.ExitStack() as stack:
        replicas = Replicas(tmp_path, stack)
        addresses = [replicas.add(number) for number in range(2)]
        names = NameServer(headless_name("core-1.16.yaml"), addresses)
        stack.callback(names.close)
        yield replicas, names


def dial(replicas, names, configuration, scheme="dns"):
    target = f"{scheme}://{names.address}/{names.name}:{replicas.port}"
    options = [
        ("grpc.service_config", configuration),
        ("grpc.dns_min_time_between_resolutions_ms", FLOOR * 1000),
        ("grpc.use_local_subchannel_pool", 1),
    ]
    return grpc.insecure_channel(target, options)


def assert_spread(before, after):
    """Every replica has between half and twice its share of the calls."""
    shares = [after[address] - before.get(address, 0) for address in after]
    assert min(shares) * 2 >= sum(shares) / len(shares), shares
    assert max(shares) <= 2 * sum(shares) / len(shares), shares


def wait_for_calls(replicas, addresses, more, within):
    """Waits until each address has served that many more calls. Returns the counts before and after."""
    before = replicas.served()

    def enough():
        now = replicas.served()
        return now if all(now[address] - before[address] >= more for address in addresses) else None

    return before, eventually(enough, within=within, what=f"{more} calls on each of {addresses}")


@pytest.mark.parametrize("fragment", sorted(path.name for path in (ROOT / "docs" / "flyte-values").iterdir()))
def test_flyte_values_use_headless_service_and_round_robin(fragment):
    assert headless_name(fragment)
    configuration = connector(fragment)["defaultServiceConfig"]
    assert configuration == connector("core-1.16.yaml")["defaultServiceConfig"]
    assert yaml.safe_load(configuration)["loadBalancingConfig"] == [{"round_robin": {}}]


def test_calls_are_balanced_over_starting_and_stopping_replicas(cluster):
    replicas, names = cluster
    configuration = connector("core-1.16.yaml")["defaultServiceConfig"]
    with dial(replicas, names, configuration) as channel, Caller(channel) as caller:
        first, second = replicas.running
        assert_spread(*wait_for_calls(replicas, [first, second], more=100, within=10))

        third = replicas.add(2)
        names.addresses.append(third)
        wait_for_calls(replicas, [third], more=1, within=FOUND_WITHIN)
        assert_spread(*wait_for_calls(replicas, [first, second, third], more=100, within=10))

        # As Kubernetes does: removed from the Service, then SIGTERM.
        names.addresses.remove(first)
        leaving = replicas.running.pop(first)
        leaving.terminate()
        assert leaving.process.wait(timeout=30) == 0
        assert_spread(*wait_for_calls(replicas, [second, third], more=100, within=10))
    caller.assert_nothing_failed()


def test_without_round_robin_one_replica_gets_all_calls(cluster):
    """Why Flyte needs the setting: the default for connectors is gRPC's, which uses the first address only."""
    replicas, names = cluster
    with dial(replicas, names, '{"loadBalancingConfig":[{"pick_first":{}}]}') as channel, Caller(channel):
        began = time.monotonic()
        eventually(lambda: max(replicas.served().values()) >= 100, within=10, what="100 calls")
        # Not forever: at its maximum age, a connection may be replaced by one to another address.
        if time.monotonic() - began < AGE * 0.9:
            assert min(replicas.served().values()) == 0
