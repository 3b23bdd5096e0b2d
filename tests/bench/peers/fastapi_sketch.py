"""The server that Flyte's proposal for backend plugins sketches: FastAPI, httpx and PyJWT before BigQuery.

It answers what bare-proxy answers over REST, and asks BigQuery for the same fields.
"""

import contextlib
import os
import re
from typing import Annotated

import fastapi
import httpx
import jwt
import pydantic

ENDPOINT, SECRET = os.environ["PEER_ENDPOINT"], os.environ["PEER_SECRET"]
ISSUER, AUDIENCE = os.environ["PEER_ISSUER"], os.environ["PEER_AUDIENCE"]
JOBS = "/bigquery/v2/projects/acme-analytics/jobs"
FIELDS = (
    "jobReference,status(state,errorResult),configuration/query/destinationTable,"
    "statistics(totalBytesProcessed,totalSlotMs,numChildJobs,"
    "query(totalBytesBilled,cacheHit,statementType,ddlTargetTable))"
)
STATES = {"PENDING": "running", "RUNNING": "running", "DONE": "succeed"}


class Put(pydantic.BaseModel):
    sql: str
    output_prefix: str


def check(authorization: Annotated[str, fastapi.Header()] = ""):
    """Refuses a caller without a token of our issuer."""
    try:
        token = authorization.removeprefix("Bearer ")
        jwt.decode(token, SECRET, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE)
    except jwt.InvalidTokenError as error:
        raise fastapi.HTTPException(401, str(error)) from error


@contextlib.asynccontextmanager
async def pooled_client(app):
    async with httpx.AsyncClient(base_url=ENDPOINT, headers={"authorization": "Bearer mock"}) as client:
        app.state.bigquery = client
        yield


app = fastapi.FastAPI(lifespan=pooled_client, dependencies=[fastapi.Depends(check)])


async def call(request: fastapi.Request, method, path, **parts):
    """BigQuery's answer."""
    try:
        answer = await request.app.state.bigquery.request(method, path, **parts)
        answer.raise_for_status()
    except httpx.HTTPError as error:
        raise fastapi.HTTPException(502, str(error)) from error
    return answer.json()


@app.put("/plugins/v1/bigquery_query_job_task/0")
async def create(request: fastapi.Request, put: Put):
    job_id = re.sub("[^0-9A-Za-z]", "-", put.output_prefix)
    job = {
        "jobReference": {"projectId": "acme-analytics", "jobId": job_id},
        "configuration": {"query": {"query": put.sql, "useLegacySql": False}},
    }
    await call(request, "POST", JOBS, params={"fields": "jobReference"}, json=job)
    return {"job_id": job_id}


@app.get("/plugins/v1/bigquery_query_job_task/0")
async def poll(request: fastapi.Request, job_id: str):
    job = await call(request, "GET", f"{JOBS}/{job_id}", params={"location": "EU", "fields": FIELDS})
    return {"job_state": STATES[job["status"]["state"]]}
