"""Failed runs, whose errors say what to do and never contain the token."""

import pytest
from conftest import bigquery, flyte_run, free_port, pyflyte_run
from outrigger_flytekit import channel, endpoints
from outrigger_flytekit.errors import ServiceError

ARGUMENTS = {
    pyflyte_run: ("flyte1.py", "report", "--day", "2026-03-01", "--ids", "[1, 2]"),
    flyte_run: ("flyte2.py", "report", "--word", "hello"),
}


@pytest.fixture(params=ARGUMENTS, ids=["flyte1", "flyte2"])
def report(request):
    return lambda **settings: request.param(*ARGUMENTS[request.param], **settings)


def test_wrong_token_error_names_the_variables(report, bigquery_service):
    before = bigquery_service.jobs()
    run = report(**bigquery_service.settings(OUTRIGGER_TOKEN="canary-of-a-token"))
    assert run.code == 1
    assert "requires a valid token" in run.words and "OUTRIGGER_TOKEN_FILE" in run.words
    assert "canary" not in run.words
    assert bigquery_service.jobs() == before


def test_missing_token_error_says_none_is_set(bigquery_service):
    run = pyflyte_run(*ARGUMENTS[pyflyte_run], **bigquery_service.settings(OUTRIGGER_TOKEN=""))
    assert run.code == 1
    assert "no token is set; set one in OUTRIGGER_TOKEN or OUTRIGGER_TOKEN_FILE" in run.words


def test_forbidden_create_error_names_authentication_file(bigquery_service):
    run = pyflyte_run(
        *ARGUMENTS[pyflyte_run], **bigquery_service.settings(OUTRIGGER_TOKEN=bigquery_service.token("eve"))
    )
    assert run.code == 1
    assert "your token does not allow create" in run.words and "authentication file" in run.words


def test_unreachable_service_is_named(report):
    url = f"http://127.0.0.1:{free_port()}"
    run = report(OUTRIGGER_ENDPOINT=url, OUTRIGGER_TOKEN="canary-of-a-token")
    assert run.code == 1
    assert f"{url} does not answer" in run.words and "check that the service is running" in run.words
    assert "canary" not in run.words


def test_unserved_task_type_error_lists_served_types(bigquery_service):
    run = pyflyte_run("flyte1.py", "users", "--country", "NL", **bigquery_service.settings())
    assert run.code == 1
    assert "does not run tasks of this type: it runs bigquery_query_job_task" in run.words
    run = flyte_run("flyte2.py", "people", "--country", "NL", **bigquery_service.settings())
    assert run.code == 1
    assert "does not run tasks of this type: it runs bigquery_query_job_task" in run.words


@pytest.fixture
def failing_bigquery(tmp_path):
    with bigquery(tmp_path, "--ending=invalidQuery") as running:
        yield running


def test_failed_job_has_vendor_message(report, failing_bigquery):
    run = report(**failing_bigquery.settings())
    assert run.code == 1
    assert "failed on http://" in run.words and "as scripted" in run.words
    assert "page=queryresults" in run.err, "the link to the job"
    assert failing_bigquery.token().split(".")[0] not in run.words


@pytest.mark.parametrize(
    "url",
    ["127.0.0.1:8000", "ftp://127.0.0.1", "http://", "http://h:port", "http://h/path", "http://ada:canary@h"],
)
def test_invalid_endpoint_is_quoted(monkeypatch, url):
    monkeypatch.setenv("OUTRIGGER_ENDPOINT", url)
    with pytest.raises(ServiceError, match="is not a valid endpoint: write http://HOST:PORT") as refused:
        endpoints.of_task_type("snowflake")
    assert "canary" not in str(refused.value)


@pytest.mark.parametrize("entry", ["snowflake", "snowflake="])
def test_entry_without_endpoint_is_quoted(monkeypatch, entry):
    monkeypatch.setenv("OUTRIGGER_ENDPOINTS", f"a=http://h:1,{entry}")
    with pytest.raises(ServiceError, match=f"OUTRIGGER_ENDPOINTS has '{entry}'"):
        endpoints.of_task_type("snowflake")


def test_each_task_type_can_have_its_own_service(bigquery_service, snowflake_service):
    own = f"snowflake={snowflake_service.url}, bigquery_query_job_task={bigquery_service.url}"
    # The issuers share no secret: a token is valid for one service only.
    settings = {"OUTRIGGER_ENDPOINT": "http://127.0.0.1:1", "OUTRIGGER_ENDPOINTS": own}
    run = pyflyte_run(
        "flyte1.py", "users", "--country", "NL", **settings, OUTRIGGER_TOKEN=snowflake_service.token()
    )
    assert run.code == 0, run.words
    run = pyflyte_run(*ARGUMENTS[pyflyte_run], **settings, OUTRIGGER_TOKEN=bigquery_service.token())
    assert run.code == 0, run.words


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            {"OUTRIGGER_TOKEN_FILE": "/nowhere/token"},
            "OUTRIGGER_TOKEN_FILE names /nowhere/token, which cannot be read",
        ),
        ({"OUTRIGGER_TOKEN_FILE": "/dev/null"}, "which is empty"),
        ({"OUTRIGGER_TOKEN": "canary of a token"}, "OUTRIGGER_TOKEN does not contain a token"),
        (
            {"OUTRIGGER_TOKEN": "canary", "OUTRIGGER_TOKEN_FILE": "/dev/null"},
            "OUTRIGGER_TOKEN and OUTRIGGER_TOKEN_FILE are both set: unset one",
        ),
    ],
)
def test_unusable_token_error_names_the_cause(monkeypatch, settings, words):
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ServiceError, match=words) as refused:
        channel.authorization()
    assert "canary" not in str(refused.value)


def test_traceback_with_locals_contains_no_token(bigquery_service, python):
    token = bigquery_service.token(iss="https://elsewhere.example.com")
    run = python("locals.py", **bigquery_service.settings(OUTRIGGER_TOKEN=token))
    assert run.code == 1
    assert "requires a valid token" in run.words
    assert "locals" in run.words, "local variables are shown"
    assert token[:20] not in run.words.replace(" ", "")


def test_traceback_with_locals_contains_no_flyte_2_secret(snowflake_service, python):
    token = snowflake_service.token(iss="https://elsewhere.example.com")
    run = python("locals2.py", **snowflake_service.settings(OUTRIGGER_TOKEN=token, LAPTOP_KEY="canary-of-a-key"))
    assert run.code == 1
    assert "requires a valid token" in run.words
    assert "locals" in run.words and "job.py" in run.words, "local variables are shown"
    shown = run.words.replace(" ", "")
    assert "canary" not in shown and token[:20] not in shown
