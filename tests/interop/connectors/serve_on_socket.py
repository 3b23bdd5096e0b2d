"""Serves flytekit's connectors on a Unix socket; ``pyflyte serve connector`` listens on every interface.

Usage: serve_on_socket.py SOCKET MODULE...
"""

import asyncio
import importlib
import sys

import grpc
from flyteidl.service import agent_pb2_grpc
from flytekit.extend.backend import connector_service


async def serve(socket, *modules):
    for module in modules:
        importlib.import_module(module)
    server = grpc.aio.server()
    agent_pb2_grpc.add_AsyncAgentServiceServicer_to_server(connector_service.AsyncConnectorService(), server)
    agent_pb2_grpc.add_SyncAgentServiceServicer_to_server(connector_service.SyncConnectorService(), server)
    agent_pb2_grpc.add_AgentMetadataServiceServicer_to_server(connector_service.ConnectorMetadataService(), server)
    server.add_insecure_port(f"unix:{socket}")
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(serve(*sys.argv[1:]))
