"""Compares the service's reflection with the published packages, field by field."""

import importlib

import pytest
from google.protobuf import descriptor_pool
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

MODULES = [
    "flyteidl.service.agent_pb2",
    "flyteidl2.connector.service_pb2",
]
SERVICES = [
    "flyteidl.service.AsyncAgentService",
    "flyteidl.service.SyncAgentService",
    "flyteidl.service.AgentMetadataService",
    "flyteidl2.connector.AsyncConnectorService",
    "flyteidl2.connector.ConnectorMetadataService",
]


class WithToken:
    """A channel that adds a token to calls, because the reflection client cannot."""

    def __init__(self, channel, metadata):
        self._channel, self._metadata = channel, metadata

    def __getattr__(self, name):
        make = getattr(self._channel, name)

        def method(*args, **kwargs):
            call = make(*args, **kwargs)
            return lambda *a, **k: call(*a, **{**k, "metadata": self._metadata})

        return method


@pytest.fixture(scope="module")
def ours(service):
    with service.channel() as channel:
        database = ProtoReflectionDescriptorDatabase(WithToken(channel, service.metadata()))
        assert set(SERVICES) <= set(database.get_services())
        pool = descriptor_pool.DescriptorPool(database)
        for name in SERVICES:
            pool.FindServiceByName(name)
        yield pool


@pytest.fixture(scope="module")
def published():
    for module in MODULES:
        importlib.import_module(module)
    return descriptor_pool.Default()


def messages(pool):
    """Every message that the services' methods use, including nested ones."""
    seen, todo = {}, []
    for name in SERVICES:
        for method in pool.FindServiceByName(name).methods:
            todo += [method.input_type, method.output_type]
    while todo:
        message = todo.pop()
        if message.full_name in seen or message.full_name.startswith("google."):
            continue
        seen[message.full_name] = message
        todo += message.nested_types
        todo += [field.message_type for field in message.fields if field.message_type]
    return seen


def is_map(field):
    return bool(field.message_type and field.message_type.GetOptions().map_entry)


def shape(field, spelling=lambda name: name):
    """Everything in a field that determines its encoding and JSON."""
    if is_map(field):
        entry = field.message_type.fields_by_name
        return (field.name, field.number, "map", shape(entry["key"], spelling), shape(entry["value"], spelling))
    kind = field.message_type or field.enum_type
    oneof = field.containing_oneof.name if field.containing_oneof else None
    return (field.name, field.number, field.type, field.is_repeated, kind and spelling(kind.full_name), oneof)


def flyte1(name):
    return name.replace("flyteidl2.connector.", "flyteidl.admin.").replace("flyteidl2.", "flyteidl.")


def counterpart(name, published):
    """The Flyte 2 message that corresponds to a Flyte 1 message."""
    for package in ("flyteidl2.connector.", "flyteidl2.core."):
        candidate = name.replace("flyteidl.admin.", package).replace("flyteidl.core.", package)
        try:
            return published.FindMessageTypeByName(candidate)
        except KeyError:
            continue
    return None


def find(published, name):
    try:
        return published.FindMessageTypeByName(name)
    except KeyError:
        return None


def test_every_field_matches_flyte(ours, published):
    additions = []
    for name, message in messages(ours).items():
        theirs = find(published, name)
        for field in message.fields:
            known = theirs and theirs.fields_by_name.get(field.name)
            if known is not None:
                assert shape(field) == shape(known), f"{name}.{field.name}"
                continue
            assert not name.startswith("flyteidl2."), f"{name}.{field.name} differs from Flyte's"
            added = counterpart(name, published)
            assert added and field.name in added.fields_by_name, f"{name}.{field.name} differs from Flyte's"
            assert shape(field) == shape(added.fields_by_name[field.name], flyte1), f"{name}.{field.name}"
            assert theirs is None or field.number not in theirs.fields_by_number, f"{name}.{field.name}"
            additions.append(f"{name}.{field.name}")
    # Fields that Flyte 2 added and that the shared Rust types carry: listed explicitly, so that no
    # other field is added unnoticed.
    assert sorted(a for a in additions if not a.startswith("flyteidl.core.Connection.")) == [
        "flyteidl.admin.CreateTaskRequest.connection",
        "flyteidl.admin.DeleteTaskRequest.connection",
        "flyteidl.admin.GetTaskRequest.connection",
        "flyteidl.core.TaskLog.link_type",
        "flyteidl.core.TaskLog.ready",
    ]


def test_every_enum_value_matches_flyte(ours, published):
    checked = 0
    for name, message in messages(ours).items():
        for field in message.fields:
            if not field.enum_type:
                continue
            theirs = published.FindEnumTypeByName(field.enum_type.full_name) if not (
                field.enum_type.full_name == "flyteidl.core.TaskLog.LinkType"
            ) else published.FindEnumTypeByName("flyteidl2.core.TaskLog.LinkType")
            values = {value.name: value.number for value in theirs.values}
            for value in field.enum_type.values:
                assert values[value.name] == value.number, f"{name}.{field.name}: {value.name}"
                checked += 1
    assert checked > 20


def test_every_method_matches_flyte(ours, published):
    for name in SERVICES:
        theirs = published.FindServiceByName(name).methods_by_name
        for method in ours.FindServiceByName(name).methods:
            known = theirs[method.name]
            assert method.input_type.full_name == known.input_type.full_name
            assert method.output_type.full_name == known.output_type.full_name


def wire(field):
    """A field's encoding: a map is a repeated {key = 1, value = 2}."""
    if is_map(field):
        entry = field.message_type.fields_by_name
        return (field.number, "entries", entry["key"].type, entry["value"].type)
    if field.is_repeated and field.message_type:
        entry = {f.number: f for f in field.message_type.fields}
        if set(entry) == {1, 2} and {f.name for f in entry.values()} in ({"key", "value"}, {"name", "value"}):
            if entry[2].message_type:
                return (field.number, "entries", entry[1].type, entry[2].type)
    return (field.number, field.type, field.is_repeated)


# Corresponding messages in build.rs whose names differ.
RENAMED = {
    "flyteidl2.task.Inputs": "flyteidl.core.LiteralMap",
    "flyteidl2.task.Outputs": "flyteidl.core.LiteralMap",
    "flyteidl2.connector.Connector": "flyteidl.admin.Agent",
    "flyteidl2.connector.GetConnectorRequest": "flyteidl.admin.GetAgentRequest",
    "flyteidl2.connector.GetConnectorResponse": "flyteidl.admin.GetAgentResponse",
    "flyteidl2.connector.ListConnectorsRequest": "flyteidl.admin.ListAgentsRequest",
    "flyteidl2.connector.ListConnectorsResponse": "flyteidl.admin.ListAgentsResponse",
}
# Used only as entries of a list that is a map in the corresponding message.
ENTRIES = {"flyteidl2.task.NamedLiteral", "flyteidl2.core.VariableEntry"}


def test_flyte_2_messages_encode_like_flyte_1_messages(ours):
    checked = 0
    for name, message in messages(ours).items():
        if not name.startswith("flyteidl2.") or name in ENTRIES or message.GetOptions().map_entry:
            continue
        twin = ours.FindMessageTypeByName(RENAMED.get(name, flyte1(name)))
        fields = {field.number: wire(field) for field in twin.fields}
        for field in message.fields:
            assert fields[field.number] == wire(field), f"{name}.{field.name}"
            checked += 1
    assert checked > 50
