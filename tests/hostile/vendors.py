"""Fake vendors. Each answers as its API does, except where a test scripts it."""

import itertools
import time
import urllib.parse

from http_server import Answer, Server

PENDING, RUNNING, DONE = "PENDING", "RUNNING", "DONE"


class Vendor:
    """A vendor's API. A request is of one kind: `token`, `create`, `get`, `list` or `delete`."""

    def __init__(self):
        self.on = {}
        """What to answer to requests of a kind: `f(request)` returns an answer, or None for the regular one."""
        self.jobs = {}
        self.tokens = None
        """The access tokens that are accepted; None for all."""
        self.issued = itertools.count(1)
        self.server = Server(self._answer)
        self.url, self.address = self.server.url, self.server.address

    def count(self, *kinds, since=0.0):
        return sum(request.kind in kinds and request.at >= since for request in self.server.requests)

    def of(self, kind):
        return [request for request in self.server.requests if request.kind == kind]

    def most_under_way(self, kind):
        return self.server.most_under_way.get(kind, 0)

    def reset(self):
        """Forgets scripts and counts, but no jobs."""
        self.on = {}
        self.tokens = None
        self.server.clear()
        self.server.most_under_way.clear()

    def close(self):
        self.server.close()

    def _answer(self, request):
        request.kind, arguments = self._kind(request)
        scripted = self.on.get(request.kind)
        if scripted and (answer := scripted(request)):
            return answer
        if request.kind != "token" and not self._is_known(request):
            return self.refusal(401, "the token is not valid")
        return getattr(self, f"_{request.kind}")(request, *arguments)

    def _is_known(self, request):
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        return self.tokens is None or token in self.tokens

    def _unknown(self, request):
        return self.refusal(404, f"no such path: {request.path}")


class BigQuery(Vendor):
    """BigQuery, and the metadata server from which its service gets tokens."""

    program, task_type, custom = "bigquery", "bigquery_query_job_task", {"ProjectID": "acme", "Location": "EU"}

    def flags(self, _):
        return [f"--endpoint={self.url}"], {"GCE_METADATA_HOST": self.address}

    def refusal(self, status, message, reason="invalid"):
        return Answer(status, {"error": {"code": status, "message": message, "errors": [{"reason": reason}]}})

    def job(self, project, job_id, **members):
        reference = {"projectId": project, "jobId": job_id, "location": "EU"}
        query = {"query": self.jobs.get((project, job_id)), "destinationTable": None}
        job = {"jobReference": reference, "status": {"state": RUNNING}, "configuration": {"query": query}}
        return {**job, "statistics": {"creationTime": str(int(time.time() * 1000))}, **members}

    def _kind(self, request):
        parts = request.path.strip("/").split("/")
        match parts:
            case ["computeMetadata", *_]:
                return "token", ()
            case ["bigquery", "v2", "projects", project, "jobs", *rest]:
                project = urllib.parse.unquote(project)
                match request.method, rest:
                    case "POST", []:
                        return "create", (project,)
                    case "GET", []:
                        return "list", (project,)
                    case "GET", [job_id]:
                        return "get", (project, job_id)
                    case "POST", [job_id, "cancel"]:
                        return "delete", (project, job_id)
        return "unknown", ()

    def _token(self, request):
        token = {"access_token": f"ya29.token-{next(self.issued)}", "expires_in": 3600, "token_type": "Bearer"}
        return Answer(200, token, {"metadata-flavor": "Google"})

    def _create(self, request, project):
        body = request.json()
        job_id = body["jobReference"]["jobId"]
        if (project, job_id) in self.jobs:
            return self.refusal(409, "Already Exists", "duplicate")
        self.jobs[project, job_id] = body["configuration"]["query"]["query"]
        return Answer(200, self.job(project, job_id, status={"state": PENDING}))

    def _get(self, request, project, job_id):
        if (project, job_id) not in self.jobs:
            return self.refusal(404, "Not found", "notFound")
        return Answer(200, self.job(project, job_id))

    def _list(self, request, project):
        jobs = [self.job(project, job_id) for owner, job_id in reversed(list(self.jobs)[-1000:]) if owner == project]
        return Answer(200, {"jobs": jobs})

    def _delete(self, request, project, job_id):
        return Answer(200, {"job": self.job(project, job_id, status={"state": DONE})})


