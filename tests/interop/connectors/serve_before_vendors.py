"""Serves flytekit's connectors on a Unix socket, before fakes of their vendors, for callers that are not in Python.

Usage: serve_before_vendors.py SOCKET DIRECTORY

DIRECTORY gets a request for each task, NAME.pb, and the file `ready` once the connectors answer. The journal has what the
vendors were asked. A batch of OpenAI's runs for one poll, an endpoint of SageMaker's until DIRECTORY/in-service is there,
the sensor until DIRECTORY/arrived is.
"""

import asyncio
import contextlib
import os
import pathlib
import sys
import threading
import time

import fake_openai
import moto_sagemaker
from journal import note

ENDPOINT = "interop-endpoint"


class Noted(list):
    """Requests, each of which the journal gets, too."""

    def __init__(self, about):
        super().__init__()
        self.about = about

    def append(self, request):
        super().append(request)
        note(request[0], self.about(request[1]))


def write_requests(openai, directory, socket):
    # Their packages read the environment when they are imported.
    import vendor_requests
    from callers import Flyte1
    from sdk_requests import of_flytekit

    directly = Flyte1(f"unix:{socket}")
    until = time.monotonic() + 60
    while not directly.task_types():
        assert time.monotonic() < until
    token = vendor_requests.prepare_sagemaker(directly, "interop")
    openai.statuses["file-interop"] = ["in_progress", "completed"]
    endpoint = vendor_requests.sagemaker_deployment("interop", ENDPOINT)[2]
    requests = {
        "openai-batch": vendor_requests.openai_batch("batch", "file-interop"),
        "chatgpt": vendor_requests.chat("good night"),
        "sensor": vendor_requests.sensor("sensor", directory / "arrived"),
        "sagemaker-endpoint": of_flytekit(endpoint, "s3://bucket/endpoint", **token),
    }
    for name, request in requests.items():
        (directory / f"{name}.pb").write_bytes(request.SerializeToString())
    (directory / "ready").touch()


def put_in_service(sagemaker, directory):
    """Lets the endpoint be created as soon as the caller says so."""
    while not (directory / "in-service").exists():
        time.sleep(0.05)
    for name in list(sagemaker.backend.endpoints):
        sagemaker.put(name, "InService")


def main(socket, directory):
    directory = pathlib.Path(directory)
    with contextlib.ExitStack() as stack:
        openai = stack.enter_context(fake_openai.running())
        sagemaker = stack.enter_context(moto_sagemaker.running())
        os.environ.update({**openai.environment, **sagemaker.environment})
        openai.requests = Noted(lambda about: about)
        sagemaker.requests = Noted(lambda body: body.get("EndpointName", ""))
        for work in (write_requests, openai, directory, socket), (put_in_service, sagemaker, directory):
            threading.Thread(target=work[0], args=work[1:], daemon=True).start()
        from serve_on_socket import serve

        asyncio.run(serve(socket))


if __name__ == "__main__":
    main(*sys.argv[1:])
