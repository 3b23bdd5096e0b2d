package flyte2

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	flyteorgv1 "github.com/flyteorg/flyte/v2/executor/api/v1"
	pluginscore "github.com/flyteorg/flyte/v2/flyteplugins/go/tasks/pluginmachinery/core"
	"github.com/flyteorg/flyte/v2/gen/go/flyteidl2/common"
)

func TestJobSurvivesServiceRestart(t *testing.T) {
	everyVendor(t, func(t *testing.T, v vendor) {
		s := stageOf(t, v, "success")
		r := s.run(t)
		r.created()
		await(t, "a poll", func() bool { return len(s.answered("GetTask")) == 1 })
		stop(s.service.command)
		s.service.start(t, v)
		r.ends(pluginscore.PhaseSuccess)
		s.checkOutputs(t, r, 1)
		s.jobsAre(t, 1)
	})
}

func TestReplicasServeEachOthersJobs(t *testing.T) {
	everyVendor(t, func(t *testing.T, v vendor) {
		s := newStage(t, <-flyte.lanes, v, "stuck")
		first := startService(t, v, s.upstream.url, s.keys)
		second := startService(t, v, s.upstream.url, s.keys)
		must(t, s.to(first.address, second.address))
		s.awaitDiscovery(t)
		r := s.run(t)
		r.created()
		creator := s.answered("CreateTask")[0].replica
		r.until("polls of both", func(*flyteorgv1.TaskAction) bool {
			pollers := map[int]bool{}
			for _, poll := range s.answered("GetTask") {
				pollers[poll.replica] = true
			}
			return pollers[creator] && pollers[1-creator]
		})
		r.until("a running job", is(pluginscore.PhaseRunning))
		r.delete()
		s.reportedOnce(t, r)
		s.jobsAre(t, 1)
		if cancelled := s.upstream.calls(cancels); len(cancelled) != 1 {
			t.Fatalf("cancelled upstream: %v", cancelled)
		}
	})
}

// reportedOnce checks that changes within a phase are not reported.
func (s *stage) reportedOnce(t *testing.T, r *run) {
	t.Helper()
	running := 0
	for _, event := range r.answers() {
		if event.GetPhase() == common.ActionPhase_ACTION_PHASE_RUNNING {
			running++
		}
	}
	if polls := len(s.answered("GetTask")); running != 1 || polls < 2 {
		t.Fatalf("%d polls, and the console received %d events", polls, running)
	}
}

// If the executor cannot record a create, it creates again.
func TestRepeatedSlowCreateStartsOneJob(t *testing.T) {
	everyVendor(t, func(t *testing.T, v vendor) {
		s := newStage(t, <-flyte.hastyLanes, v, "success")
		s.startService(t)
		r := s.run(t)
		r.until("a token", func(action *flyteorgv1.TaskAction) bool { return action.Status.PluginPhase != "" })
		s.upstream.hold()
		r.events.fail(1)
		if err := r.reconcile(); err == nil {
			t.Fatal("the executor stored its failure")
		}
		// The service returns an error shortly before the deadline, or is cut off at it.
		switch failure := s.calls("CreateTask")[0].err; status.Code(failure) {
		case codes.DeadlineExceeded, codes.Canceled:
		default:
			t.Fatalf("the slow create ended with %v", failure)
		}
		s.jobsAre(t, 1)
		s.upstream.release()
		r.ends(pluginscore.PhaseSuccess)
		s.checkPrefixes(t, string(r.prefix(1)), string(r.prefix(1)))
		s.jobsAre(t, 1)
	})
}

// To the executor a retry is another attempt; it does not know the job that the slow create started.
func TestRetriedSlowCreateLeavesOrphanedJob(t *testing.T) {
	t.Parallel()
	s := newStage(t, <-flyte.hastyLanes, bigquery(), "success")
	s.startService(t)
	r := s.run(t, retries(1))
	s.upstream.hold()
	r.until("a second attempt", func(action *flyteorgv1.TaskAction) bool { return action.Status.Attempts == 2 })
	s.upstream.release()
	r.ends(pluginscore.PhaseSuccess)
	s.checkPrefixes(t, string(r.prefix(1)), string(r.prefix(2)))
	s.jobsAre(t, 2)
	if deletes := s.calls("DeleteTask"); len(deletes) != 0 {
		t.Fatalf("%d deletes", len(deletes))
	}
}

