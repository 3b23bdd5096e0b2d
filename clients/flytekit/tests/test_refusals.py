"""Failed runs, whose errors say what to do and never contain the token."""

import pytest
from conftest import bigquery, flyte_run, free_port, pyflyte_run
from outrigger_flytekit import channel, endpoints, task_secrets
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
    [
        "127.0.0.1:8000",
        "ftp://127.0.0.1",
        "ftp://127.0.0.1:8000",
        "grpcs://h:443",
        "htps://h:443",
        "//h:443",
        "http://",
        "http://h:port",
        "http://h:0",
        "http://h/path",
        "http://h:80?a=b",
        "http://h:80#part",
        "http://h:80\t80",
        "https://h\n.example.com:443",
        "https://h h:443",
        "http://ada:canary@h",
    ],
)
def test_invalid_endpoint_is_quoted(monkeypatch, url):
    monkeypatch.setenv("OUTRIGGER_ENDPOINT", url)
    with pytest.raises(ServiceError, match="is not a valid endpoint: write http://HOST:PORT") as refused:
        endpoints.of_task_type("snowflake")
    assert "canary" not in str(refused.value)


@pytest.mark.parametrize("entry", ["snowflake", "snowflake=", "=http://h:1"])
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
        ({"OUTRIGGER_TOKEN": "canary\nof-a-token"}, "OUTRIGGER_TOKEN does not contain a token"),
        ({"OUTRIGGER_TOKEN": " \n"}, "OUTRIGGER_TOKEN is blank"),
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


@pytest.mark.parametrize("text", ["", "-----BEGIN CERTIFICATE-----", "\u00e4"], ids=["empty", "cut", "no PEM"])
def test_ca_file_without_certificates_is_named(monkeypatch, tmp_path, text):
    (tmp_path / "ca.pem").write_text(text)
    monkeypatch.setenv("OUTRIGGER_CA_FILE", str(tmp_path / "ca.pem"))
    with pytest.raises(ServiceError, match="OUTRIGGER_CA_FILE names .*, which does not contain certificates"):
        channel.connect(endpoints.Endpoint.parse("https://localhost:443"))


@pytest.mark.parametrize("value", ["canary", " canary\r\n", "\ncanary \t"])
def test_task_secret_is_sent_without_white_space_around_it(monkeypatch, value):
    monkeypatch.setenv("LAPTOP_KEY", value)
    assert task_secrets.of({"secrets": {"key": "LAPTOP_KEY", "other": "NOT_SET"}}) == {"key": "canary"}


def test_task_secret_may_have_several_lines(monkeypatch):
    monkeypatch.setenv("LAPTOP_KEY", "-----BEGIN\r\nkey\n-----END\n")
    assert task_secrets.of({"secrets": {"key": "LAPTOP_KEY"}}) == {"key": "-----BEGIN\r\nkey\n-----END"}


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("", "is empty"),
        (" \n", "is empty"),
        ("canary\x1b[2J", "has invalid characters"),
        ("canary\udcff", "has invalid characters"),
    ],
)
def test_unusable_task_secret_is_named(monkeypatch, value, words):
    monkeypatch.setenv("LAPTOP_KEY", value)
    with pytest.raises(ServiceError, match=f"LAPTOP_KEY, the task's secret 'key', {words}") as refused:
        task_secrets.of({"secrets": {"key": "LAPTOP_KEY"}})
    assert "canary" not in str(refused.value)


@pytest.mark.parametrize("variable", [5, True, "", " ", ["LAPTOP_KEY"], {"name": "LAPTOP_KEY"}])
def test_task_secret_of_another_type_is_named(variable):
    with pytest.raises(ServiceError, match="the task's secret 'key' does not name an environment variable"):
        task_secrets.of({"secrets": {"key": variable}})


def test_task_secret_that_is_null_is_not_named():
    assert task_secrets.of({"secrets": {"key": None}}) == {}


@pytest.mark.parametrize("secrets", ["LAPTOP_KEY", ["LAPTOP_KEY"], 5])
def test_task_secrets_are_pairs(secrets):
    with pytest.raises(ServiceError, match="the task's secrets are not pairs"):
        task_secrets.of({"secrets": secrets})


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
