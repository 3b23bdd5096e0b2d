package plugin_test

import (
	"context"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	idl "github.com/flyteorg/flyte/flyteidl/gen/pb-go/flyteidl/core"
	"github.com/flyteorg/flyte/flyteplugins/go/tasks/pluginmachinery/core"

	"outrigger.dev/tests/interop/propeller/harness"
)

// behindBridge loads propeller's plugin with a bridge before the connector.
func behindBridge(t *testing.T, connector *harness.Connector) (*harness.Plugin, *harness.Wire, *harness.Task) {
	t.Helper()
	connector.TaskType = harness.Bigquery.TaskType
	wire := harness.Watch(t, harness.StartBridge(t, connector))
	return harness.LoadOn(t, wire), wire, harness.NewTask(t, harness.Golden(t, harness.Bigquery.Golden))
}

func TestTaskOfConnectorBehindBridgeSucceedsWithItsOutputs(t *testing.T) {
	t.Parallel()
	connector := &harness.Connector{Polls: 1, Outputs: number("results")}
	plugin, wire, task := behindBridge(t, connector)

	require.Equal(t, core.PhaseSuccess, task.UntilItEnds(t, plugin).Phase())

	require.True(t, proto.Equal(number("results"), task.Outputs(t)))
	require.Equal(t, []string{task.OutputPrefix()}, connector.Creates())
	require.Empty(t, harness.Flyte1.Violations(wire.Calls()))
}

func TestLostStateOfConnectorBehindBridgeStartsNoSecondJob(t *testing.T) {
	t.Parallel()
	connector := &harness.Connector{Polls: 1, Outputs: number("results")}
	plugin, _, task := behindBridge(t, connector)

	task.HandleAndForget(t, plugin)

	require.Equal(t, core.PhaseSuccess, task.UntilItEnds(t, plugin).Phase())
	require.Len(t, connector.Creates(), 1)
}

func TestAbortReachesConnectorBehindBridge(t *testing.T) {
	t.Parallel()
	connector := &harness.Connector{Polls: 1 << 30}
	plugin, _, task := behindBridge(t, connector)
	task.Handle(t, plugin)

	require.NoError(t, plugin.Abort(context.Background(), task))

	harness.Eventually(t, "the job is deleted", func() bool { return len(connector.Deletes()) == 1 })
	require.Equal(t, connector.Creates(), connector.Deletes())
}

func TestExceptionsOfConnectorBehindBridgeAreNoFailedPolls(t *testing.T) {
	t.Parallel()
	connector := &harness.Connector{Polls: 1, Raises: true}
	plugin, wire, task := behindBridge(t, connector)
	task.UntilItRuns(t, plugin)

	wire.Await(t, "GetTask", 3)

	require.Equal(t, core.PhaseRunning, task.Handle(t, plugin).Phase())
	require.Empty(t, harness.Flyte1.Violations(wire.Calls()))
}

// sleeping is a task of the unmodified connector in tests/interop/connectors/sleeping.py.
func sleeping(t *testing.T, polls int) *harness.Task {
	t.Helper()
	golden := harness.Golden(t, harness.Bigquery.Golden)
	golden.GetTemplate().Type = "sleeping"
	custom, err := structpb.NewStruct(map[string]any{"job": "1", "polls": polls})
	require.NoError(t, err)
	golden.GetTemplate().Custom = custom
	text := &idl.Primitive{Value: &idl.Primitive_StringValue{StringValue: "good night"}}
	golden.Inputs.Literals = map[string]*idl.Literal{
		"text": {Value: &idl.Literal_Scalar{Scalar: &idl.Scalar{Value: &idl.Scalar_Primitive{Primitive: text}}}},
	}
	return harness.NewTask(t, golden)
}

// behindFlytekit loads propeller's plugin with a bridge before a process of flytekit.
func behindFlytekit(t *testing.T) (*harness.Plugin, *harness.Flytekit) {
	t.Helper()
	flytekit := harness.StartFlytekit(t, "sleeping")
	return harness.LoadOn(t, harness.Watch(t, harness.StartBridgeBefore(t, flytekit, "sleeping"))), flytekit
}

func TestTaskOfUnmodifiedConnectorOfFlytekitSucceedsWithItsOutputs(t *testing.T) {
	t.Parallel()
	plugin, flytekit := behindFlytekit(t)
	task := sleeping(t, 1)

	task.HandleAndForget(t, plugin)

	require.Equal(t, core.PhaseSuccess, task.UntilItEnds(t, plugin).Phase())
	outputs := task.Outputs(t).GetLiterals()
	require.Equal(t, "GOOD NIGHT", outputs["text"].GetScalar().GetPrimitive().GetStringValue())
	require.Equal(t, []string{"create", "get", "get"}, flytekit.Calls(t, "1"), "a repeated create is one job")
}

func TestAbortReachesUnmodifiedConnectorOfFlytekit(t *testing.T) {
	t.Parallel()
	plugin, flytekit := behindFlytekit(t)
	task := sleeping(t, 1<<20)
	task.Handle(t, plugin)

	require.NoError(t, plugin.Abort(context.Background(), task))

	harness.Eventually(t, "the job is deleted", func() bool { return slices.Contains(flytekit.Calls(t, "1"), "delete") })
}
