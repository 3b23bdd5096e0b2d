package plugin_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flyteorg/flyte/flyteplugins/go/tasks/pluginmachinery/core"

	"outrigger.dev/tests/interop/propeller/harness"
)

// TestUnmodifiedConnectorsOfFlytekitReachTheirVendors runs tasks that flytekit's own plugins made, on flytekit's own
// connectors, before fakes that hold what they get against the vendors' published schemas.
func TestUnmodifiedConnectorsOfFlytekitReachTheirVendors(t *testing.T) {
	t.Parallel()
	flytekit := harness.StartFlytekitBeforeVendors(t)
	bridge := harness.StartBridgeBefore(t, flytekit, "openai-batch,sensor,sagemaker-endpoint", "--sync-task-types=chatgpt")
	wire := harness.Watch(t, bridge)
	plugin := harness.LoadOn(t, wire)
	// Subtests in parallel end before the cleanups of this test.
	t.Run("connectors", func(t *testing.T) {
		t.Run("openai-batch", func(t *testing.T) { t.Parallel(); batchOfOpenAI(t, plugin, flytekit) })
		t.Run("chatgpt", func(t *testing.T) { t.Parallel(); chatWithOpenAI(t, plugin, flytekit) })
		t.Run("sensor", func(t *testing.T) { t.Parallel(); sensorOfFile(t, plugin, flytekit) })
		t.Run("sagemaker-endpoint", func(t *testing.T) { t.Parallel(); endpointOfSageMaker(t, plugin, flytekit) })
	})
	require.Empty(t, harness.Flyte1.Violations(wire.Calls()))
}

func batchOfOpenAI(t *testing.T, plugin *harness.Plugin, flytekit *harness.Flytekit) {
	task := flytekit.Task(t, "openai-batch")

	task.HandleAndForget(t, plugin)

	require.Equal(t, core.PhaseSuccess, task.UntilItEnds(t, plugin).Phase())
	result := task.Outputs(t).GetLiterals()["result"]
	require.NotNil(t, result)
	calls := flytekit.Calls(t, "file-interop")
	require.Equal(t, []string{"create", "retrieve", "retrieve"}, calls, "a repeated create is one batch")
}

// chatWithOpenAI is a sync task: propeller gets its outputs from the create.
func chatWithOpenAI(t *testing.T, plugin *harness.Plugin, flytekit *harness.Flytekit) {
	task := flytekit.Task(t, "chatgpt")

	require.Equal(t, core.PhaseSuccess, task.UntilItEnds(t, plugin).Phase())
	answer := task.Outputs(t).GetLiterals()["o0"].GetScalar().GetPrimitive().GetStringValue()
	require.Equal(t, "GOOD NIGHT", answer)
	require.Equal(t, []string{"complete"}, flytekit.Calls(t, "good night"))
}

func sensorOfFile(t *testing.T, plugin *harness.Plugin, flytekit *harness.Flytekit) {
	task := flytekit.Task(t, "sensor")
	task.UntilItRuns(t, plugin)

	flytekit.Let(t, "arrived")

	require.Equal(t, core.PhaseSuccess, task.UntilItEnds(t, plugin).Phase())
}

func endpointOfSageMaker(t *testing.T, plugin *harness.Plugin, flytekit *harness.Flytekit) {
	task := flytekit.Task(t, "sagemaker-endpoint")
	task.UntilItRuns(t, plugin)

	flytekit.Let(t, "in-service")

	require.Equal(t, core.PhaseSuccess, task.UntilItEnds(t, plugin).Phase())
	require.NotNil(t, task.Outputs(t).GetLiterals()["result"])
}
