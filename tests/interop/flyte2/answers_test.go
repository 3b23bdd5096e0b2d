package flyte2

import (
	"net"
	"strings"
	"testing"

	"google.golang.org/grpc"

	flyteorgv1 "github.com/flyteorg/flyte/v2/executor/api/v1"
	"github.com/flyteorg/flyte/v2/executor/pkg/controller"
	pluginscore "github.com/flyteorg/flyte/v2/flyteplugins/go/tasks/pluginmachinery/core"
	"github.com/flyteorg/flyte/v2/gen/go/flyteidl2/connector"
	"github.com/flyteorg/flyte/v2/gen/go/flyteidl2/core"
	"github.com/flyteorg/flyte/v2/gen/go/flyteidl2/workflow"
)

// The executor's handling of answers, including answers that our services never return.

// serve serves s and returns the address.
func (s sloppy) serve(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	server := grpc.NewServer()
	connector.RegisterAsyncConnectorServiceServer(server, s)
	connector.RegisterConnectorMetadataServiceServer(server, s)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return listener.Addr().String()
}

// answering runs a task whose polls return phase and the message "xxxxxxxx".
func answering(t *testing.T, phase core.TaskExecution_Phase) *run {
	t.Helper()
	s := &stage{lane: <-flyte.lanes, vendor: bigquery()}
	service := sloppy{taskType: s.vendor.taskType, handle: 1, resource: &phase, message: 8}
	must(t, s.to(service.serve(t)))
	t.Cleanup(func() { _ = s.to() })
	s.awaitDiscovery(t)
	return s.run(t, retries(3))
}

// Why every answer has a phase.
func TestAnswersWithoutPhaseFailTaskEventually(t *testing.T) {
	t.Parallel()
	action := answering(t, core.TaskExecution_UNDEFINED).ends(pluginscore.PhasePermanentFailure)
	failure := action.Status.ErrorState
	if failure.Code != controller.MaxSystemFailuresExceededCode || failure.Kind != "SYSTEM" || action.Status.SystemFailures != 4 {
		t.Fatalf("the error is %+v after %d failures", failure, action.Status.SystemFailures)
	}
}

func TestAbortedJobFailsWithoutMessage(t *testing.T) {
	t.Parallel()
	action := answering(t, core.TaskExecution_ABORTED).ends(pluginscore.PhasePermanentFailure)
	if message := action.Status.ErrorState.Message; message != "failed to run the job with aborted phase." {
		t.Fatalf("the message is %q", message)
	}
}

func TestPhasesThatShowMessage(t *testing.T) {
	t.Parallel()
	shown := map[core.TaskExecution_Phase]struct {
		as      pluginscore.Phase
		message bool
	}{
		core.TaskExecution_QUEUED:                {pluginscore.PhaseQueued, true},
		core.TaskExecution_WAITING_FOR_RESOURCES: {pluginscore.PhaseWaitingForResources, true},
		core.TaskExecution_INITIALIZING:          {pluginscore.PhaseInitializing, true},
		core.TaskExecution_RUNNING:               {pluginscore.PhaseRunning, false},
	}
	for phase, wanted := range shown {
		t.Run(phase.String(), func(t *testing.T) {
			t.Parallel()
			r := answering(t, phase)
			r.until("the answer's phase", func(action *flyteorgv1.TaskAction) bool {
				return is(wanted.as)(action) && len(r.answers()) > 0
			})
			event := r.answers()[0]
			if hasMessage := strings.Contains(event.String(), "xxxxxxxx"); hasMessage != wanted.message {
				t.Fatalf("the console received %s", event)
			}
		})
	}
}

// answers are the events caused by a service's answers, not by the executor itself.
func (r *run) answers() []*workflow.ActionEvent {
	var answers []*workflow.ActionEvent
	for _, event := range r.events.events() {
		if event.GetLogContext().GetConnector() != nil {
			answers = append(answers, event)
		}
	}
	return answers
}
