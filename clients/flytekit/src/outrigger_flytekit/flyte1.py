"""flytekit's hook: sends connector tasks of local runs to a running service.

flytekit runs a task's connector in its own process. This hook sends the task itself instead, before
flytekit prepares to run it: no local Spark session, no vendor credentials on this machine.
"""

from __future__ import annotations

import uuid
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import endpoints
from .errors import ServiceError, cannot_be_mapped, no_value, other_release

if TYPE_CHECKING:
    from flytekit import FlyteContext
    from flytekit.core.base_task import PythonTask
    from flytekit.models.literals import LiteralMap

    from .call import Call
    from .endpoints import Endpoint
    from .job import Failure, Job

    Run = Callable[[Any, FlyteContext, LiteralMap, Endpoint], LiteralMap]


def install() -> None:
    """Makes flytekit's connector tasks look for a service first."""
    try:
        from flytekit.core.array_node_map_task import ArrayNodeMapTask
        from flytekit.extend.backend.base_connector import AsyncConnectorExecutorMixin, SyncConnectorExecutorMixin

        # One of them comes first in the bases of every such task.
        runs: dict[Any, Run] = {AsyncConnectorExecutorMixin: _run_job, SyncConnectorExecutorMixin: _run_call}
        if any("dispatch_execute" in vars(mixin) for mixin in runs):
            raise AttributeError("its connector tasks define dispatch_execute themselves")
        _map_here = ArrayNodeMapTask._raw_execute
    except (ImportError, AttributeError) as mismatch:
        return _refuse_tasks(mismatch)
    for mixin, run in runs.items():
        mixin.dispatch_execute = _dispatch_execute(mixin, run)

    def _raw_execute(mapped: Any, **inputs: Any) -> Any:
        # flytekit calls the mapped task's function directly, bypassing its dispatch_execute.
        _refuse_to_map(mapped.python_function_task)
        return _map_here(mapped, **inputs)

    ArrayNodeMapTask._raw_execute = _raw_execute  # type: ignore[method-assign]


def _refuse_tasks(mismatch: Exception) -> None:
    """Makes tasks fail in local runs. Raising here would break the import of flytekit."""
    from flytekit.core.base_task import PythonTask

    original, refused = PythonTask.dispatch_execute, other_release("flytekit", mismatch)

    def dispatch_execute(task: Any, ctx: FlyteContext, inputs: LiteralMap) -> Any:
        if _is_local(ctx):
            raise refused
        return original(task, ctx, inputs)

    PythonTask.dispatch_execute = dispatch_execute  # type: ignore[method-assign]


def _refuse_to_map(task: Any) -> None:
    from flytekit import FlyteContextManager
    from flytekit.extend.backend.base_connector import AsyncConnectorExecutorMixin, SyncConnectorExecutorMixin

    context = FlyteContextManager.current_context()
    is_of_connector = isinstance(task, (AsyncConnectorExecutorMixin, SyncConnectorExecutorMixin))
    if is_of_connector and _endpoint(task, context):
        raise cannot_be_mapped(task.name)


def _dispatch_execute(mixin: Any, run: Run) -> Callable[[Any, FlyteContext, LiteralMap], LiteralMap]:
    def dispatch_execute(task: Any, ctx: FlyteContext, input_literal_map: LiteralMap) -> LiteralMap:
        """Runs ``task`` on the service for its type, or as flytekit does if there is none."""
        endpoint = _endpoint(task, ctx)
        if endpoint is None:
            original: Any = super(mixin, task)
            result: LiteralMap = original.dispatch_execute(ctx, input_literal_map)
            return result
        return run(task, ctx, input_literal_map, endpoint)

    return dispatch_execute


def _is_local(ctx: FlyteContext) -> bool:
    return ctx.execution_state is not None and ctx.execution_state.is_local_execution()


def _endpoint(task: PythonTask, ctx: FlyteContext) -> Endpoint | None:
    # flytekit uses no connector for plain Spark tasks either; Databricks' old task has the same type.
    is_plain_spark = task.task_type == "spark" and not hasattr(task.task_config, "databricks_conf")
    return endpoints.of_task_type(task.task_type) if _is_local(ctx) and not is_plain_spark else None


