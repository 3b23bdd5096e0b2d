"""The bucket of a Flyte 2 task whose code runs at the vendor: code, inputs, outputs and error."""

from __future__ import annotations

from typing import Any

from .errors import cannot_be_read, code_is_local, wrote_nothing
from .job import Failure


async def stage(task: Any, inputs: Any, prefix: str) -> Any:
    """Uploads inputs and code. Returns the code bundle.

    Raises ServiceError if the location is on this machine.
    """
    from flyte import storage
    from flyte._initialize import get_init_config
    from flyte._internal.runtime import io
    from flyte.connectors._connector import _build_and_upload_code_bundle

    if not storage.is_remote(prefix):
        raise code_is_local(task.name, "flyte run --local --raw-data-path")
    await io.upload_inputs(inputs, io.inputs_path(prefix))
    return await _build_and_upload_code_bundle(get_init_config().root_dir, prefix)


async def written_error(prefix: str) -> Failure | None:
    """The error that the job's code raised. Raises ServiceError if the bucket cannot be read."""
    from flyte import storage
    from flyte._internal.runtime import io
    from flyteidl2.core import execution_pb2

    path = io.error_path(prefix)
    try:
        if not await storage.exists(path):
            return None
        # Not io.load_error, which drops whether the error is recoverable.
        parts = [part async for part in storage.get_stream(path=path)]
        error = execution_pb2.ErrorDocument.FromString(b"".join(parts)).error
    except Exception as unreadable:
        raise cannot_be_read(path) from unreadable
    return Failure(error.message, error.kind == execution_pb2.ContainerError.RECOVERABLE)


async def written_outputs(prefix: str) -> Any:
    """The outputs that the job's code wrote. Raises ServiceError if there are none."""
    from flyte._internal.runtime import io

    try:
        return await io.load_outputs(io.outputs_path(prefix))
    except Exception as missing:
        raise wrote_nothing(prefix) from missing
