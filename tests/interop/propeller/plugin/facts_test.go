package plugin_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/flyteorg/flyte/flyteidl/gen/pb-go/flyteidl/admin"
	idl "github.com/flyteorg/flyte/flyteidl/gen/pb-go/flyteidl/core"
	"github.com/flyteorg/flyte/flyteplugins/go/tasks/pluginmachinery/core"
	"github.com/flyteorg/flyte/flyteplugins/go/tasks/plugins/webapi/connector"

	"outrigger.dev/tests/interop/propeller/harness"
)

// Propeller's handling of answers that our services never return. The services are designed around these facts: if a test
// fails here after an upgrade of Flyte, it shows which fact changed. docs/flyte-behaviour.md lists them.

// scripted is the plugin connected to a scripted connector.
func scripted(t *testing.T, connector *harness.Scripted) (*harness.Wire, *harness.Plugin) {
	t.Helper()
	wire := harness.NewWire(t, connector.Serve(t))
	return wire, harness.LoadOn(t, wire)
}

func scriptedTask(t *testing.T) *harness.Task {
	t.Helper()
	golden := harness.Golden(t, harness.Bigquery.Golden)
	golden.GetTemplate().Type = harness.ScriptedType
	golden.GetTemplate().GetInterface().Outputs = nil
	return harness.NewTask(t, golden)
}

var errDown = status.Error(codes.Internal, "the vendor is down")

// pollsOf are the gets of one task.
func pollsOf(wire *harness.Wire, task *harness.Task) (polls int) {
	for _, call := range wire.CallsTo("GetTask") {
		request := &admin.GetTaskRequest{}
		if proto.Unmarshal(call.Request, request) == nil && request.GetOutputPrefix() == task.OutputPrefix() {
			polls++
		}
	}
	return polls
}

// awaitPolls waits until a task has been polled this often, however long that takes.
func awaitPolls(t *testing.T, wire *harness.Wire, task *harness.Task, polls int) {
	t.Helper()
	for already := pollsOf(wire, task); already < polls; {
		before := already
		harness.Eventually(t, "another poll", func() bool {
			already = pollsOf(wire, task)
			return already > before
		})
	}
}

func TestSixFailedPollsEndPolling(t *testing.T) {
	t.Parallel()
	connector := harness.NewScripted()
	wire, plugin := scripted(t, connector)
	task := scriptedTask(t)
	task.UntilItRuns(t, plugin)
	connector.FailNext(errDown, errDown, errDown)
	awaitPolls(t, wire, task, 5)
	connector.FailNext(errDown, errDown, errDown)
	awaitPolls(t, wire, task, 8)

	connector.SetResource(&admin.Resource{Phase: idl.TaskExecution_SUCCEEDED})
	other := scriptedTask(t)
	require.Equal(t, core.PhaseSuccess, other.UntilItEnds(t, plugin).Phase())
	connector.SetResource(&admin.Resource{Phase: idl.TaskExecution_RUNNING})
	witness := scriptedTask(t)
	witness.UntilItRuns(t, plugin)
	awaitPolls(t, wire, witness, 3)

	require.Equal(t, 8, pollsOf(wire, task), "the job succeeded, but is not polled")
	require.Equal(t, core.PhaseRunning, task.Handle(t, plugin).Phase())
	require.Zero(t, connector.Deletes())
}

func TestSixFailedPollsWithoutAnswerFailTaskAndKeepJob(t *testing.T) {
	t.Parallel()
	connector := harness.NewScripted()
	connector.FailNext(slices.Repeat([]error{errDown}, 6)...)
	wire, plugin := scripted(t, connector)
	task := scriptedTask(t)
	task.Handle(t, plugin)
	awaitPolls(t, wire, task, 6)

	ended := task.UntilItEnds(t, plugin)

	require.Equal(t, core.PhasePermanentFailure, ended.Phase())
	require.Equal(t, "AutoRefreshCacheFailed", ended.Err().GetCode())
	require.Contains(t, ended.Err().GetMessage(), "the vendor is down")
	require.NoError(t, plugin.Finalize(context.Background(), task))
	require.Zero(t, connector.Deletes())
}

func TestPhaseMapping(t *testing.T) {
	t.Parallel()
	for name, fact := range map[string]struct {
		answer *admin.Resource
		phase  core.Phase
		text   string
	}{
		"nothing at all":    {nil, core.PhaseRetryableFailure, "failed to run the job.\n"},
		"an empty resource": {&admin.Resource{}, core.PhaseRetryableFailure, "failed to run the job.\n"},
		"aborted": {
			&admin.Resource{Phase: idl.TaskExecution_ABORTED, Message: "by the vendor"},
			core.PhasePermanentFailure, "failed to run the job with aborted phase.",
		},
		"failed, with an error of its own": {
			&admin.Resource{Phase: idl.TaskExecution_FAILED, Message: "words", AgentError: &admin.AgentError{Code: "E42"}},
			core.PhasePermanentFailure, "failed to run the job: words",
		},
		"failed, and may be retried": {
			&admin.Resource{Phase: idl.TaskExecution_RETRYABLE_FAILED, Message: "words"},
			core.PhaseRetryableFailure, "failed to run the job: words",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			connector := harness.NewScripted()
			connector.Resource = fact.answer
			_, plugin := scripted(t, connector)

			ended := scriptedTask(t).UntilItEnds(t, plugin)

			require.Equal(t, fact.phase, ended.Phase())
			require.Equal(t, fact.text, ended.Err().GetMessage())
			require.Equal(t, "TaskFailedWithError", ended.Err().GetCode())
			require.Equal(t, idl.ExecutionError_USER, ended.Err().GetKind())
		})
	}
}

