package harness

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/flyteorg/flyte/flyteidl/gen/pb-go/flyteidl/admin"
	idl "github.com/flyteorg/flyte/flyteidl/gen/pb-go/flyteidl/core"
	"github.com/flyteorg/flyte/flyteplugins/go/tasks/pluginmachinery/core"
	"github.com/flyteorg/flyte/flyteplugins/go/tasks/pluginmachinery/io"
	"github.com/flyteorg/flyte/flyteplugins/go/tasks/pluginmachinery/ioutils"
	"github.com/flyteorg/flyte/flytestdlib/promutils"
	"github.com/flyteorg/flyte/flytestdlib/storage"
)

// Golden is a request made with one of Flyte's SDKs, as propeller sends it.
func Golden(t testing.TB, name string) *admin.CreateTaskRequest {
	t.Helper()
	bytes, err := os.ReadFile(filepath.Join(Root(), "tests", "golden", "v1", name+".pb"))
	require.NoError(t, err)
	request := &admin.CreateTaskRequest{}
	require.NoError(t, proto.Unmarshal(bytes, request))
	return request
}

// Task is one attempt of a task, as propeller keeps it between two evaluations. Methods that are not implemented are not used by the plugin.
type Task struct {
	core.TaskExecutionContext
	State    State
	request  *admin.CreateTaskRequest
	metadata metadata
	store    *storage.DataStore
	inputs   io.InputReader
	outputs  ioutils.RemoteFileOutputWriter
	paths    io.OutputFilePaths
}

var executions atomic.Int64

// memory stores the inputs and outputs of all tasks: each has paths of its own, and a store registers metrics.
var memory = sync.OnceValues(func() (*storage.DataStore, error) {
	return storage.NewDataStore(&storage.Config{Type: storage.TypeMemory}, promutils.NewTestScope())
})

// NewTask creates the first attempt of a task in a new execution.
func NewTask(t testing.TB, request *admin.CreateTaskRequest) *Task {
	t.Helper()
	ctx := context.Background()
	store, err := memory()
	require.NoError(t, err)
	execution := fmt.Sprintf("f%d", executions.Add(1))
	request = proto.Clone(request).(*admin.CreateTaskRequest)
	request.GetTaskExecutionMetadata().GetTaskExecutionId().GetNodeExecutionId().GetExecutionId().Name = execution
	node := storage.DataReference("s3://my-bucket/metadata/propeller/flytesnacks-development-" + execution + "/n0/data")
	inputs := ioutils.NewInputFilePaths(ctx, store, node)
	require.NoError(t, store.WriteProtobuf(ctx, inputs.GetInputPath(), storage.Options{}, request.GetInputs()))
	raw := ioutils.NewRawOutputPaths(ctx, "s3://my-bucket/raw/"+storage.DataReference(execution))
	paths := ioutils.NewCheckpointRemoteFilePaths(ctx, store, node+"/0", raw, "")
	return &Task{
		request:  request,
		metadata: metadata{request: request.GetTaskExecutionMetadata(), name: execution + "-n0-0"},
		store:    store,
		inputs:   ioutils.NewRemoteFileInputReader(ctx, store, inputs),
		outputs:  ioutils.NewRemoteFileOutputWriter(ctx, store, paths),
		paths:    paths,
	}
}

// Handle calls the plugin once and saves its state.
func (task *Task) Handle(t testing.TB, plugin core.Plugin) core.PhaseInfo {
	t.Helper()
	info := task.HandleAndForget(t, plugin)
	task.State.save()
	return info
}

// HandleAndForget calls the plugin once and loses its state, as if the update of the workflow's object had failed.
func (task *Task) HandleAndForget(t testing.TB, plugin core.Plugin) core.PhaseInfo {
	t.Helper()
	transition, err := plugin.Handle(context.Background(), task)
	require.NoError(t, err)
	return transition.Info()
}

// Until calls the plugin until the condition holds, for at most the time of six polls.
func (task *Task) Until(t testing.TB, plugin core.Plugin, condition func(core.PhaseInfo) bool) core.PhaseInfo {
	t.Helper()
	deadline := time.Now().Add(12 * Resync)
	for {
		info := task.Handle(t, plugin)
		if condition(info) {
			return info
		}
		require.False(t, info.Phase().IsTerminal(), "ended as %s: %v", info.Phase(), info.Err())
		require.True(t, time.Now().Before(deadline), "is still %s", info.Phase())
		time.Sleep(50 * time.Millisecond)
	}
}

// UntilItEnds calls the plugin until the task has succeeded or failed.
func (task *Task) UntilItEnds(t testing.TB, plugin core.Plugin) core.PhaseInfo {
	t.Helper()
	return task.Until(t, plugin, func(info core.PhaseInfo) bool { return info.Phase().IsTerminal() })
}

// UntilItRuns calls the plugin until a poll has found the job running.
func (task *Task) UntilItRuns(t testing.TB, plugin core.Plugin) core.PhaseInfo {
	t.Helper()
	return task.Until(t, plugin, func(info core.PhaseInfo) bool { return info.Phase() == core.PhaseRunning })
}

// Outputs are the outputs that the plugin wrote for the next task.
func (task *Task) Outputs(t testing.TB) *idl.LiteralMap {
	t.Helper()
	outputs := &idl.LiteralMap{}
	require.NoError(t, task.store.ReadProtobuf(context.Background(), task.paths.GetOutputPath(), outputs))
	return outputs
}

// WriteOutputs writes the outputs file of a job.
func (task *Task) WriteOutputs(t testing.TB, outputs *idl.LiteralMap) {
	t.Helper()
	require.NoError(t, task.store.WriteProtobuf(context.Background(), task.paths.GetOutputPath(), storage.Options{}, outputs))
}

// OutputPrefix is unique for this attempt.
func (task *Task) OutputPrefix() string { return task.paths.GetOutputPrefixPath().String() }

// Template is the template of the registered task.
func (task *Task) Template() *idl.TaskTemplate { return task.request.GetTemplate() }

func (task *Task) TaskReader() core.TaskReader                       { return reader{task.request.GetTemplate()} }
func (task *Task) InputReader() io.InputReader                       { return task.inputs }
func (task *Task) OutputWriter() io.OutputWriter                     { return task.outputs }
func (task *Task) DataStore() *storage.DataStore                     { return task.store }
func (task *Task) TaskExecutionMetadata() core.TaskExecutionMetadata { return task.metadata }
func (task *Task) PluginStateReader() core.PluginStateReader         { return &task.State }
func (task *Task) PluginStateWriter() core.PluginStateWriter         { return &task.State }

type reader struct{ template *idl.TaskTemplate }

func (r reader) Read(context.Context) (*idl.TaskTemplate, error) { return r.template, nil }
func (r reader) Path(context.Context) (storage.DataReference, error) {
	return "s3://my-bucket/task.pb", nil
}