def _run_job(task: Any, ctx: FlyteContext, inputs: LiteralMap, endpoint: Endpoint) -> LiteralMap:
    from flytekit.models.literals import LiteralMap

    from . import bucket1, running

    prefix, template = _prefix(ctx), _template(task, ctx)
    in_bucket = bucket1.runs_this_code(task, template)
    if in_bucket:
        inputs = bucket1.stage(task, ctx, inputs, template, prefix)
    resource = running.run(_job(task.name, template, inputs, prefix, endpoint))
    if failure := _failure(ctx, resource, prefix if in_bucket else None):
        raise _error(task, endpoint, failure)
    missing = _missing(task, resource)
    if missing and not in_bucket:
        raise no_value(endpoint.url, missing)
    return bucket1.written_outputs(ctx, prefix) if missing else LiteralMap.from_flyte_idl(resource.outputs)


def _run_call(task: Any, ctx: FlyteContext, inputs: LiteralMap, endpoint: Endpoint) -> LiteralMap:
    from flytekit.models.literals import LiteralMap

    from . import running
    from .job import Failure

    resource = running.run(_call(task.name, _template(task, ctx), inputs, _prefix(ctx), endpoint))
    if failure := Failure.of(resource):
        raise _error(task, endpoint, failure)
    if missing := _missing(task, resource):
        raise no_value(endpoint.url, missing)
    return LiteralMap.from_flyte_idl(resource.outputs)


def _prefix(ctx: FlyteContext) -> str:
    # As in flytekit, but random even if the program seeded random numbers: a service treats a known
    # prefix as a repeated create or call.
    return f"{ctx.file_access.get_random_remote_directory()}-{uuid.uuid4().hex}"


def _error(task: Any, endpoint: Endpoint, failure: Failure) -> Exception:
    from flytekit.exceptions.user import FlyteUserException

    error: Exception = FlyteUserException(f"{task.name} failed on {endpoint.url}: {failure.message}")
    return error


def _missing(task: Any, resource: Any) -> list[str]:
    """The outputs of ``task`` that the service did not return."""
    return [name for name in task.interface.outputs if name not in resource.outputs.literals]


def _failure(ctx: FlyteContext, resource: Any, prefix: str | None) -> Failure | None:
    """Why the job failed. The code's own error below ``prefix`` takes precedence: the vendor may not know it."""
    from . import bucket1
    from .job import Failure

    reported = Failure.of(resource)
    try:
        return (prefix and bucket1.written_error(ctx, prefix)) or reported
    except ServiceError:
        if reported:
            return reported
        raise


def _job(name: str, template: Any, inputs: LiteralMap, prefix: str, endpoint: Endpoint) -> Job:
    from flyteidl.admin import agent_pb2

    from .job import Job
    from .progress import Progress
    from .requests import Requests
    from .service import Service

    create = agent_pb2.CreateTaskRequest(
        template=template.to_flyte_idl(), inputs=inputs.to_flyte_idl(), output_prefix=prefix
    )
    category = agent_pb2.TaskCategory(name=template.type, version=template.task_type_version)
    same = {"task_type": template.type, "task_category": category}
    requests = Requests(agent_pb2, create, same, {"output_prefix": prefix})
    return Job(Service(endpoint, _protocol("AsyncAgentServiceStub")), requests, Progress(name, endpoint.url))


def _call(name: str, template: Any, inputs: LiteralMap, prefix: str, endpoint: Endpoint) -> Call:
    from flyteidl.admin import agent_pb2

    from .call import Call
    from .progress import Progress
    from .service import Service

    header = agent_pb2.CreateRequestHeader(template=template.to_flyte_idl(), output_prefix=prefix)
    # As propeller sends them: a message of inputs even if there are none.
    request = [
        agent_pb2.ExecuteTaskSyncRequest(header=header),
        agent_pb2.ExecuteTaskSyncRequest(inputs=inputs.to_flyte_idl()),
    ]
    return Call(Service(endpoint, _protocol("SyncAgentServiceStub")), lambda: request, Progress(name, endpoint.url))


def _protocol(stub: str) -> Any:
    from flyteidl.admin import agent_pb2
    from flyteidl.service import agent_pb2_grpc

    from .service import Protocol

    def served(channel: Any) -> Any:
        stub = agent_pb2_grpc.AgentMetadataServiceStub(channel)
        return lambda **options: [
            category
            for agent in stub.ListAgents(agent_pb2.ListAgentsRequest(), **options).agents
            for category in agent.supported_task_categories
        ]

    return Protocol(getattr(agent_pb2_grpc, stub), served)


def _template(task: Any, ctx: FlyteContext) -> Any:
    from flytekit.configuration import ImageConfig, SerializationSettings
    from flytekit.tools.translator import get_serializable

    settings = ctx.serialization_settings or SerializationSettings(ImageConfig.auto_default_image())
    serializable: Any = get_serializable(OrderedDict(), settings, task)
    return serializable.template


# flytekit only imports its entry points; it does not call them.
if endpoints.are_configured():
    install()
