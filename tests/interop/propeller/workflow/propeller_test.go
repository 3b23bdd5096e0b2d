// Package workflow_test runs a whole propeller without Kubernetes: its compiler, its executors of workflows, nodes and tasks,
// its retries, aborts and events. Its custom resource is stored as the same JSON.
package workflow_test

import (
	"context"
	"encoding/json"
	"sync"
	"testing"
	"time"

	"github.com/golang/protobuf/proto" //nolint:staticcheck // the type of propeller's event sink
	"github.com/stretchr/testify/require"
	k8sfake "k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/record"

	"github.com/flyteorg/flyte/flyteidl/gen/pb-go/flyteidl/event"
	"github.com/flyteorg/flyte/flyteplugins/go/tasks/plugins/webapi/connector"
	eventmocks "github.com/flyteorg/flyte/flytepropeller/events/mocks"
	"github.com/flyteorg/flyte/flytepropeller/pkg/apis/flyteworkflow/v1alpha1"
	"github.com/flyteorg/flyte/flytepropeller/pkg/controller/config"
	"github.com/flyteorg/flyte/flytepropeller/pkg/controller/executors"
	executormocks "github.com/flyteorg/flyte/flytepropeller/pkg/controller/executors/mocks"
	"github.com/flyteorg/flyte/flytepropeller/pkg/controller/nodes"
	"github.com/flyteorg/flyte/flytepropeller/pkg/controller/nodes/catalog"
	"github.com/flyteorg/flyte/flytepropeller/pkg/controller/nodes/factory"
	gatemocks "github.com/flyteorg/flyte/flytepropeller/pkg/controller/nodes/gate/mocks"
	"github.com/flyteorg/flyte/flytepropeller/pkg/controller/nodes/interfaces"
	recoverymocks "github.com/flyteorg/flyte/flytepropeller/pkg/controller/nodes/recovery/mocks"
	"github.com/flyteorg/flyte/flytepropeller/pkg/controller/nodes/subworkflow/launchplan"
	taskconfig "github.com/flyteorg/flyte/flytepropeller/pkg/controller/nodes/task/config"
	"github.com/flyteorg/flyte/flytepropeller/pkg/controller/workflow"
	"github.com/flyteorg/flyte/flytepropeller/pkg/controller/workflowstore"
	"github.com/flyteorg/flyte/flytestdlib/promutils"
	"github.com/flyteorg/flyte/flytestdlib/storage"
)

// propeller exists once per process, because it registers its plugins once.
type propeller struct {
	executor executors.Workflow
	store    *storage.DataStore
	mutex    sync.Mutex
	events   []*event.TaskExecutionEvent
}

// launch starts propeller with connectors.
func launch(t *testing.T, cfg *connector.Config) *propeller {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	t.Cleanup(stop)
	require.NoError(t, connector.SetConfig(cfg))
	// As documented: pods by default, and connectors.
	taskconfig.GetConfig().TaskPlugins.EnabledPlugins = []string{"container", connector.ID}
	p := &propeller{}
	store, err := storage.NewDataStore(&storage.Config{Type: storage.TypeMemory}, promutils.NewTestScope())
	require.NoError(t, err)
	p.store = store
	nodeExecutor := p.nodes(t)
	stats, err := workflowstore.NewExecutionStatsHolder()
	require.NoError(t, err)
	p.executor, err = workflow.NewExecutor(ctx, store, func(string) {}, p.sink(), record.NewFakeRecorder(1000), "", nodeExecutor,
		eventConfig, "cluster", promutils.NewTestScope(), stats)
	require.NoError(t, err)
	require.NoError(t, p.executor.Initialize(ctx))
	return p
}

var eventConfig = &config.EventConfig{RawOutputPolicy: config.RawOutputPolicyReference}

func (p *propeller) nodes(t *testing.T) interfaces.Node {
	t.Helper()
	ctx := context.Background()
	catalogClient, err := catalog.NewCatalogClient(ctx, nil)
	require.NoError(t, err)
	kube, launcher := executormocks.NewFakeKubeClient(), launchplan.NewFailFastLaunchPlanExecutor()
	recovery, signals, offloading := &recoverymocks.Client{}, &gatemocks.SignalServiceClient{}, config.LiteralOffloadingConfig{}
	handlers, err := factory.NewHandlerFactory(ctx, launcher, launcher, kube, k8sfake.NewClientset(), catalogClient, recovery,
		eventConfig, offloading, "cluster", signals, promutils.NewTestScope())
	require.NoError(t, err)
	executor, err := nodes.NewExecutor(ctx, config.GetConfig().NodeConfig, p.store, func(string) {}, p.sink(), launcher, launcher,
		"s3://my-bucket/raw", kube, catalogClient, recovery, offloading, eventConfig, "cluster", signals, handlers, promutils.NewTestScope())
	require.NoError(t, err)
	return executor
}

// sink receives the events that flyteadmin would receive.
func (p *propeller) sink() *eventmocks.MockEventSink {
	sink := eventmocks.NewMockEventSink()
	sink.SinkCb = func(_ context.Context, message proto.Message) error {
		if taskEvent, isTask := message.(*event.TaskExecutionEvent); isTask {
			p.mutex.Lock()
			defer p.mutex.Unlock()
			p.events = append(p.events, taskEvent)
		}
		return nil
	}
	return sink
}

// taskEvents are the events of one execution's tasks, oldest first.
func (p *propeller) taskEvents(w *v1alpha1.FlyteWorkflow) (events []*event.TaskExecutionEvent) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	for _, taskEvent := range p.events {
		if taskEvent.GetParentNodeExecutionId().GetExecutionId().GetName() == w.ExecutionID.GetName() {
			events = append(events, taskEvent)
		}
	}
	return events
}

// look evaluates a workflow once, and stores it as Kubernetes would.
func (p *propeller) look(t *testing.T, w *v1alpha1.FlyteWorkflow) *v1alpha1.FlyteWorkflow {
	t.Helper()
	require.NoError(t, p.executor.HandleFlyteWorkflow(context.Background(), w))
	return kept(t, w)
}

func kept(t *testing.T, w *v1alpha1.FlyteWorkflow) *v1alpha1.FlyteWorkflow {
	t.Helper()
	resource, err := json.Marshal(w)
	require.NoError(t, err)
	read := &v1alpha1.FlyteWorkflow{}
	require.NoError(t, json.Unmarshal(resource, read))
	return read
}

// until evaluates a workflow until the condition holds.
func (p *propeller) until(t *testing.T, w *v1alpha1.FlyteWorkflow, condition func(*v1alpha1.FlyteWorkflow) bool) *v1alpha1.FlyteWorkflow {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !condition(w) {
		require.True(t, time.Now().Before(deadline), "the workflow is still %s", w.Status.Phase)
		require.False(t, w.Status.IsTerminated(), "ended as %s: %v", w.Status.Phase, w.Status.Error)
		w = p.look(t, w)
		time.Sleep(50 * time.Millisecond)
	}
	return w
}

func (p *propeller) untilItEnds(t *testing.T, w *v1alpha1.FlyteWorkflow) *v1alpha1.FlyteWorkflow {
	t.Helper()
	return p.until(t, w, func(w *v1alpha1.FlyteWorkflow) bool { return w.Status.IsTerminated() })
}