class Databricks(Vendor):
    """Databricks, and the token endpoint of its workspaces."""

    program, task_type = "databricks", "databricks"
    custom = {
        "databricksConf": {
            "existing_cluster_id": "0923-164208-meows279",
            "tasks": [{"task_key": "a", "existing_cluster_id": "0923-164208-meows279", "notebook_task": {"notebook_path": "/a"}}],
        }
    }
    custom["databricksConf"].pop("existing_cluster_id")

    def flags(self, secrets):
        """A service whose personal access token is in a file."""
        token = secrets / "databricks_token"
        if not token.exists():
            token.write_text("dapi-of-the-service")
        return [f"--endpoint={self.url}", "--instances=acme.cloud.databricks.com,other.cloud.databricks.com"], {}

    def refusal(self, status, message, code="INVALID_PARAMETER_VALUE"):
        return Answer(status, {"error_code": code, "message": message})

    def _kind(self, request):
        kinds = {"submit": "create", "get": "get", "get-output": "output", "list": "list", "cancel": "delete"}
        match request.path.strip("/").split("/"):
            case ["oidc", "v1", "token"]:
                return "token", ()
            case ["api", _, "jobs", "runs", call] if call in kinds:
                return kinds[call], ()
        return "unknown", ()

    def run(self, run_id, life_cycle=RUNNING):
        return {"run_id": run_id, "state": {"life_cycle_state": life_cycle}, "status": {"state": life_cycle}, "tasks": []}

    def _token(self, request):
        token = f"oauth-{next(self.issued)}"
        return Answer(200, {"access_token": token, "expires_in": 3600, "token_type": "Bearer"})

    def _create(self, request):
        key = request.json()["idempotency_token"]
        return Answer(200, {"run_id": self.jobs.setdefault(key, len(self.jobs) + 1)})

    def _get(self, request):
        return Answer(200, self.run(int(request.query["run_id"])))

    def _output(self, request):
        return Answer(200, {})

    def _list(self, request):
        return Answer(200, {"runs": [self.run(run_id) for run_id in sorted(self.jobs.values(), reverse=True)[:25]]})

    def _delete(self, request):
        return Answer(200, {})


class Snowflake(Vendor):
    """Snowflake's SQL API."""

    program, task_type = "snowflake", "snowflake"
    custom = {"account": "ACMEORG-ANALYTICS", "user": "FLYTE", "warehouse": "WH", "database": "DB"}

    def flags(self, secrets):
        """A service whose programmatic access token is in a file."""
        token = secrets / "snowflake_pat"
        if not token.exists():
            token.write_text("pat-of-the-service")
        flags = ["--accounts=ACMEORG-ANALYTICS,ACMEORG-OTHER", "--auth-type=pat", f"--endpoint={self.url}"]
        return flags, {}

    def refusal(self, status, message, code="391902"):
        return Answer(status, {"code": code, "message": message, "sqlState": "00000"})

    def _kind(self, request):
        match request.method, request.path.strip("/").split("/"):
            case "POST", ["api", "v2", "statements"]:
                return "create", ()
            case "GET", ["api", "v2", "statements", handle]:
                return "get", (handle,)
            case "POST", ["api", "v2", "statements", handle, "cancel"]:
                return "delete", (handle,)
        return "unknown", ()

    def running(self, handle):
        content = {"code": "333334", "message": "Asynchronous execution in progress.", "statementHandle": handle}
        return Answer(202, {**content, "statementStatusUrl": f"/api/v2/statements/{handle}"})

    def _create(self, request):
        key = request.query["requestId"]
        return self.running(self.jobs.setdefault(key, f"01b2c3d4-0000-0000-0000-{len(self.jobs):012}"))

    def _get(self, request, handle):
        return self.running(handle)

    def _delete(self, request, handle):
        return Answer(200, {"code": "000604", "message": "canceled", "statementHandle": handle})


VENDORS = [BigQuery, Databricks, Snowflake]
