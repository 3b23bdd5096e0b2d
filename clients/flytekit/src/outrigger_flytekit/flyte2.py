"""Flyte 2's hook: sends connector tasks of local runs to a running service.

Flyte 2's SDK has no entry point for connectors in local runs. It does load and call those of ``flyte.plugins.types``
when it starts, before it looks at any task's types.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from . import endpoints
from .errors import ServiceError, Unavailable, is_of_another_package, no_value, other_release

if TYPE_CHECKING:
    from .endpoints import Endpoint
    from .job import Failure, Job
    from .progress import RecordLinks
    from .requests import Requests


def install() -> None:
    """Makes Flyte 2's connector tasks look for a service first, if the environment configures any."""
    if not endpoints.are_configured():
        return
    try:
        from flyte.connectors import AsyncConnectorExecutorMixin

        _look_for_a_service(AsyncConnectorExecutorMixin)
    except (ImportError, AttributeError) as mismatch:
        # Without the extra flyte[connector] there are no connector tasks.
        if not is_of_another_package(mismatch, "flyte"):
            _refuse_tasks(mismatch)


def _look_for_a_service(mixin: Any) -> None:
    in_process = mixin.execute

    async def execute(self: Any, **inputs: Any) -> Any:
        with _retries_only_transient_errors():
            if endpoint := _endpoint(self):
                return await _run(self, inputs, endpoint)
        return await in_process(self, **inputs)

    mixin.execute = execute


def _refuse_tasks(mismatch: Exception) -> None:
    """Makes local runs fail. Flyte ignores an error raised by an entry point, and would run the tasks locally."""
    from flyte._internal.controllers._local_controller import LocalController

    refused = other_release("flyte", mismatch)

    async def submit(*_: Any, **__: Any) -> Any:
        raise refused

    LocalController.submit = submit  # type: ignore[method-assign]


@contextmanager
def _retries_only_transient_errors() -> Iterator[None]:
    from flyte.errors import NonRecoverableError

    try:
        yield
    except Unavailable:
        raise
    except ServiceError as refused:
        raise NonRecoverableError(str(refused)) from refused


def _endpoint(task: Any) -> Endpoint | None:
    from flyte._context import internal_ctx

    context = internal_ctx().data.task_context
    is_local = context is not None and context.mode == "local"
    return endpoints.of_task_type(task.task_type) if is_local else None


async def _run(task: Any, inputs: dict[str, Any], endpoint: Endpoint) -> Any:
    from flyte._context import internal_ctx
    from flyte._internal.runtime import convert
    from flyte._task import AsyncFunctionTaskTemplate

    from . import bucket2, running

    # Not Flyte's own random path: it repeats if a program seeds Python's random numbers, and a service
    # treats a known prefix as a repeated create.
    context: Any = internal_ctx().data.task_context
    prefix = f"{context.raw_data_path.path.rstrip('/')}/{uuid.uuid4().hex}"
    job = await _job(task, inputs, prefix, endpoint)
    resource = await running.run_beside(job)
    in_bucket = isinstance(task, AsyncFunctionTaskTemplate)
    if failure := await _failure(resource, prefix if in_bucket else None):
        raise _error(failure, f"{task.name} failed on {endpoint.url}: {failure.message}")
    outputs = convert.Outputs(resource.outputs)
    given = {literal.name for literal in resource.outputs.literals}
    missing = [name for name in task.native_interface.outputs if name not in given]
    if missing and not in_bucket:
        raise no_value(endpoint.url, missing)
    if missing:
        outputs = await bucket2.written_outputs(prefix)
    return await convert.convert_outputs_to_native(task.native_interface, outputs)


def _error(failure: Failure, message: str) -> Exception:
    from flyte.errors import NonRecoverableError, RuntimeUserError

    if failure.is_recoverable:
        return RuntimeUserError("JobFailed", message)
    return NonRecoverableError(message, "JobFailed")


async def _failure(resource: Any, prefix: str | None) -> Failure | None:
    """Why the job failed. The code's own error below ``prefix`` takes precedence: the vendor may not know it."""
    from . import bucket2
    from .job import Failure

    reported = Failure.of(resource)
    try:
        return (prefix and await bucket2.written_error(prefix)) or reported
    except ServiceError:
        if reported:
            return reported
        raise


async def _job(task: Any, inputs: dict[str, Any], prefix: str, endpoint: Endpoint) -> Job:
    from flyte._internal.runtime import convert

    from .job import Job
    from .progress import Progress
    from .service import Service

    literals = await convert.convert_from_native_to_inputs(task.native_interface, **inputs)
    template = await _template(task, literals, prefix)
    service, progress = Service(endpoint, _protocol()), Progress(task.name, endpoint.url, _record_links())
    return Job(service, _requests(template, literals, prefix), progress)


def _requests(template: Any, literals: Any, prefix: str) -> Requests:
    from flyteidl2.connector import connector_pb2
    from flyteidl2.core import security_pb2
    from google.protobuf.json_format import MessageToDict

    from . import task_secrets
    from .requests import Requests

    secrets = task_secrets.of(MessageToDict(template.custom))
    connection = security_pb2.Connection(task_type=template.type, secrets=secrets)
    create = connector_pb2.CreateTaskRequest(
        template=template, inputs=literals.proto_inputs, output_prefix=prefix, connection=connection
    )
    category = connector_pb2.TaskCategory(name=template.type, version=template.task_type_version)
    same = {"task_category": category, "connection": connection}
    return Requests(connector_pb2, create, same, {"output_prefix": prefix})


def _record_links() -> RecordLinks | None:
    """Records links where Flyte shows those of its own connectors, if it does."""
    from flyte._context import internal_ctx

    data: Any = internal_ctx().data
    if data.tracker is None:
        return None
    action = data.task_context.action.name
    return lambda links: data.tracker.record_log_links(action_id=action, log_links=links)


def _protocol() -> Any:
    from flyteidl2.connector import connector_pb2, service_pb2_grpc

    from .service import Protocol

    def served(channel: Any) -> Any:
        stub = service_pb2_grpc.ConnectorMetadataServiceStub(channel)
        return lambda **options: [
            category
            for connector in stub.ListConnectors(connector_pb2.ListConnectorsRequest(), **options).connectors
            for category in connector.supported_task_categories
        ]

    return Protocol(service_pb2_grpc.AsyncConnectorServiceStub, served)


async def _template(task: Any, inputs: Any, prefix: str) -> Any:
    from flyte._context import internal_ctx
    from flyte._initialize import get_init_config
    from flyte._internal.runtime.task_serde import get_proto_task
    from flyte._task import AsyncFunctionTaskTemplate
    from flyte.models import SerializationContext

    from . import bucket2

    context: Any = internal_ctx().data.task_context
    of_a_function = isinstance(task, AsyncFunctionTaskTemplate)
    action = context.action
    serialization = SerializationContext(
        project=action.project,
        domain=action.domain,
        org=action.org,
        version=context.version,
        code_bundle=await bucket2.stage(task, inputs, prefix) if of_a_function else context.code_bundle,
        image_cache=await _images(task) if of_a_function else context.compiled_image_cache,
        root_dir=get_init_config().root_dir,
    )
    template = get_proto_task(task, serialization, context)
    return _rendered(template, prefix) if of_a_function else template


async def _images(task: Any) -> Any:
    from flyte._deploy import build_images

    return await build_images.aio(task.parent_env()) if task.parent_env else None


def _rendered(template: Any, prefix: str) -> Any:
    from flyte.connectors.utils import _render_task_template

    return _render_task_template(template, prefix)
