"""An independent client against our fake Snowflake, as a check of the fake."""

import urllib.request

import httpx
import pytest
import snowflake_sql_api as sql_api
from conftest import ROOT, fake_upstream

# A key that is not registered anywhere.
KEY = ROOT / "services" / "snowflake" / "src" / "key" / "pem" / "pkcs8.pem"
URL = None


@pytest.fixture(scope="module", autouse=True)
def fake():
    global URL
    with fake_upstream("snowflake", "--polls=2", f"--key={KEY}") as URL:
        yield


class ToFake(httpx.HTTPTransport):
    """Redirects https calls of the vendor's host to the fake."""

    def __init__(self, lose_first_answer=False):
        super().__init__()
        self.lose_answer = lose_first_answer

    def handle_request(self, request):
        fake = httpx.URL(URL)
        request.url = request.url.copy_with(scheme=fake.scheme, host=fake.host, port=fake.port)
        answer = super().handle_request(request)
        if self.lose_answer:
            self.lose_answer = False
            answer.close()
            raise httpx.ReadError("lost", request=request)
        return answer


def client(**options):
    return sql_api.SnowflakeClient(
        "xy12345.eu-central-1",
        "flyte_svc",
        private_key=KEY.read_bytes(),
        warehouse="COMPUTE_WH",
        database="SALES",
        schema="PUBLIC",
        poll_interval=0.01,
        http_client=httpx.Client(transport=ToFake(**options)),
    )


def statements():
    with urllib.request.urlopen(f"{URL}/fake/statements") as answer:
        return int(answer.read())


def test_query_returns_rows():
    rows = client().query("SELECT COUNT(*) AS TOTAL FROM T WHERE A = ? AND B = ?", [1, "x"])
    assert [list(row.values()) if isinstance(row, dict) else list(row) for row in rows] == [[42]]


def test_every_type_is_bound():
    import datetime

    values = [1, 0.5, "O'Brien", True, None, b"\x00\xff", datetime.date(2026, 3, 1), datetime.time(6, 30)]
    values += [datetime.datetime(2026, 3, 1, tzinfo=datetime.timezone.utc), datetime.datetime(2026, 3, 1)]
    marks = ", ".join("?" for _ in values)
    client().query(f"SELECT {marks}", values)


def test_repeat_after_lost_answer_runs_nothing_twice():
    before = statements()
    client(lose_first_answer=True).query("SELECT 1")
    assert statements() == before + 1


def test_bindings_must_match_the_statement():
    with pytest.raises(sql_api.SnowflakeError) as refused:
        client().query("SELECT ?, ?", [1])
    assert refused.value.status_code == 400


def test_several_statements_need_a_count():
    with pytest.raises(sql_api.SnowflakeError) as refused:
        client().query("SELECT 1; SELECT 2")
    assert refused.value.status_code == 422
    assert "Actual statement count 2" in str(refused.value)


def test_asynchronous_statement_is_polled_to_its_end():
    rows = client().submit("SELECT COUNT(*) AS TOTAL FROM T").result()
    assert len(rows) == 1


def test_cancelled_statement_ends():
    handle = client().submit("SELECT COUNT(*) AS TOTAL FROM T")
    handle.cancel()
    with pytest.raises(sql_api.SnowflakeError) as ended:
        handle.result()
    assert ended.value.code == "000604"