// While a service is down, the executor forgets it and its tasks fail at other connectors.
func TestServiceIsRediscoveredAfterOutage(t *testing.T) {
	everyVendor(t, func(t *testing.T, v vendor) {
		s := stageOf(t, v, "success")
		stop(s.service.command)
		s.awaitForgotten(t)
		lost := s.run(t)
		action := lost.ends(pluginscore.PhasePermanentFailure)
		// Types in supportedTaskTypes go to the default connector, which has no address; others go nowhere.
		message := "empty target"
		if v.name == "snowflake" {
			message = "no connector found for task type [snowflake] and version [0]"
		}
		if !strings.Contains(action.Status.ErrorState.Message, message) {
			t.Fatalf("the message is %q", action.Status.ErrorState.Message)
		}
		if creates := s.calls("CreateTask"); len(creates) != 0 {
			t.Fatalf("the service's address received %d creates", len(creates))
		}
		s.service.start(t, v)
		s.awaitDiscovery(t)
		s.run(t).ends(pluginscore.PhaseSuccess)
		s.jobsAre(t, 1)
	})
}

// awaitForgotten waits until the plugin's discovery of the service has failed.
func (s *stage) awaitForgotten(t *testing.T) {
	t.Helper()
	failed := func() int { return len(s.calls("ListConnectors")) - len(s.answered("ListConnectors")) }
	before := failed()
	await(t, "failed discovery", func() bool { return failed() > before+1 })
}

func TestForgottenServiceIsNotPolledUntilRediscovered(t *testing.T) {
	t.Parallel()
	s := stageOf(t, bigquery(), "success")
	r := s.run(t)
	r.created()
	await(t, "a poll", func() bool { return len(s.answered("GetTask")) == 1 })
	stop(s.service.command)
	s.awaitForgotten(t)
	before := len(s.calls("GetTask"))
	time.Sleep(quiet)
	if during := len(s.calls("GetTask")); during != before {
		t.Fatalf("the service's address received %d polls", during-before)
	}
	s.service.start(t, s.vendor)
	r.ends(pluginscore.PhaseSuccess)
	s.jobsAre(t, 1)
}

// The reason why a poll never returns an error for an outage at the vendor.
func TestSixthFailedPollFailsTaskWithoutDelete(t *testing.T) {
	t.Parallel()
	s := stageOf(t, bigquery(), "success")
	s.fail("GetTask", 6)
	action := s.run(t, retries(3)).ends(pluginscore.PhasePermanentFailure)
	if action.Status.ErrorState.Code != "AutoRefreshCacheFailed" || action.Status.Attempts != 1 {
		t.Fatalf("the error is %+v after %d attempts", action.Status.ErrorState, action.Status.Attempts)
	}
	if deletes := s.calls("DeleteTask"); len(deletes) != 0 {
		t.Fatalf("%d deletes", len(deletes))
	}
}

func TestSixFailedPollsAfterSuccessfulPollLeaveTaskRunningForever(t *testing.T) {
	t.Parallel()
	s := stageOf(t, bigquery(), "success")
	r := s.run(t)
	r.created()
	await(t, "a successful poll", func() bool { return len(s.answered("GetTask")) == 1 })
	s.fail("GetTask", 6)
	await(t, "six failed polls", func() bool { return len(s.calls("GetTask")) == 7 })
	time.Sleep(quiet)
	must(t, r.reconcile())
	if polls := len(s.calls("GetTask")); polls != 7 {
		t.Fatalf("it is still polled, %d times in total", polls)
	}
	if phase := r.now().Status.PluginPhase; phase == pluginscore.PhaseSuccess.String() || phase == pluginscore.PhasePermanentFailure.String() {
		t.Fatalf("it ended in %s", phase)
	}
}
