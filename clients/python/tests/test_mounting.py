"""An app of plugins as a part of another one."""

import pytest

import plugins
from conftest import served

fastapi = pytest.importorskip("fastapi")


@pytest.mark.parametrize("mounted", ["", "/flyte", "/plugins/v1"])
def test_app_is_mounted_into_fastapi(mounted):
    outer = fastapi.FastAPI()

    @outer.get("/hello")
    def hello():
        return "hello"

    outer.mount(mounted, plugins.app)
    with served(outer, mounted) as caller:
        assert caller.send("GET", "").body["plugins"][0]["task_type"] == "shoutout"
        assert caller.poll("reporting/0", "failed").body["message"] == "bad column"
        assert caller.poll("unknown/0", "failed").body["error_code"] == "NOT_FOUND"


@pytest.mark.parametrize("path", ["/root/plugins/v1", "/plugins/v1"])
def test_root_path_may_be_in_the_path_or_not(path):
    import asyncio

    sent = []

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": path, "root_path": "/root/", "headers": []}
    asyncio.run(plugins.app(scope, None, send))
    assert sent[0]["status"] == 200


def test_websockets_are_closed():
    import asyncio

    sent = []

    async def send(message):
        sent.append(message)

    asyncio.run(plugins.app({"type": "websocket", "path": "/plugins/v1"}, None, send))
    assert sent == [{"type": "websocket.close"}]
