"""The page /docs in a real browser: what somebody sees who opens it, authorizes with a token, and executes a call.

The screenshot is kept: target/docs-page/docs.png.
"""

import os
import shutil
import time

import jwt
import pytest

from charts import TARGET
from running import fake_bigquery, free_port, service

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
SECRET = "0123456789abcdef0123456789abcdef"
AUTH = """\
issuers:
  - {name: ci, issuer: https://ci.example.com, audiences: [connectors], key: {hs256_secret_file: %s}}
rules:
  - {issuer: ci, sub: ann, role: user}
"""


def missing(what):
    """Skips the test, except in CI, where it must run."""
    (pytest.fail if os.environ.get("CI") else pytest.skip)(f"{what} is not installed: apt-get install chromium; pip install playwright")


@pytest.fixture
def browser():
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("playwright")
    program = next(filter(None, map(shutil.which, BROWSERS)), None) or missing("chromium")
    with sync_playwright() as playwright:
        # Containers and CI run it as root, which its sandbox refuses.
        started = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def api(tmp_path):
    """The address of a BigQuery service that accepts tokens of an issuer."""
    (tmp_path / "secret").write_text(SECRET)
    (tmp_path / "auth.yaml").write_text(AUTH % (tmp_path / "secret"))
    (tmp_path / "handle.key").write_bytes(os.urandom(32))
    with fake_bigquery() as upstream:
        environment = {
            "PLUGIN_LISTEN": f"127.0.0.1:{free_port()}",
            "PLUGIN_ADMIN_LISTEN": f"127.0.0.1:{free_port()}",
            "PLUGIN_AUTH": str(tmp_path / "auth.yaml"),
            "PLUGIN_HANDLE_KEYS": str(tmp_path / "handle.key"),
            "BIGQUERY_ENDPOINT": upstream,
            "GCE_METADATA_HOST": upstream.removeprefix("http://"),
        }
        with service("bigquery", environment, tmp_path / "log") as started:
            started.wait_until_ready()
            yield f"http://{started.api}"


def token():
    claims = {"iss": "https://ci.example.com", "sub": "ann", "aud": "connectors", "exp": int(time.time()) + 600}
    return jwt.encode(claims, SECRET, algorithm="HS256")


def execute(page, operation):
    """Opens an operation, executes it as the page proposes it, and returns the answer's status and body."""
    block = page.locator(f"[id$='{operation}']")
    if not block.locator(".opblock-body").is_visible():
        block.locator(".opblock-summary-control").click()
    block.locator("button.execute").click()
    answer = block.locator(".live-responses-table")
    answer.wait_for(timeout=20_000)
    return answer.locator(".response-col_status").last.inner_text().split()[0], answer.inner_text()


def test_authorize_and_execute_get_an_answer(browser, api):
    page = browser.new_page(viewport={"width": 1200, "height": 1800})
    foreign, refused = [], []
    page.on("request", lambda request: request.url.startswith((api, "data:")) or foreign.append(request.url))
    page.on("console", lambda line: "Content Security Policy" in line.text and refused.append(line.text))
    page.goto(f"{api}/")
    page.locator(".info .title").wait_for(timeout=20_000)
    assert (page.url, page.title()) == (f"{api}/docs/", "bigquery: Flyte tasks over REST")
    assert "bigquery: Flyte tasks over REST" in page.locator(".info .title").inner_text()
    assert page.locator(".opblock-put .opblock-summary-path").inner_text().replace("\u200b", "") == "/plugins/v1/bigquery_query_job_task/0"
    assert execute(page, "create_job_bigquery_query_job_task_0")[0] == "401"

    page.locator("button.authorize").first.click()
    page.locator(".auth-container input").fill(token())
    page.locator(".auth-btn-wrapper button.authorize").click()
    page.locator(".auth-btn-wrapper button.btn-done").click()

    block = page.locator("[id$='create_job_bigquery_query_job_task_0']")
    block.locator("button.btn-clear").click()
    status, body = execute(page, "create_job_bigquery_query_job_task_0")
    directory = TARGET / "docs-page"
    directory.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=directory / "docs.png", full_page=True)
    assert status == "200" and "job_id" in body and "console.cloud.google.com" in body, body
    assert foreign == [], "the page asks nobody else"
    assert refused == [], "the page needs nothing that its policy forbids"
    kept = page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])")
    assert kept == '[{},{},""]', "the token is gone with the page"


def test_what_the_policy_forbids_is_refused(browser, api):
    page = browser.new_page()
    page.goto(f"{api}/docs/")
    page.locator(".info .title").wait_for(timeout=20_000)
    attempt = """() => new Promise(resolve => {
        const refused = [];
        document.addEventListener("securitypolicyviolation", event => refused.push(event.effectiveDirective));
        document.head.append(Object.assign(document.createElement("script"), {text: "window.injected = true"}));
        fetch("http://elsewhere.example.com/").catch(() => setTimeout(() => resolve([refused.sort(), window.injected ?? null])));
    })"""
    assert page.evaluate(attempt) == [["connect-src", "script-src-elem"], None]
