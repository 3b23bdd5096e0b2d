"""The bucket of a flytekit task whose code runs at the vendor: inputs, outputs and error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .errors import cannot_be_read, code_is_local, wrote_nothing
from .job import Failure

if TYPE_CHECKING:
    from flytekit import FlyteContext
    from flytekit.models.literals import LiteralMap


def runs_this_code(task: Any, template: Any) -> bool:
    """Whether the job fetches the task's code and inputs: a function task that does not run a notebook."""
    from flytekit import PythonFunctionTask

    return isinstance(task, PythonFunctionTask) and not (template.custom or {}).get("notebookPath")


def stage(task: Any, ctx: FlyteContext, inputs: LiteralMap, template: Any, prefix: str) -> LiteralMap:
    """Uploads the inputs and renders their location into ``template``. Returns the inputs as sent.

    Raises ServiceError if the location is on this machine.
    """
    from flytekit.core import utils
    from flytekit.core.context_manager import ExecutionState, FlyteContextManager
    from flytekit.core.type_engine import TypeEngine
    from flytekit.extend.backend.utils import render_task_template

    if not ctx.file_access.is_remote(ctx.file_access.raw_output_prefix):
        raise code_is_local(task.name, "pyflyte run --raw-output-data-prefix")
    # In this mode flytekit uploads input files and tables.
    mode = ctx.new_execution_state().with_params(mode=ExecutionState.Mode.TASK_EXECUTION)
    with FlyteContextManager.with_context(ctx.new_builder().with_execution_state(mode)) as uploading:
        values = task._literal_map_to_python_input(inputs, ctx)
        inputs = TypeEngine.dict_to_literal_map(uploading, values, task.get_input_types())
    file = ctx.file_access.get_random_local_path()
    utils.write_proto_to_file(inputs.to_flyte_idl(), file)
    ctx.file_access.put_data(file, f"{prefix}/inputs.pb")
    render_task_template(template, prefix)
    return inputs


def written_error(ctx: FlyteContext, prefix: str) -> Failure | None:
    """The error that the job's code raised. Raises ServiceError if the bucket cannot be read."""
    from flyteidl.core import errors_pb2

    path = f"{prefix}/error.pb"
    try:
        if not ctx.file_access.exists(path):
            return None
        error = _read(ctx, path, errors_pb2.ErrorDocument).error
    except Exception as unreadable:
        raise cannot_be_read(path) from unreadable
    return Failure(error.message, error.kind == errors_pb2.ContainerError.RECOVERABLE)


def written_outputs(ctx: FlyteContext, prefix: str) -> LiteralMap:
    """The outputs that the job's code wrote. Raises ServiceError if there are none."""
    from flyteidl.core import literals_pb2
    from flytekit.models.literals import LiteralMap

    try:
        return LiteralMap.from_flyte_idl(_read(ctx, f"{prefix}/outputs.pb", literals_pb2.LiteralMap))
    except Exception as missing:
        raise wrote_nothing(prefix) from missing


def _read(ctx: FlyteContext, path: str, message: Any) -> Any:
    from flytekit.core import utils

    file = ctx.file_access.get_random_local_path()
    ctx.file_access.get_data(path, file)
    return utils.load_proto_from_file(message, file)
