"""The task classes of Athena, AWS Batch, Redshift and SageMaker: local runs of the SDKs, with the services."""

import shutil

import pytest
from conftest import HERE, ROOT, aws, finish, program, start
from readme import Readme

# Those whose tasks return rows, and all.
DATABASES = ("athena", "redshift")
VENDORS = (*DATABASES, "sagemaker")
SDKS = {"flyte1": ("pyflyte", "run", "aws1.py"), "flyte2": ("flyte", "run", "--local", "aws2.py")}
# Where the rows of the workflows are.
ROWS = {"athena": "s3://acme-athena/results/", "redshift": "s3://acme/events/flyte_"}
REASON = {"athena": "SYNTAX_ERROR: line 1:8", "redshift": "statement 2: ERROR: syntax error at or near"}


@pytest.fixture
def directory(tmp_path):
    """A directory with the workflows, in which the packages can be imported under their installed names."""
    for vendor in VENDORS:
        (tmp_path / f"{vendor}_task").symlink_to(ROOT / "services" / vendor / "tasks" / "package")
    for name in ("aws1.py", "aws2.py"):
        shutil.copy(HERE / "workflows" / name, tmp_path)
    return tmp_path


def run(directory, service, sdk, workflow):
    name, *arguments = SDKS[sdk]
    words = (program(name), *arguments, workflow, "--day", "2026-03-01")
    return finish(start(*words, cwd=directory, **service.settings()))


@pytest.mark.parametrize("vendor", DATABASES)
@pytest.mark.parametrize("sdk", SDKS)
def test_rows_are_passed_on(vendor, sdk, directory, tmp_path_factory):
    with aws(tmp_path_factory.mktemp(vendor), vendor) as service:
        ended = run(directory, service, sdk, vendor)
        assert ended.code == 0, ended.words
        assert ROWS[vendor] in ended.out, ended.words
        assert f"{vendor.title()} Console: https://eu-central-1.console.aws.amazon.com/" in ended.words
        assert service.jobs() == 1


@pytest.mark.parametrize("vendor", DATABASES)
@pytest.mark.parametrize("sdk", SDKS)
def test_failure_shows_the_vendors_reason(vendor, sdk, directory, tmp_path_factory):
    with aws(tmp_path_factory.mktemp(vendor), vendor, "--ending=syntax") as service:
        ended = run(directory, service, sdk, vendor)
        assert ended.code == 1
        assert REASON[vendor] in ended.words


@pytest.mark.parametrize("vendor", VENDORS)
def test_workflows_run_as_the_readme_says(vendor, directory, tmp_path_factory):
    readme = (ROOT / "services" / vendor / "tasks" / "README.md").read_text()
    with aws(tmp_path_factory.mktemp(vendor), vendor) as service:
        readme = Readme(readme, {"http://127.0.0.1:8000": service.url})
        readme.write_files(directory)
        settings = service.settings(**readme.settings())
        runs = [start(program(name), *words, cwd=directory, **settings) for name, *words in readme.runs()]
        assert len(runs) == 2, "with both SDKs"
        for ended in map(finish, runs):
            assert ended.code == 0, ended.words
            assert "SUCCEEDED" in ended.words
        assert service.jobs() == 2


def test_function_of_flyte_2_is_a_job_of_aws_batch(tmp_path, tmp_path_factory):
    tasks = ROOT / "services" / "aws-batch" / "tasks"
    (tmp_path / "aws_batch_task").symlink_to(tasks / "package")
    with aws(tmp_path_factory.mktemp("aws-batch"), "aws-batch") as service:
        readme = Readme((tasks / "README.md").read_text(), {"http://127.0.0.1:8000": service.url, "s3://": "memory://"})
        readme.write_files(tmp_path)
        ((name, *words),) = readme.runs()
        ended = finish(start(program(name), *words, cwd=tmp_path, **service.settings(**readme.settings())))
        # The fake runs nothing, so nobody has written outputs.
        assert ended.code == 1 and "the job succeeded, but memory://BUCKET/PATH/" in ended.words, ended.words
        assert "AWS Batch Console: https://eu-central-1.console.aws.amazon.com/" in ended.words
        assert service.jobs() == 1
