#!/bin/sh
# Tests plugin.yaml without the vendor: what it sends for task.json, and what the answers in recorded.json mean.
set -eu
cd "$(dirname "$0")/.."
outrigger=${OUTRIGGER:-outrigger}

"$outrigger" plugin check plugin.yaml
tried=$("$outrigger" plugin try plugin.yaml --set <[ plugin.name ]>.address=https://api.acme.example \
  --request task.json --recorded tests/recorded.json)

has() {
  printf '%s\n' "$tried" | grep -qF -- "$1" && return
  printf '%s\n\ntests/run.sh: this is missing: %s\n' "$tried" "$1" >&2
  exit 1
}
has 'authorization: Bearer <<[ plugin.module ]>_token>'
<%- if plugin.mode == "async" %>
has 'POST https://api.acme.example/v1/jobs'
has '"--epochs",'
has 'GET https://api.acme.example/v1/jobs/job-1'
has 'DELETE https://api.acme.example/v1/jobs/job-1'
has 'running: a poll answers RUNNING'
has 'succeeded: a poll answers SUCCEEDED'
has 'failed: a poll answers FAILED'
has 'no such command: trian'
has 'gone: NOT_FOUND'
<%- else %>
has 'POST https://api.acme.example/v1/translate'
has '"text": "good morning"'
has 'succeeded: the task ends as SUCCEEDED'
has 'failed: the task ends as FAILED'
has 'no such language: dee'
has 'throttled: RESOURCE_EXHAUSTED'
<%- endif %>
echo "tests/run.sh: passed"
