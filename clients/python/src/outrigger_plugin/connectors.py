"""Serves flytekit's connectors over gRPC on a Unix socket: ``python -m outrigger_plugin.connectors``.

``pyflyte serve connector`` listens on every interface and serves all that is installed. This is for flytekit 1.16.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import signal
import sys
from collections.abc import Iterable, Sequence
from typing import Any

# How long running calls may take after a signal, in seconds.
GRACE = 30.0
INSTALL = "pip install 'flytekit[connector]>=1.16,<1.17'"


class CannotServe(Exception):
    """The connectors cannot be served; the message says why, in one line."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves until SIGTERM or SIGINT. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m outrigger_plugin.connectors", description=__doc__)
    parser.add_argument("--socket", required=True, help="in a directory that only this user can enter")
    parser.add_argument("--task-types", required=True, metavar="NAME,…", help="NAME or NAME:VERSION")
    parser.add_argument("modules", metavar="MODULE", nargs="*", help="beside the installed flytekitplugins")
    options = parser.parse_args(arguments)
    try:
        load(options.modules)
        keep(frozenset(categories(options.task_types)))
        asyncio.run(serve(options.socket))
    except CannotServe as error:
        print(f"outrigger: {error}", file=sys.stderr)
        return 1
    return 0


def load(modules: Iterable[str]) -> None:
    """Imports flytekit, which imports its installed plugins, and ``modules``. Raises CannotServe."""
    for module in ("flytekit", "flytekit.extend.backend.connector_service", *modules):
        try:
            importlib.import_module(module)
        except ModuleNotFoundError as error:
            raise CannotServe(missing(module, error.name or "")) from error


def missing(module: str, name: str) -> str:
    if name == "flytekit":
        return f"flytekit is not installed in {sys.executable}: {INSTALL}"
    if module.startswith("flytekit."):
        return f"flytekit cannot serve connectors without {name}: {INSTALL}"
    # A module of the author's own that is missing, or one that it imports.
    return f"no module {name!r}" if name == module else f"{module} needs the module {name!r}, which is missing"


def categories(task_types: str) -> Iterable[tuple[str, int]]:
    """The task types with their versions. Raises CannotServe."""
    for text in filter(None, map(str.strip, task_types.split(","))):
        name, _, version = text.partition(":")
        if not (version or "0").isdecimal():
            raise CannotServe(f"--task-types: expected NAME or NAME:VERSION, not {text!r}")
        yield name, int(version or 0)


def keep(wanted: frozenset[tuple[str, int]]) -> None:
    """Forgets all connectors that are not ``wanted``. Raises CannotServe if one of those is missing."""
    from flytekit.extend.backend.base_connector import ConnectorRegistry

    registered = {(it.name, it.version): connector for it, connector in ConnectorRegistry._REGISTRY.items()}
    absent = sorted(wanted - registered.keys())
    if absent:
        installed = ", ".join(map(written, sorted(registered))) or "none"
        names = ", ".join(map(written, absent))
        raise CannotServe(f"no connector is registered for {names}; there are: {installed}")
    # flytekit has nothing to unregister one.
    ConnectorRegistry._REGISTRY.clear()
    ConnectorRegistry._METADATA.clear()
    for category in sorted(wanted):
        ConnectorRegistry.register(registered[category])


def written(category: tuple[str, int]) -> str:
    name, version = category
    return f"{name}:{version}" if version else name


async def serve(socket: str) -> None:
    """Serves on ``socket`` until SIGTERM or SIGINT; calls under way may end. Raises CannotServe."""
    import grpc.aio
    from flyteidl.service import agent_pb2_grpc
    from flytekit.extend.backend import connector_service

    # The bridge has limits of its own for requests, and gRPC's default is below them.
    server: Any = grpc.aio.server(options=[("grpc.max_receive_message_length", -1)])
    agent_pb2_grpc.add_AsyncAgentServiceServicer_to_server(connector_service.AsyncConnectorService(), server)
    agent_pb2_grpc.add_SyncAgentServiceServicer_to_server(connector_service.SyncConnectorService(), server)
    agent_pb2_grpc.add_AgentMetadataServiceServicer_to_server(connector_service.ConnectorMetadataService(), server)
    try:
        server.add_insecure_port(f"unix:{socket}")
    except RuntimeError as error:
        raise CannotServe(f"cannot listen on {socket}: {error}") from error
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    await server.start()
    await stopped.wait()
    await server.stop(GRACE)


if __name__ == "__main__":
    raise SystemExit(main())
