"""Requests about tasks of Flyte's own packages, as its SDKs make them."""

import asyncio
import collections
import pathlib

from flyte._internal.runtime.convert import convert_from_native_to_inputs
from flyte._internal.runtime.task_serde import translate_task_to_wire
from flyte.models import CodeBundle, SerializationContext
from flyteidl.admin import agent_pb2
from flyteidl.core import literals_pb2
from flytekit.configuration import ImageConfig, SerializationSettings
from flytekit.core.context_manager import FlyteContextManager
from flytekit.core.type_engine import TypeEngine
from flytekit.models.literals import Literal
from flytekit.tools.translator import get_serializable

NAMES = {"project": "interop", "domain": "development", "version": "v1"}
IMAGES = ImageConfig.auto(img_name="example.com/tasks:1")
FLYTE1 = SerializationSettings(image_config=IMAGES, **NAMES)
BUNDLE = CodeBundle(computed_version="v1", tgz="s3://bucket/code.tgz")
FLYTE2 = SerializationContext(**NAMES, code_bundle=BUNDLE, root_dir=pathlib.Path(__file__).parent)


def of_flytekit(task, output_prefix, **inputs):
    """What flytekit registers for `task`, with `inputs`."""
    template = get_serializable(collections.OrderedDict(), FLYTE1, task).template.to_flyte_idl()
    context = FlyteContextManager.current_context()
    literals = TypeEngine.dict_to_literal_map(context, inputs, task.python_interface.inputs).to_flyte_idl()
    return agent_pb2.CreateTaskRequest(template=template, inputs=literals, output_prefix=output_prefix)


def of_flyte2(task, output_prefix, **inputs):
    """What Flyte 2's SDK registers for `task`, with `inputs`, as a message of Flyte 1: the encoding is the same."""
    template = translate_task_to_wire(task, FLYTE2).task_template
    named = asyncio.run(convert_from_native_to_inputs(task.interface, **inputs)).proto_inputs.literals
    request = agent_pb2.CreateTaskRequest(output_prefix=output_prefix)
    request.template.MergeFromString(template.SerializeToString())
    for literal in named:
        request.inputs.literals[literal.name].MergeFromString(literal.value.SerializeToString())
    return request


def read_output(answer, name, kind):
    """An output as flytekit hands it to the next task."""
    literal = Literal.from_flyte_idl(literals_pb2.Literal.FromString(answer.outputs[name]))
    return TypeEngine.to_python_value(FlyteContextManager.current_context(), literal, kind)


def everything(*answers):
    """All that callers were sent, to look for what must not be in it."""
    return " ".join(map(repr, answers))
