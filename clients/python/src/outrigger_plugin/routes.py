"""Which paths there are."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from urllib.parse import parse_qs

from .asgi import Problem, Scope

ROOT = "/plugins/v1"
# A task type may contain slashes; a version is a number, so that the rest is unambiguous.
PATH = re.compile(r"/(?P<task_type>.+?)/(?P<version>[0-9]{1,10})(?P<suffix>/poll|/delete)?", re.ASCII)


class Verb(Enum):
    """What a request asks for."""

    LIST = "list"
    CREATE = "create"
    POLL = "poll"
    DELETE = "delete"
    EXECUTE = "execute"


# By what follows the version, and the request's method.
VERBS = {
    "": {"PUT": Verb.CREATE, "GET": Verb.POLL, "DELETE": Verb.DELETE, "POST": Verb.EXECUTE},
    "/poll": {"POST": Verb.POLL},
    "/delete": {"POST": Verb.DELETE},
}


@dataclass(frozen=True)
class Route:
    """What a request asks for, and of which plugin."""

    verb: Verb
    task_type: str = ""
    version: int = 0


def find(scope: Scope) -> Route:
    """The route of a request. Raises Problem if there is none."""
    path, method = path_of(scope), scope["method"]
    if path in (ROOT, f"{ROOT}/"):
        return Route(choose({"GET": Verb.LIST}, method))
    match = PATH.fullmatch(path.removeprefix(ROOT)) if path.startswith(f"{ROOT}/") else None
    if match is None:
        raise Problem(404, "NOT_FOUND", f"no such path: {path}")
    verb = choose(VERBS[match["suffix"] or ""], method)
    return Route(verb, match["task_type"], int(match["version"]))


def choose(verbs: dict[str, Verb], method: str) -> Verb:
    if method not in verbs:
        allowed = ", ".join(verbs)
        raise Problem(405, "METHOD_NOT_ALLOWED", f"expected {allowed}, not {method}", ("allow", allowed))
    return verbs[method]


def path_of(scope: Scope) -> str:
    """The path below the one that the app is mounted at."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "").rstrip("/")
    # Some servers leave it out of the path.
    return path[len(root) :] if path.startswith(f"{root}/") else path


def job_id_in_query(scope: Scope) -> str:
    """The text of the job id. Raises Problem unless there is exactly one."""
    query = str(scope.get("query_string", b""), "latin-1")
    # Also reads forms, whose spaces are plus signs.
    texts = parse_qs(query, keep_blank_values=True).get("job_id", [])
    if len(texts) != 1:
        raise Problem(400, "MALFORMED", "job_id: expected exactly one in the query")
    return texts[0]
