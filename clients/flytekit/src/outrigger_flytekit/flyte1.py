"""flytekit's hook: tasks that Flyte gives to a connector go to a running service in local runs, too.

flytekit runs a task's connector in its own process. Here it is the task itself that is sent, before
flytekit prepares to run anything: no local Spark session, no vendor's credentials on this machine.
"""

from __future__ import annotations

import uuid
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from . import endpoints
from .errors import code_is_local, wrote_nothing

if TYPE_CHECKING:
    from flytekit import FlyteContext
    from flytekit.core.base_task import PythonTask
    from flytekit.models.literals import LiteralMap

    from .endpoints import Endpoint


def install() -> None:
    """Makes flytekit's connector tasks look for a service first."""
    from flytekit.extend.backend.base_connector import AsyncConnectorExecutorMixin

    # Every such task inherits from this class first. It has no dispatch_execute of its own.
    mixin: Any = AsyncConnectorExecutorMixin
    mixin.dispatch_execute = _dispatch_execute


def _dispatch_execute(task: Any, ctx: FlyteContext, input_literal_map: LiteralMap) -> LiteralMap:
    """Runs ``task`` on the service for its type, or as flytekit does where there is none."""
    from flytekit.extend.backend.base_connector import AsyncConnectorExecutorMixin

    endpoint = _endpoint(task, ctx)
    if endpoint is None:
        as_ever: Any = super(AsyncConnectorExecutorMixin, task)
        return as_ever.dispatch_execute(ctx, input_literal_map)
    return _run(task, ctx, input_literal_map, endpoint)


def _endpoint(task: PythonTask, ctx: FlyteContext) -> Endpoint | None:
    is_local = ctx.execution_state is not None and ctx.execution_state.is_local_execution()
    # flytekit gives a plain Spark task to no connector either; Databricks' old task has the same type.
    is_plain_spark = task.task_type == "spark" and not hasattr(task.task_config, "databricks_conf")
    return endpoints.of_task_type(task.task_type) if is_local and not is_plain_spark else None


def _run(task: Any, ctx: FlyteContext, inputs: LiteralMap, endpoint: Endpoint) -> LiteralMap:
    from flytekit.exceptions.user import FlyteUserException
    from flytekit.models.literals import LiteralMap

    from .job import SUCCEEDED

    # As flytekit has it, but of fresh randomness whatever was seeded: a service takes a prefix it
    # knows for a repeated create.
    prefix = f"{ctx.file_access.get_random_remote_directory()}-{uuid.uuid4().hex}"
    job = _job(task, ctx, inputs, prefix, endpoint)
    resource = job.run()
    if resource.phase != SUCCEEDED:
        raise FlyteUserException(f"{task.name} failed on {endpoint.url}: {resource.message}")
    if task.interface.outputs and not resource.HasField("outputs"):
        return _written_outputs(ctx, prefix)
    return LiteralMap.from_flyte_idl(resource.outputs)


def _job(task: Any, ctx: FlyteContext, inputs: LiteralMap, prefix: str, endpoint: Endpoint) -> Any:
    from flyteidl.admin import agent_pb2

    from .job import Job
    from .progress import Progress
    from .service import Service

    template = _template(task, ctx)
    if _runs_this_code(task, template):
        inputs = _stage(task, ctx, inputs, template, prefix)
    create = agent_pb2.CreateTaskRequest(
        template=template.to_flyte_idl(), inputs=inputs.to_flyte_idl(), output_prefix=prefix
    )
    category = agent_pb2.TaskCategory(name=template.type, version=template.task_type_version)
    same = {"task_type": template.type, "task_category": category}
    progress = Progress(task.name, endpoint.url)
    return Job(Service(endpoint, _protocol()), create, same, {"output_prefix": prefix}, progress)


def _protocol() -> Any:
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

    return Protocol(agent_pb2, agent_pb2_grpc.AsyncAgentServiceStub, served)


def _template(task: Any, ctx: FlyteContext) -> Any:
    from flytekit.configuration import ImageConfig, SerializationSettings
    from flytekit.tools.translator import get_serializable

    settings = ctx.serialization_settings or SerializationSettings(ImageConfig.auto_default_image())
    serializable: Any = get_serializable(OrderedDict(), settings, task)
    return serializable.template


def _runs_this_code(task: Any, template: Any) -> bool:
    """Whether the job fetches the task's code and inputs: a function that is no notebook's stand-in."""
    from flytekit import PythonFunctionTask

    return isinstance(task, PythonFunctionTask) and not (template.custom or {}).get("notebookPath")


def _stage(task: Any, ctx: FlyteContext, inputs: LiteralMap, template: Any, prefix: str) -> LiteralMap:
    """Puts the inputs where the job reads them and tells ``template`` where that is; the inputs as sent.

    Raises ServiceError when that would be on this machine.
    """
    from flytekit.core import utils
    from flytekit.core.context_manager import ExecutionState, FlyteContextManager
    from flytekit.core.type_engine import TypeEngine
    from flytekit.extend.backend.utils import render_task_template

    if not ctx.file_access.is_remote(ctx.file_access.raw_output_prefix):
        raise code_is_local(task.name, "pyflyte run --raw-output-data-prefix")
    # In this mode flytekit uploads files and tables that are inputs.
    mode = ctx.new_execution_state().with_params(mode=ExecutionState.Mode.TASK_EXECUTION)
    with FlyteContextManager.with_context(ctx.new_builder().with_execution_state(mode)) as uploading:
        values = task._literal_map_to_python_input(inputs, ctx)
        inputs = TypeEngine.dict_to_literal_map(uploading, values, task.get_input_types())
    file = ctx.file_access.get_random_local_path()
    utils.write_proto_to_file(inputs.to_flyte_idl(), file)
    ctx.file_access.put_data(file, f"{prefix}/inputs.pb")
    render_task_template(template, prefix)
    return inputs


def _written_outputs(ctx: FlyteContext, prefix: str) -> LiteralMap:
    """The outputs that the job's code wrote. Raises ServiceError when it wrote none."""
    from flyteidl.core import literals_pb2
    from flytekit.core import utils
    from flytekit.models.literals import LiteralMap

    file = ctx.file_access.get_random_local_path()
    try:
        ctx.file_access.get_data(f"{prefix}/outputs.pb", file)
    except Exception as missing:
        raise wrote_nothing(prefix) from missing
    return LiteralMap.from_flyte_idl(utils.load_proto_from_file(literals_pb2.LiteralMap, file))


# flytekit loads its entry points and calls none.
if endpoints.are_configured():
    install()
