"""Our proto files say the same as the official ones: every name, number, type and signature."""

import pathlib
import subprocess
import sys

import csi_pb2
import pluginregistration_pb2
import pytest
from google.protobuf import descriptor_pb2

REPO = pathlib.Path(__file__).resolve().parents[2]


def ours(tmp_path, name):
    out = tmp_path / "set.pb"
    subprocess.run([sys.executable, "-m", "grpc_tools.protoc",
                    f"-I{REPO / 'proto'}", f"--descriptor_set_out={out}", name],
                   check=True, timeout=60)
    files = descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes()).file
    (file,) = [file for file in files if file.name == name]
    return file


def official(module):
    file = descriptor_pb2.FileDescriptorProto()
    module.DESCRIPTOR.CopyToProto(file)
    return file


def enum_facts(prefix, enum):
    yield prefix + enum.name, "enum", frozenset((value.name, value.number) for value in enum.value)


def message_facts(prefix, message):
    name = prefix + message.name
    oneofs = [oneof.name for oneof in message.oneof_decl]
    yield name, "message", message.options.map_entry
    for field in message.field:
        oneof = oneofs[field.oneof_index] if field.HasField("oneof_index") else None
        yield (f"{name}.{field.name}", field.number, field.type, field.type_name, field.label, oneof,
               field.proto3_optional)
    for enum in message.enum_type:
        yield from enum_facts(name + ".", enum)
    for nested in message.nested_type:
        yield from message_facts(name + ".", nested)


def facts(file):
    yield "package", file.package, file.syntax
    for enum in file.enum_type:
        yield from enum_facts("", enum)
    for message in file.message_type:
        yield from message_facts("", message)
    for service in file.service:
        for method in service.method:
            yield (f"/{file.package}.{service.name}/{method.name}", method.input_type, method.output_type,
                   method.client_streaming, method.server_streaming)


# An empty comparison proves nothing: each has this many facts at least.
@pytest.mark.parametrize("name, module, package, least", [
    ("csi.proto", csi_pb2, "csi.v1", 400),
    ("pluginregistration.proto", pluginregistration_pb2, "pluginregistration", 13)])
def test_same_as_official(tmp_path, name, module, package, least):
    mine, theirs = set(facts(ours(tmp_path, name))), set(facts(official(module)))
    assert len(theirs) >= least and ("package", package, "proto3") in theirs
    assert sorted(map(str, mine - theirs)) == []
    assert sorted(map(str, theirs - mine)) == []


def test_every_secret_field_is_called_secrets():
    """The server takes secrets out by the name of the field: the official marks must agree."""
    marked, named = set(), set()
    for message in csi_pb2.DESCRIPTOR.message_types_by_name.values():
        for field in message.fields:
            if field.GetOptions().Extensions[csi_pb2.csi_secret]:
                marked.add(field.full_name)
            if field.name == "secrets":
                named.add(field.full_name)
    assert len(marked) > 10
    assert marked == named
