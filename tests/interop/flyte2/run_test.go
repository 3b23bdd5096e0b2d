package flyte2

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"go.opentelemetry.io/otel/metric/noop"
	"google.golang.org/protobuf/proto"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	flyteorgv1 "github.com/flyteorg/flyte/v2/executor/api/v1"
	"github.com/flyteorg/flyte/v2/executor/pkg/controller"
	"github.com/flyteorg/flyte/v2/executor/pkg/plugin"
	pluginscore "github.com/flyteorg/flyte/v2/flyteplugins/go/tasks/pluginmachinery/core"
	"github.com/flyteorg/flyte/v2/flytestdlib/promutils"
	"github.com/flyteorg/flyte/v2/flytestdlib/storage"
	"github.com/flyteorg/flyte/v2/gen/go/flyteidl2/connector"
	"github.com/flyteorg/flyte/v2/gen/go/flyteidl2/core"
	"github.com/flyteorg/flyte/v2/gen/go/flyteidl2/workflow"
)

// run is one TaskAction and its reconciler.
type run struct {
	t          *testing.T
	lane       *lane
	key        client.ObjectKey
	kube       client.Client
	store      *storage.DataStore
	events     *recorder
	secrets    *secretManager
	reconciler *controller.TaskActionReconciler
}

// request is the golden request that an SDK's task is taken from.
func request(t *testing.T, golden string) *connector.CreateTaskRequest {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root, "tests", "golden", "v2", golden+".pb"))
	must(t, err)
	request := &connector.CreateTaskRequest{}
	must(t, proto.Unmarshal(content, request))
	return request
}

// retries sets how often a failed task may be retried.
func retries(number uint32) func(*core.TaskTemplate) {
	return func(template *core.TaskTemplate) {
		template.Metadata.Retries = &core.RetryStrategy{Retries: number}
	}
}

// newRun creates a golden request's task in l's project.
func newRun(t *testing.T, l *lane, golden string, edits ...func(*core.TaskTemplate)) *run {
	t.Helper()
	request := request(t, golden)
	template := request.GetTemplate()
	template.Id.Project, template.Id.Domain = l.project, domain
	template.Metadata.Retries = nil
	for _, edit := range edits {
		edit(template)
	}
	store, err := storage.NewDataStore(&storage.Config{Type: storage.TypeMemory}, promutils.NewTestScope())
	must(t, err)
	r := &run{t: t, lane: l, store: store, events: &recorder{}, secrets: &secretManager{values: secrets()}}
	r.putInputs(request)
	action := r.action(template)
	r.key = client.ObjectKeyFromObject(action)
	r.kube = fake.NewClientBuilder().WithScheme(flyte.scheme).WithStatusSubresource(action).WithObjects(action).Build()
	r.reconciler = controller.NewTaskActionReconciler(r.kube, flyte.scheme, flyte.registry, store, r.events,
		"interop", noop.NewMeterProvider(), nil)
	r.reconciler.Recorder = events.NewFakeRecorder(1000)
	r.reconciler.ResourceManager = plugin.NewNoopResourceManager()
	r.reconciler.SecretManager = r.secrets
	r.reconciler.RequeueDuration = 50 * time.Millisecond
	return r
}

func (r *run) putInputs(request *connector.CreateTaskRequest) {
	inputs := &core.LiteralMap{Literals: map[string]*core.Literal{}}
	for _, literal := range request.GetInputs().GetLiterals() {
		inputs.Literals[literal.GetName()] = literal.GetValue()
	}
	must(r.t, r.store.WriteProtobuf(r.t.Context(), r.inputs(), storage.Options{}, inputs))
}

func (r *run) inputs() storage.DataReference {
	return storage.DataReference("mem://bucket/" + r.lane.project + "/inputs.pb")
}

