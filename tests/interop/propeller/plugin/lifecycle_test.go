package plugin_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flyteorg/flyte/flyteplugins/go/tasks/pluginmachinery/core"
	upstreamtests "github.com/flyteorg/flyte/flyteplugins/tests"
	"github.com/flyteorg/flyte/flytestdlib/config"

	"outrigger.dev/tests/interop/propeller/harness"
)

func TestFlyteEndToEndTestPasses(t *testing.T) {
	t.Parallel()
	stage := set(t, harness.Bigquery, "--polls=0")
	golden := harness.Golden(t, harness.Bigquery.Golden)
	// The test's state is in memory, where nobody could read outputs.
	golden.GetTemplate().GetInterface().Outputs = nil
	pause := func(context.Context, core.TaskExecutionContext) error {
		time.Sleep(20 * time.Millisecond)
		return nil
	}

	ended := upstreamtests.RunPluginEndToEndTest(t, stage.plugin, golden.GetTemplate(), golden.GetInputs(), nil, nil, pause)

	require.Equal(t, core.PhaseSuccess, ended.Phase())
}

func TestAbortCancelsJob(t *testing.T) {
	t.Parallel()
	stage := set(t, harness.Bigquery, "--ending=stuck")
	task := stage.task(t)
	task.Handle(t, stage.plugin)

	require.NoError(t, stage.plugin.Abort(context.Background(), task))

	require.Len(t, stage.wire.Await(t, "DeleteTask", 1), 1)
	require.Equal(t, 1, stage.upstream.Deletes())
}

func TestRepeatedAbortSucceeds(t *testing.T) {
	t.Parallel()
	stage := set(t, harness.Bigquery, "--polls=0")
	task := stage.task(t)
	task.Handle(t, stage.plugin)

	for range 2 {
		require.NoError(t, stage.plugin.Abort(context.Background(), task))
	}
}

func TestJobSurvivesServiceReplacement(t *testing.T) {
	t.Parallel()
	stage := set(t, harness.Bigquery, "--polls=1")
	task := stage.task(t)
	task.WriteOutputs(t, number("o0"))
	task.Handle(t, stage.plugin)
	stage.wire.Await(t, "GetTask", 1)

	stage.service.Stop()
	stage.service.Start(t)

	require.Equal(t, core.PhaseSuccess, task.UntilItEnds(t, stage.plugin).Phase())
	require.Equal(t, 1, stage.upstream.Jobs())
}

func TestPollDuringServiceOutageDoesNotAffectJob(t *testing.T) {
	t.Parallel()
	stage := set(t, harness.Bigquery, "--polls=1")
	task := stage.task(t)
	task.Handle(t, stage.plugin)
	stage.wire.Await(t, "GetTask", 1)
	stage.service.Kill()
	connections := stage.wire.Refused()

	harness.Eventually(t, "a poll fails", func() bool {
		task.Handle(t, stage.plugin)
		return stage.wire.Refused() > connections
	})
	stage.service.Start(t)

	require.Equal(t, core.PhaseSuccess, task.UntilItEnds(t, stage.plugin).Phase())
	require.Equal(t, 1, stage.upstream.Jobs())
}

func TestCallsOfOneJobAreBalancedOverReplicas(t *testing.T) {
	t.Parallel()
	upstream := harness.StartUpstream(t, harness.Bigquery, "--polls=2")
	keys := harness.Keys(t)
	replicas := []*harness.Service{harness.NewService(t, upstream, keys), harness.NewService(t, upstream, keys)}
	for _, replica := range replicas {
		replica.Start(t)
	}
	endpoint, wires := harness.WireReplicas(t, harness.Bigquery.Name, replicas...)
	plugin := harness.Load(t, harness.Config(endpoint), wires...)
	task := harness.NewTask(t, harness.Golden(t, harness.Bigquery.Golden))
	task.WriteOutputs(t, number("o0"))

	require.Equal(t, core.PhaseSuccess, task.UntilItEnds(t, plugin).Phase())

	calls := append(wires[0].Calls(), wires[1].Calls()...)
	require.Empty(t, harness.Flyte1.Violations(calls))
	require.NotEmpty(t, jobCalls(wires[0]), "the first replica was asked of the job")
	require.NotEmpty(t, jobCalls(wires[1]), "the second replica was asked of the job")
	require.Equal(t, 1, upstream.Jobs())
}

func jobCalls(wire *harness.Wire) []harness.Call {
	return append(wire.CallsTo("CreateTask"), wire.CallsTo("GetTask")...)
}

func TestRepeatAfterSlowCreateStartsOneJob(t *testing.T) {
	t.Parallel()
	upstream := harness.StartUpstream(t, harness.Bigquery, "--polls=0")
	service := harness.StartService(t, upstream)
	wire := harness.Watch(t, service.Address())
	cfg := harness.Config(wire.Address())
	cfg.DefaultConnector.Timeouts = map[string]config.Duration{"CreateTask": {Duration: 2 * time.Second}}
	plugin := harness.Load(t, cfg, wire)
	task := harness.NewTask(t, harness.Golden(t, harness.Bigquery.Golden))
	task.WriteOutputs(t, number("o0"))

	upstream.Hold()
	late := task.HandleAndForget(t, plugin)
	upstream.Release()

	require.Equal(t, core.PhaseRetryableFailure, late.Phase())
	require.Contains(t, late.Err().GetMessage(), "DeadlineExceeded")
	require.Equal(t, core.PhaseSuccess, task.UntilItEnds(t, plugin).Phase())
	require.Len(t, wire.Await(t, "CreateTask", 2), 2)
	require.Equal(t, 1, upstream.Jobs())
}

func TestRepeatAfterLostAnswerStartsOneJob(t *testing.T) {
	t.Parallel()
	for _, vendor := range withFailures {
		t.Run(vendor.Name, func(t *testing.T) {
			t.Parallel()
			stage := set(t, vendor, "--polls=0")
			task := stage.task(t)
			task.WriteOutputs(t, number("o0"))

			task.HandleAndForget(t, stage.plugin)

			require.Equal(t, core.PhaseSuccess, task.UntilItEnds(t, stage.plugin).Phase())
			require.Len(t, stage.wire.Await(t, "CreateTask", 2), 2)
			require.Equal(t, 1, stage.upstream.Jobs())
		})
	}
}

func TestPluginStateIsSmall(t *testing.T) {
	t.Parallel()
	stage := set(t, harness.Databricks, "--ending=stuck")
	task := stage.task(t)

	task.UntilItRuns(t, stage.plugin)

	require.Less(t, task.State.Size(), 2048, "the state in the workflow's object must be small")
}
