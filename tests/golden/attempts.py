"""What Flyte sends for an attempt of a task that an SDK registers, and how golden requests are written.

The messages are serialised deterministically, so a second run changes nothing.
"""

import asyncio
import collections
import json
import pathlib

from flyte._internal.runtime.convert import convert_from_native_to_inputs
from flyte._internal.runtime.task_serde import get_proto_task
from flyte.models import SerializationContext
from flyteidl.admin import agent_pb2
from flyteidl.core import identifier_pb2
from flyteidl2.connector import connector_pb2
from flytekit.configuration import Image, ImageConfig, SerializationSettings
from flytekit.core.context_manager import FlyteContextManager
from flytekit.core.type_engine import TypeEngine
from flytekit.tools.translator import get_serializable
from google.protobuf import json_format

GOLDEN = pathlib.Path(__file__).parent
NAMES = {"project": "flytesnacks", "domain": "development", "version": "9YkQ7mXw3cZ0bqFvT1nHsg"}
IMAGES = ImageConfig(default_image=Image("default", "registry.example.com/etl", tag="1.4"))
EXECUTION = "f7a1b2c3"
PREFIX = f"s3://my-bucket/metadata/propeller/flytesnacks-development-{EXECUTION}/n0/data/0"
# What propeller writes for its placeholders in a container's arguments.
RENDERED = {
    "{{.input}}": f"{PREFIX.rsplit('/', 1)[0]}/inputs.pb",
    "{{.outputPrefix}}": PREFIX,
    "{{.rawOutputDataPrefix}}": f"s3://my-bucket/raw/ab/{EXECUTION}-n0-0",
    "{{.checkpointOutputPrefix}}": f"s3://my-bucket/raw/ab/{EXECUTION}-n0-0/_flytecheckpoints",
    "{{.prevCheckpointPrefix}}": '""',
    # Flyte 2's alone. It leaves the names of run and action to the backend.
    "{{.runStartTime}}": "2026-03-01T06:30:15.250Z",
}


def write_all(of_flyte1, of_flyte2):
    """Writes the requests of both SDKs' tasks. Each is a name, the inputs and the task."""
    for name, inputs, task in of_flyte1:
        write("v1", name, of_attempt(request1(task, inputs), task.name))
    for name, inputs, task in of_flyte2:
        write("v2", name, of_flyte2s_propeller(of_attempt(request2(task, inputs), task.name)))


def rendered(arg):
    for placeholder, value in RENDERED.items():
        arg = arg.replace(placeholder, value)
    return arg


def request1(task, inputs):
    settings = SerializationSettings(image_config=IMAGES, **NAMES)
    template = get_serializable(collections.OrderedDict(), settings, task).template.to_flyte_idl()
    args = [rendered(arg) for arg in template.container.args]
    if args:
        del template.container.args[:]
        template.container.args.extend(args)
    context = FlyteContextManager.current_context()
    literals = TypeEngine.dict_to_literal_map(context, inputs, task.python_interface.inputs).to_flyte_idl()
    return agent_pb2.CreateTaskRequest(template=template, inputs=literals)


def request2(task, inputs):
    """As a message of Flyte 1: the encoding is the same."""
    import flyte

    if task.parent_env is None:
        # Functions have one.
        flyte.TaskEnvironment.from_task(f"env-{task.name}", task)
    template = get_proto_task(task, SerializationContext(**NAMES, root_dir=GOLDEN))
    args = [rendered(arg) for arg in template.container.args]
    del template.container.args[:]
    template.container.args.extend(args)
    # The SDK has them in the order of a set.
    template.interface.inputs.variables.sort(key=lambda variable: variable.key)
    named = asyncio.run(convert_from_native_to_inputs(task.interface, **inputs)).proto_inputs.literals
    request = agent_pb2.CreateTaskRequest()
    request.template.MergeFromString(template.SerializeToString())
    for literal in sorted(named, key=lambda literal: literal.name):
        request.inputs.literals[literal.name].MergeFromString(literal.value.SerializeToString())
    return request


def of_attempt(request, name):
    """`request` with what propeller adds for an attempt."""
    metadata = request.task_execution_metadata
    task_id = identifier_pb2.Identifier(resource_type=identifier_pb2.TASK, name=name, **NAMES)
    metadata.task_execution_id.task_id.CopyFrom(task_id)
    node = metadata.task_execution_id.node_execution_id
    node.node_id = "n0"
    node.execution_id.project, node.execution_id.domain = NAMES["project"], NAMES["domain"]
    node.execution_id.name = EXECUTION
    metadata.namespace = "flytesnacks-development"
    metadata.k8s_service_account = "default"
    metadata.labels.update({"execution-id": EXECUTION, "node-id": "n0", "task-name": name})
    request.output_prefix = PREFIX
    return request


def of_flyte2s_propeller(request):
    """`request` as a message of Flyte 2, which always has a connection."""
    request = connector_pb2.CreateTaskRequest.FromString(request.SerializeToString())
    request.connection.SetInParent()
    return request


def write(version, name, request):
    path = GOLDEN / version / name
    path.with_suffix(".pb").write_bytes(request.SerializeToString(deterministic=True))
    message = json_format.MessageToDict(request, preserving_proto_field_name=True)
    path.with_suffix(".json").write_text(json.dumps(message, indent=2, sort_keys=True) + "\n")
