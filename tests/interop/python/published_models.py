"""What vendors publish of their APIs, and what is wrong with requests and answers by it."""

import dataclasses
import importlib.resources
import json
import re
import urllib.parse

import jsonschema
from conftest import ROOT

# Those of HTTP and of authentication, which models leave out.
ANY_OPERATIONS = {"accept", "authorization", "content-type"}


@dataclasses.dataclass
class Request:
    method: str
    url: str
    headers: dict
    body: object = None


class Model:
    """A vendor's API, in the form of the extracts of tests/api-models."""

    def __init__(self, document):
        self.base, self.operations = document["base"], document["operations"]
        self._error, self.schemas = document["error"], document["$defs"]
        # Vendors answer null for what a job has not.
        self._answers = {name: _nullable(schema) for name, schema in self.schemas.items()}

    @classmethod
    def extract(cls, name):
        return cls(json.loads((ROOT / "tests/api-models" / f"{name}.json").read_text()))

    def request_problems(self, name, request):
        """What makes a request another one than one of the operation `name`."""
        operation, url = self.operations[name], urllib.parse.urlsplit(request.url)
        path = re.sub(r"\\{\w+\\}", "[^/]+", re.escape(self.base + operation["path"]))
        if request.method != operation["method"] or not re.fullmatch(path, url.path):
            return [f"{request.method} {url.path}: not {operation['method']} {self.base}{operation['path']}"]
        headers = request.headers.keys() - ANY_OPERATIONS - set(operation["headers"])
        problems = [f"{header}: no such header" for header in sorted(headers)]
        problems += _query_problems(operation, dict(urllib.parse.parse_qsl(url.query)))
        if operation["request"] is None:
            return problems + ["a body"] * (request.body is not None)
        return problems + _problems(operation["request"], self.schemas, request.body)

    def answer_problems(self, name, answer):
        """What is wrong with a recorded answer to a request of the operation `name`."""
        status, answers = answer.get("status", 200), self.operations[name]["answers"]
        if status >= 400:
            return _problems(self._error, self._answers, answer["body"])
        if str(status) not in answers:
            return [f"status {status}: not one of {', '.join(answers)}"]
        return _problems(_nullable(answers[str(status)]), self._answers, answer["body"])


def bigquery():
    """The model of BigQuery's jobs, from the discovery document in Google's client."""
    documents = importlib.resources.files("googleapiclient.discovery_cache.documents")
    document = json.loads((documents / "bigquery.v2.json").read_text())
    schemas = {name: _of_discovery(schema) for name, schema in document["schemas"].items()}
    operations = {}
    for name, method in document["resources"]["jobs"]["methods"].items():
        parameters = {**document["parameters"], **method.get("parameters", {})}
        query = {each: _of_discovery(found) for each, found in parameters.items() if found["location"] == "query"}
        operations[name] = {
            "method": method["httpMethod"],
            "path": method["path"].replace("{+", "{"),
            "query": query,
            "required": [each for each in query if parameters[each].get("required")],
            "headers": [],
            "request": _of_discovery(method["request"]) if "request" in method else None,
            "answers": {"200": _of_discovery(method["response"]) if "response" in method else False},
        }
    base = "/" + document["servicePath"]
    # The document has nothing about errors.
    return Model({"base": base, "operations": operations, "error": True, "$defs": schemas})


def _of_discovery(schema):
    """A closed JSON Schema of one of a discovery document."""
    if "$ref" in schema:
        return {"$ref": f"#/$defs/{schema['$ref']}"}
    kept = {} if schema.get("type") == "any" else {key: schema[key] for key in ("type", "enum") if key in schema}
    for key in ("items", "additionalProperties"):
        if key in schema:
            kept[key] = _of_discovery(schema[key])
    if "properties" in schema:
        kept["properties"] = {name: _of_discovery(each) for name, each in schema["properties"].items()}
        kept["additionalProperties"] = False
    return kept


def _nullable(schema):
    """The same schema, whose optional members may be null."""
    if not isinstance(schema, dict):
        return schema
    changed = dict(schema)
    for key in ("items", "additionalProperties"):
        if key in changed:
            changed[key] = _nullable(changed[key])
    for key in ("allOf", "anyOf", "oneOf"):
        if key in changed:
            changed[key] = [_nullable(each) for each in changed[key]]
    required = schema.get("required", ())
    changed["properties"] = {
        name: _nullable(each)
        if name in required or not each
        else {"if": {"not": {"type": "null"}}, "then": _nullable(each)}
        for name, each in schema.get("properties", {}).items()
    }
    return changed


def _problems(schema, schemas, value):
    validator = jsonschema.Draft202012Validator({"allOf": [schema], "$defs": schemas})
    return [f"{error.json_path}: {error.message[:300]}" for error in validator.iter_errors(value)]


def _query_problems(operation, query):
    problems = [f"{name}: missing" for name in operation["required"] if name not in query]
    for name, text in query.items():
        if name not in operation["query"]:
            problems.append(f"{name}: no such parameter")
            continue
        schema = operation["query"][name]
        value = text if schema.get("type") == "string" else _json(text)
        problems += [f"{name}: {problem}" for problem in _problems(schema, {}, value)]
    return problems


def _json(text):
    try:
        return json.loads(text)
    except ValueError:
        return text
