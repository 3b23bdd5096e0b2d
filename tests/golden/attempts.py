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
from flytekit.configuration import ImageConfig, SerializationSettings
from flytekit.core.context_manager import FlyteContextManager
from flytekit.core.type_engine import TypeEngine
from flytekit.tools.translator import get_serializable
from google.protobuf import json_format

GOLDEN = pathlib.Path(__file__).parent
NAMES = {"project": "flytesnacks", "domain": "development", "version": "9YkQ7mXw3cZ0bqFvT1nHsg"}


def write_all(of_flyte1, of_flyte2):
    """Writes the requests of both SDKs' tasks. Each is a name, the inputs and the task."""
    for name, inputs, task in of_flyte1:
        write("v1", name, of_attempt(request1(task, inputs), task.name))
    for name, inputs, task in of_flyte2:
        write("v2", name, of_flyte2s_propeller(of_attempt(request2(task, inputs), task.name)))


def request1(task, inputs):
    settings = SerializationSettings(image_config=ImageConfig(), **NAMES)
    template = get_serializable(collections.OrderedDict(), settings, task).template.to_flyte_idl()
    context = FlyteContextManager.current_context()
    literals = TypeEngine.dict_to_literal_map(context, inputs, task.python_interface.inputs).to_flyte_idl()
    return agent_pb2.CreateTaskRequest(template=template, inputs=literals)


def request2(task, inputs):
    """As a message of Flyte 1: the encoding is the same."""
    import flyte

    flyte.TaskEnvironment.from_task(f"env-{task.name}", task)
    template = get_proto_task(task, SerializationContext(**NAMES, root_dir=GOLDEN))
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
    execution = "f7a1b2c3"
    metadata = request.task_execution_metadata
    task_id = identifier_pb2.Identifier(resource_type=identifier_pb2.TASK, name=name, **NAMES)
    metadata.task_execution_id.task_id.CopyFrom(task_id)
    node = metadata.task_execution_id.node_execution_id
    node.node_id = "n0"
    node.execution_id.project, node.execution_id.domain = NAMES["project"], NAMES["domain"]
    node.execution_id.name = execution
    metadata.namespace = "flytesnacks-development"
    metadata.k8s_service_account = "default"
    metadata.labels.update({"execution-id": execution, "node-id": "n0", "task-name": name})
    request.output_prefix = f"s3://my-bucket/metadata/propeller/flytesnacks-development-{execution}/n0/data/0"
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
