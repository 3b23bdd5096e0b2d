"""Extracts from vendors' OpenAPI documents what examples of services/declarative are checked with.

    pip install PyYAML
    python tests/api-models/extract.py                          # downloads the documents, writes the models beside this file
    python tests/api-models/extract.py --check                  # fails if one differs from its document
    python tests/api-models/extract.py nomad=openapi.yaml …     # reads a document that is here already

An extract has the operations that an example calls and the schemas that those need: names and types, no documentation. Objects are closed,
as what a document does not list is not the vendor's. A schema that is not extracted accepts nothing.
"""

import argparse
import dataclasses
import hashlib
import json
import pathlib
import sys
import urllib.parse
import urllib.request

import yaml

HERE = pathlib.Path(__file__).parent


@dataclasses.dataclass
class Source:
    """A document at a commit of a public repository, and what is taken from it."""

    repository: str
    commit: str
    path: str
    sha256: str
    licence: str
    operations: tuple
    schemas: tuple
    # The schema of an error's body, if the vendor publishes one.
    error: str | None = None

    @property
    def url(self):
        return f"https://raw.githubusercontent.com/{self.repository}/{self.commit}/{self.path}"


# Another vendor is another entry.
SOURCES = {
    "nomad": Source(
        "hashicorp/nomad-openapi",
        "91c4cd105ec4a5347c633633361249fb63de6391",
        "v1/openapi.yaml",
        "3c401ef1f743a629d0ba1b393994049d754743ecadb59a256b5cd74619bb9ea9",
        "MPL-2.0",
        ("RegisterJob", "GetJobs", "DeleteJob"),
        (
            "Job",
            "JobChildrenSummary",
            "JobDeregisterResponse",
            "JobListStub",
            "JobRegisterRequest",
            "JobRegisterResponse",
            "JobSummary",
            "ReschedulePolicy",
            "Resources",
            "RestartPolicy",
            "Task",
            "TaskGroup",
            "TaskGroupSummary",
        ),
    ),
    "openai": Source(
        "openai/openai-openapi",
        "f85dbe223d40e1a31cba812ab2d755c7e98a92a3",
        "openapi.json",
        "bbfd19abcde0e7412da99378deb2a959ccdd3a812f97c9e35901921e8e973f9a",
        "MIT",
        ("createBatch", "listBatches", "retrieveBatch", "cancelBatch"),
        (
            "Batch",
            "BatchError",
            "BatchRequestCounts",
            "CreateBatchRequest",
            "Error",
            "ErrorResponse",
            "ListBatchesResponse",
            "Metadata",
        ),
        error="ErrorResponse",
    ),
}
FACTS = ("type", "enum", "required", "minimum")
WITHIN = ("items", "additionalProperties")
ALTERNATIVES = ("allOf", "anyOf", "oneOf")


def facts(schema, wanted):
    """A schema without documentation, closed, with references to `wanted` schemas alone."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        return {"$ref": f"#/$defs/{name}"} if name in wanted else False
    kept = {key: schema[key] for key in FACTS if key in schema}
    for key in WITHIN:
        if isinstance(schema.get(key), dict):
            kept[key] = facts(schema[key], wanted)
    for key in ALTERNATIVES:
        if key in schema:
            kept[key] = [facts(each, wanted) for each in schema[key]]
    if "properties" in schema:
        kept["properties"] = {name: facts(each, wanted) for name, each in sorted(schema["properties"].items())}
        kept.setdefault("additionalProperties", False)
    return kept


def resolved(document, value):
    """What a reference in the document stands for."""
    while "$ref" in value:
        reference, value = value["$ref"], document
        for step in reference.removeprefix("#/").split("/"):
            value = value[step]
    return value


def content(document, value, wanted):
    """The schema of a body in JSON, if there is one."""
    body = resolved(document, value or {}).get("content", {}).get("application/json", {})
    return facts(body["schema"], wanted) if "schema" in body else None


def operation(document, path, item, method, wanted):
    found = item[method]
    parameters = [resolved(document, each) for each in (*item.get("parameters", ()), *found.get("parameters", ()))]
    query = [each for each in parameters if each["in"] == "query"]
    answers = {status: content(document, answer, wanted) for status, answer in sorted(found["responses"].items())}
    return {
        "method": method.upper(),
        "path": path,
        "query": {each["name"]: facts(each["schema"], wanted) for each in query},
        "required": [each["name"] for each in query if each.get("required")],
        "headers": sorted({each["name"].lower() for each in parameters if each["in"] == "header"}),
        "request": content(document, found.get("requestBody"), wanted),
        "answers": answers,
    }


def extract(source, text):
    document = yaml.load(text, Loader=yaml.CSafeLoader)
    operations = {}
    for path, item in document["paths"].items():
        for method in item.keys() & {"get", "post", "put", "delete"}:
            name = item[method]["operationId"]
            if name in source.operations:
                operations[name] = operation(document, path, item, method, source.schemas)
    schemas = document["components"]["schemas"]
    return {
        "source": f"https://github.com/{source.repository}/blob/{source.commit}/{source.path}",
        "version": document["info"]["version"],
        "licence": source.licence,
        "base": urllib.parse.urlsplit(document["servers"][0]["url"].replace("{", "").replace("}", "")).path,
        "error": {"$ref": f"#/$defs/{source.error}"} if source.error else True,
        "operations": {name: operations[name] for name in source.operations},
        "$defs": {name: facts(schemas[name], source.schemas) for name in source.schemas},
    }


def text(document):
    """JSON with a line for each operation and each schema."""
    lines = []
    for key, value in document.items():
        if key in ("operations", "$defs"):
            inner = ",\n".join(f"  {json.dumps(name)}: {json.dumps(value[name])}" for name in value)
            lines.append(f"{json.dumps(key)}: {{\n{inner}\n}}")
        else:
            lines.append(f"{json.dumps(key)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def read(source, file):
    """The document, from `file` or the network."""
    if file:
        content = pathlib.Path(file).read_bytes()
    else:
        with urllib.request.urlopen(source.url, timeout=60) as answer:
            content = answer.read()
    digest = hashlib.sha256(content).hexdigest()
    if digest != source.sha256:
        sys.exit(f"{file or source.url}: SHA-256 {digest}, not {source.sha256}")
    return content


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--check", action="store_true", help="compare instead of writing")
    arguments.add_argument("files", metavar="NAME=FILE", nargs="*", help="a document that need not be downloaded")
    arguments = arguments.parse_args()
    files = dict(each.split("=", 1) for each in arguments.files)
    wrong = []
    for name, source in SOURCES.items():
        path, made = HERE / f"{name}.json", text(extract(source, read(source, files.get(name))))
        if not arguments.check:
            path.write_text(made)
        elif not path.exists() or path.read_text() != made:
            wrong.append(path.name)
    sys.exit(f"not as its source has it: {', '.join(wrong)}" if wrong else 0)


if __name__ == "__main__":
    main()