func (r *run) action(template *core.TaskTemplate) *flyteorgv1.TaskAction {
	content, err := proto.Marshal(template)
	must(r.t, err)
	return &flyteorgv1.TaskAction{
		// The plugin's cache is keyed by this name.
		ObjectMeta: metav1.ObjectMeta{Name: "run-" + r.lane.project, Namespace: "flyte"},
		Spec: flyteorgv1.TaskActionSpec{
			RunName: "run", Project: r.lane.project, Domain: domain, ActionName: "action",
			TaskType: template.GetType(), TaskTemplate: content, InputURI: string(r.inputs()),
			RunOutputBase: "mem://bucket/" + r.lane.project + "/run/",
		},
	}
}

// reconcile runs one iteration of the controller's queue.
func (r *run) reconcile() error {
	_, err := r.reconciler.Reconcile(r.t.Context(), ctrl.Request{NamespacedName: r.key})
	return err
}

// now is the stored TaskAction.
func (r *run) now() *flyteorgv1.TaskAction {
	r.t.Helper()
	action := &flyteorgv1.TaskAction{}
	must(r.t, r.kube.Get(r.t.Context(), r.key, action))
	return action
}

// until reconciles until the TaskAction meets the condition.
func (r *run) until(what string, isSo func(*flyteorgv1.TaskAction) bool) *flyteorgv1.TaskAction {
	r.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		must(r.t, r.reconcile())
		action := r.now()
		if isSo(action) {
			return action
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("timed out waiting for %s; the status is %+v", what, action.Status)
		}
		time.Sleep(r.reconciler.RequeueDuration)
	}
}

// is returns a condition: whether a phase was reached.
func is(phase pluginscore.Phase) func(*flyteorgv1.TaskAction) bool {
	return func(action *flyteorgv1.TaskAction) bool { return action.Status.PluginPhase == phase.String() }
}

// ends reconciles until the TaskAction has ended, which must be in phase.
func (r *run) ends(phase pluginscore.Phase) *flyteorgv1.TaskAction {
	r.t.Helper()
	return r.until("the end in "+phase.String(), func(action *flyteorgv1.TaskAction) bool {
		if is(pluginscore.PhaseSuccess)(action) || is(pluginscore.PhasePermanentFailure)(action) {
			if !is(phase)(action) {
				r.t.Fatalf("ended in %s: %+v", action.Status.PluginPhase, action.Status.ErrorState)
			}
			return true
		}
		return false
	})
}

// created reconciles until the service has a job.
func (r *run) created() {
	r.t.Helper()
	r.until("a create", func(*flyteorgv1.TaskAction) bool { return len(r.lane.answered("CreateTask")) > 0 })
}

// prefix is where the outputs of an attempt go.
func (r *run) prefix(attempt uint32) storage.DataReference {
	spec := r.now().Spec
	prefix, err := plugin.ComputeActionOutputPath(r.t.Context(), r.key.Namespace, r.key.Name, spec.RunOutputBase, spec.ActionName, attempt)
	must(r.t, err)
	return prefix
}

// outputs are what the next action would read.
func (r *run) outputs(attempt uint32) *core.LiteralMap {
	r.t.Helper()
	outputs := &core.LiteralMap{}
	must(r.t, r.store.ReadProtobuf(r.t.Context(), r.prefix(attempt)+"/outputs.pb", outputs))
	return outputs
}

// recorder takes the events that the console would show.
type recorder struct {
	mu      sync.Mutex
	seen    []*workflow.ActionEvent
	failing int
}

func (r *recorder) Record(_ context.Context, request *connect.Request[workflow.RecordRequest]) (*connect.Response[workflow.RecordResponse], error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failing > 0 {
		r.failing--
		return nil, connect.NewError(connect.CodeUnavailable, errors.New("events are rejected"))
	}
	r.seen = append(r.seen, request.Msg.GetEvents()...)
	return connect.NewResponse(&workflow.RecordResponse{}), nil
}

// fail rejects the next events: the executor then stores no status either.
func (r *recorder) fail(events int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failing = events
}

// events are those recorded so far.
func (r *recorder) events() []*workflow.ActionEvent {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]*workflow.ActionEvent(nil), r.seen...)
}