func TestUnknownPhaseIsSystemError(t *testing.T) {
	t.Parallel()
	connector := harness.NewScripted()
	connector.Resource = &admin.Resource{Phase: 99}
	wire, plugin := scripted(t, connector)
	task := scriptedTask(t)
	task.Handle(t, plugin)
	awaitPolls(t, wire, task, 1)

	harness.Eventually(t, "the evaluation fails", func() bool {
		_, err := plugin.Handle(context.Background(), task)
		return err != nil
	})
}

func TestFirstPollFollowsCreateImmediately(t *testing.T) {
	t.Parallel()
	wire, plugin := scripted(t, harness.NewScripted())
	task := scriptedTask(t)

	task.Handle(t, plugin)
	created := time.Now()
	awaitPolls(t, wire, task, 1)

	require.Less(t, time.Since(created), harness.Resync/2, "it does not wait for the next sync")
}

func TestNonTerminalSyncAnswerKillsWorker(t *testing.T) {
	t.Parallel()
	sync := harness.NewScripted()
	sync.Type, sync.IsSync = "scripted_sync", true
	syncWire := harness.NewWire(t, sync.Serve(t))
	wire := harness.NewWire(t, harness.NewScripted().Serve(t))
	load := func() *harness.Plugin {
		cfg := harness.Config(wire.Address())
		cfg.WebAPI.Caching.Workers = 1
		deployment := harness.Deployment(syncWire.Address())
		cfg.ConnectorDeployments = map[string]*connector.Deployment{"sync": &deployment}
		return harness.Load(t, cfg, wire, syncWire)
	}
	hit, healthy := load(), load()
	golden := harness.Golden(t, harness.Bigquery.Golden)
	golden.GetTemplate().Type = sync.Type
	require.Equal(t, core.PhaseQueued, harness.NewTask(t, golden).Handle(t, hit).Phase())

	lost, witness := scriptedTask(t), scriptedTask(t)
	lost.Handle(t, hit)
	witness.Handle(t, healthy)
	awaitPolls(t, wire, witness, 3)

	// The worker may have polled it before it came to the other one.
	require.LessOrEqual(t, pollsOf(wire, lost), 1, "the only worker is gone")
}

func TestPropellerSendsNoCredentials(t *testing.T) {
	t.Parallel()
	wire, plugin := scripted(t, harness.NewScripted())
	scriptedTask(t).UntilItRuns(t, plugin)

	known := []string{":method", ":scheme", ":path", ":authority", "content-type", "user-agent", "te", "grpc-timeout", "grpc-accept-encoding"}
	require.NotEmpty(t, wire.Calls())
	for _, call := range wire.Calls() {
		for name := range call.Header {
			require.Contains(t, known, name, call.Method)
		}
	}
}

func TestUnlistedVersionUsesDefaultConnector(t *testing.T) {
	t.Parallel()
	named := harness.NewWire(t, harness.NewScripted().Serve(t))
	other := harness.NewScripted()
	other.Type = "something_else"
	fallback := harness.NewWire(t, other.Serve(t))
	cfg := harness.Config(fallback.Address())
	deployment := harness.Deployment(named.Address())
	cfg.ConnectorDeployments = map[string]*connector.Deployment{"named": &deployment}
	plugin := harness.Load(t, cfg, named, fallback)
	listed, newer := scriptedTask(t), scriptedTask(t)
	newer.Template().TaskTypeVersion = 2

	listed.Handle(t, plugin)
	newer.Handle(t, plugin)

	require.Len(t, named.Await(t, "CreateTask", 1), 1)
	require.Len(t, fallback.Await(t, "CreateTask", 1), 1)
}

func TestUnservedVersionIsRejectedWithMessage(t *testing.T) {
	t.Parallel()
	stage := set(t, harness.Bigquery)
	task := harness.NewTask(t, harness.Golden(t, "bq_newer_version"))

	refused := task.Handle(t, stage.plugin)

	require.Equal(t, core.PhaseRetryableFailure, refused.Phase())
	require.Contains(t, refused.Err().GetMessage(), "bigquery_query_job_task")
	require.Contains(t, refused.Err().GetMessage(), "version 2")
	require.Zero(t, stage.upstream.Jobs())
}
