package flyte2

import (
	"context"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	flyteorgv1 "github.com/flyteorg/flyte/v2/executor/api/v1"
	pluginscore "github.com/flyteorg/flyte/v2/flyteplugins/go/tasks/pluginmachinery/core"
	"github.com/flyteorg/flyte/v2/flytestdlib/storage"
	"github.com/flyteorg/flyte/v2/gen/go/flyteidl2/connector"
	"github.com/flyteorg/flyte/v2/gen/go/flyteidl2/core"
	"google.golang.org/protobuf/proto"
)

// writeOutputs writes the outputs like the code that runs at the vendor.
func (r *run) writeOutputs(attempt uint32) {
	r.t.Helper()
	text := &core.Primitive{Value: &core.Primitive_StringValue{StringValue: "of the run"}}
	literal := &core.Literal{Value: &core.Literal_Scalar{Scalar: &core.Scalar{Value: &core.Scalar_Primitive{Primitive: text}}}}
	outputs := &core.LiteralMap{Literals: map[string]*core.Literal{"o0": literal}}
	must(r.t, r.store.WriteProtobuf(r.t.Context(), r.prefix(attempt)+"/outputs.pb", storage.Options{}, outputs))
}

// checkOutputs checks the outputs that the next action would read.
func (s *stage) checkOutputs(t *testing.T, r *run, attempt uint32) {
	t.Helper()
	outputs := r.outputs(attempt).GetLiterals()
	if s.vendor.writesOutputs {
		if text := outputs["o0"].GetScalar().GetPrimitive().GetStringValue(); text != "of the run" {
			t.Fatalf("the outputs of the run are %v", outputs)
		}
		return
	}
	table := outputs["results"].GetScalar().GetStructuredDataset().GetUri()
	if !strings.HasPrefix(table, map[string]string{"bigquery": "bq://", "snowflake": "snowflake://"}[s.vendor.name]) {
		t.Fatalf("the outputs are %v", outputs)
	}
}

func TestTaskSucceedsAndOutputsAreRead(t *testing.T) {
	everyVendor(t, func(t *testing.T, v vendor) {
		s := stageOf(t, v, "success")
		r := s.run(t)
		r.ends(pluginscore.PhaseSuccess)
		s.checkOutputs(t, r, 1)
		s.jobsAre(t, 1)
		s.checkLinks(t, r)
		s.checkHeaders(t)
		for _, method := range []string{"CreateTask", "GetTask"} {
			if calls, answered := len(s.calls(method)), len(s.answered(method)); calls != answered {
				t.Fatalf("%d of %d calls of %s were answered", answered, calls, method)
			}
		}
	})
}

// checkLinks checks that the console gets a link with the first answer, and the service's endpoint.
func (s *stage) checkLinks(t *testing.T, r *run) {
	t.Helper()
	answers := r.answers()
	if len(answers) == 0 {
		t.Fatal("the console received nothing")
	}
	for _, event := range answers {
		if len(event.GetLogInfo()) == 0 {
			t.Fatalf("no link with %s", event.GetPhase())
		}
		if endpoint := event.GetLogContext().GetConnector().GetEndpoint(); endpoint != s.project+":///service" {
			t.Fatalf("the endpoint is %s", endpoint)
		}
	}
}

// checkHeaders checks that calls contain no credentials.
func (s *stage) checkHeaders(t *testing.T) {
	t.Helper()
	for _, method := range []string{"CreateTask", "GetTask", "ListConnectors"} {
		headers := s.calls(method)[0].headers
		if names := strings.Join(sorted(headers), " "); names != ":authority content-type grpc-accept-encoding user-agent" {
			t.Fatalf("%s has the headers %s", method, names)
		}
		if agent := headers.Get("user-agent")[0]; !strings.HasPrefix(agent, "grpc-go/") {
			t.Fatalf("%s has the user agent %s", method, agent)
		}
	}
}

func TestFailureCarriesVendorMessage(t *testing.T) {
	everyVendor(t, func(t *testing.T, v vendor) {
		s := stageOf(t, v, v.rejected)
		r := s.run(t, retries(3))
		action := r.ends(pluginscore.PhasePermanentFailure)
		failure := action.Status.ErrorState
		if !strings.HasPrefix(failure.Message, "failed to run the job: ") || !strings.Contains(failure.Message, v.rejected) {
			t.Fatalf("the message is %q", failure.Message)
		}
		if failure.Kind != "USER" || action.Status.Attempts != 1 {
			t.Fatalf("a permanent failure was retried: %+v", action.Status)
		}
		events := r.events.events()
		if message := events[len(events)-1].GetErrorInfo().GetMessage(); message != failure.Message {
			t.Fatalf("the console received %q", message)
		}
	})
}

func TestRetryableFailureStartsAnotherJob(t *testing.T) {
	everyVendor(t, func(t *testing.T, v vendor) {
		s := stageOf(t, v, v.transient)
		r := s.run(t, retries(1))
		r.until("a second attempt", func(action *flyteorgv1.TaskAction) bool { return action.Status.Attempts == 2 })
		if deletes := s.answered("DeleteTask"); len(deletes) != 1 {
			t.Fatalf("the failed attempt was deleted %d times", len(deletes))
		}
		s.upstream.change(t, startFake(t, v, 1, "success"))
		r.ends(pluginscore.PhaseSuccess)
		s.checkOutputs(t, r, 2)
		s.checkPrefixes(t, string(r.prefix(1)), string(r.prefix(2)))
		s.jobsAre(t, 1)
	})
}

// checkPrefixes checks that each attempt has its own output prefix.
func (s *stage) checkPrefixes(t *testing.T, wanted ...string) {
	t.Helper()
	var seen []string
	for _, call := range s.calls("CreateTask") {
		var request connector.CreateTaskRequest
		must(t, proto.Unmarshal(call.request, &request))
		seen = append(seen, request.GetOutputPrefix())
	}
	if strings.Join(seen, " ") != strings.Join(wanted, " ") {
		t.Fatalf("created %v, not %v", seen, wanted)
	}
}

func TestAbortedTaskIsCancelledUpstream(t *testing.T) {
	everyVendor(t, func(t *testing.T, v vendor) {
		s := stageOf(t, v, "stuck")
		r := s.run(t)
		r.until("a running job", is(pluginscore.PhaseRunning))
		r.delete()
		if cancelled := s.upstream.calls(cancels); len(cancelled) != 1 || cancelled[0].status != 200 {
			t.Fatalf("cancelled upstream: %v", cancelled)
		}
		events := r.events.events()
		if phase := events[len(events)-1].GetPhase().String(); phase != "ACTION_PHASE_ABORTED" {
			t.Fatalf("the console received %s", phase)
		}
	})
}

// delete deletes the TaskAction and reconciles until it is gone.
func (r *run) delete() {
	r.t.Helper()
	must(r.t, r.kube.Delete(r.t.Context(), r.now()))
	await(r.t, "the TaskAction is gone", r.isGone)
}

// isGone reconciles once more and returns whether the TaskAction is gone.
func (r *run) isGone() bool {
	must(r.t, r.reconcile())
	err := r.kube.Get(context.Background(), r.key, &flyteorgv1.TaskAction{})
	return apierrors.IsNotFound(err)
}
