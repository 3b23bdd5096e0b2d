"""Extracts from botocore what the fakes of AWS services check requests and responses with.

    pip install -r tests/interop/python/requirements.txt
    python tests/aws-models/extract.py            # writes the models beside this file
    python tests/aws-models/extract.py --check    # fails if one differs from botocore's

An extract has the operations that the services call, the shapes that those reach, and no documentation.
"""

import argparse
import gzip
import importlib.metadata
import json
import pathlib
import sys

import botocore

BOTOCORE = "1.44.8"
HERE = pathlib.Path(__file__).parent
DATA = pathlib.Path(botocore.__file__).parent / "data"

# Which operations of which services. Another service is another line.
SERVICES = {
    "athena": (
        "BatchGetQueryExecution",
        "GetQueryExecution",
        "GetQueryResults",
        "GetWorkGroup",
        "StartQueryExecution",
        "StopQueryExecution",
    ),
    "batch": (
        "DescribeJobDefinitions",
        "DescribeJobs",
        "ListJobs",
        "RegisterJobDefinition",
        "SubmitJob",
        "TerminateJob",
    ),
    "emr-serverless": (
        "CancelJobRun",
        "GetApplication",
        "GetJobRun",
        "ListApplications",
        "ListJobRuns",
        "StartApplication",
        "StartJobRun",
    ),
    "redshift-data": (
        "BatchExecuteStatement",
        "CancelStatement",
        "DescribeStatement",
        "ExecuteStatement",
        "GetStatementResult",
        "ListStatements",
    ),
    "sagemaker": (
        "CreateEndpoint",
        "CreateEndpointConfig",
        "CreateHyperParameterTuningJob",
        "CreateInferenceRecommendationsJob",
        "CreateModel",
        "CreateProcessingJob",
        "CreateTrainingJob",
        "CreateTransformJob",
        "DeleteEndpoint",
        "DeleteEndpointConfig",
        "DeleteModel",
        "DescribeEndpoint",
        "DescribeEndpointConfig",
        "DescribeHyperParameterTuningJob",
        "DescribeInferenceRecommendationsJob",
        "DescribeModel",
        "DescribeProcessingJob",
        "DescribeTrainingJob",
        "DescribeTransformJob",
        "ListTags",
        "StopHyperParameterTuningJob",
        "StopInferenceRecommendationsJob",
        "StopProcessingJob",
        "StopTrainingJob",
        "StopTransformJob",
    ),
    "sagemaker-runtime": ("InvokeEndpointAsync",),
    "sts": ("AssumeRole", "AssumeRoleWithWebIdentity"),
}
METADATA = ("endpointPrefix", "jsonVersion", "protocol", "serviceId", "signingName", "targetPrefix")
SHAPE = (
    "type",
    "required",
    "members",
    "member",
    "key",
    "value",
    "enum",
    "pattern",
    "min",
    "max",
    "exception",
    "fault",
    "error",
    "union",
    "timestampFormat",
    "payload",
    "shape",
    "location",
    "locationName",
    "idempotencyToken",
)


def service(name):
    """The newest model of a service."""
    version = max(path for path in (DATA / name).iterdir() if path.is_dir())
    packed = version / "service-2.json.gz"
    if packed.exists():
        return json.loads(gzip.decompress(packed.read_bytes()))
    return json.loads((version / "service-2.json").read_text())


def without_documentation(value):
    """A shape, or what is within it, with the keys that can be checked."""
    kept = {key: value[key] for key in SHAPE if key in value}
    for key in ("member", "key", "value"):
        if key in kept:
            kept[key] = without_documentation(kept[key])
    if "members" in kept:
        kept["members"] = {name: without_documentation(member) for name, member in kept["members"].items()}
    return kept


def references(shape):
    """The names of the shapes that a shape refers to."""
    inner = [*shape.get("members", {}).values(), *(shape[key] for key in ("member", "key", "value") if key in shape)]
    return [reference["shape"] for reference in inner]


def extract(name, operations):
    model = service(name)
    chosen, open_shapes = {}, []
    for operation in operations:
        full = model["operations"][operation]
        parts = {key: full[key]["shape"] for key in ("input", "output") if key in full}
        errors = [error["shape"] for error in full.get("errors", ())]
        chosen[operation] = {"http": full["http"], **parts, "errors": errors}
        open_shapes += [*parts.values(), *errors]
    shapes = {}
    while open_shapes:
        shape = open_shapes.pop()
        if shape not in shapes:
            shapes[shape] = without_documentation(model["shapes"][shape])
            open_shapes += references(shapes[shape])
    metadata = {key: model["metadata"][key] for key in METADATA if key in model["metadata"]}
    metadata.setdefault("signingName", metadata["endpointPrefix"])
    return {"botocore": BOTOCORE, "metadata": metadata, "operations": chosen, "shapes": dict(sorted(shapes.items()))}


def errors():
    """The codes that every service may answer with, as botocore's retries know them."""
    from botocore.retries.standard import ThrottledRetryableChecker, TransientRetryableChecker

    return {
        "botocore": BOTOCORE,
        "throttled": sorted(ThrottledRetryableChecker._THROTTLED_ERROR_CODES),
        "transient": sorted(TransientRetryableChecker._TRANSIENT_ERROR_CODES),
    }


def documents():
    """The name and the text of each extract."""
    made = {name: extract(name, operations) for name, operations in SERVICES.items()} | {"errors": errors()}
    return {HERE / f"{name}.json": text(made[name]) for name in made}


def text(document):
    """JSON with a line for each operation and each shape."""
    lines = []
    for key, value in document.items():
        if key in ("operations", "shapes"):
            inner = ",\n".join(f"  {json.dumps(name)}: {json.dumps(value[name])}" for name in value)
            lines.append(f"{json.dumps(key)}: {{\n{inner}\n}}")
        else:
            lines.append(f"{json.dumps(key)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def different():
    """The extracts that are not as botocore has it."""
    return [path.name for path, made in documents().items() if not path.exists() or path.read_text() != made]


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--check", action="store_true", help="compare instead of writing")
    check = arguments.parse_args().check
    installed = importlib.metadata.version("botocore")
    if installed != BOTOCORE:
        sys.exit(f"botocore {BOTOCORE} is needed, {installed} is installed")
    if check:
        wrong = different()
        sys.exit(f"not as botocore {BOTOCORE} has it: {', '.join(wrong)}" if wrong else 0)
    for path, made in documents().items():
        path.write_text(made)


if __name__ == "__main__":
    main()
