package flyte2

import (
	"context"
	"testing"
	"time"

	"go.opentelemetry.io/otel/metric/noop"

	"github.com/flyteorg/flyte/v2/executor/pkg/controller"
	pluginscore "github.com/flyteorg/flyte/v2/flyteplugins/go/tasks/pluginmachinery/core"
)

// collectGarbage runs one sweep, as the executor does every half hour.
func (r *run) collectGarbage() {
	r.t.Helper()
	// The collector sweeps once, and ends when its context is cancelled.
	ctx, cancel := context.WithCancel(r.t.Context())
	cancel()
	must(r.t, controller.NewGarbageCollector(r.kube, r.kube, time.Hour, time.Hour, noop.NewMeterProvider()).Start(ctx))
}

// age makes the end of the task two hours old.
func (r *run) age() {
	r.t.Helper()
	action := r.now()
	label := action.Labels[controller.LabelCompletedTime]
	if label == "" {
		r.t.Fatal("the TaskAction has no end time")
	}
	const format = "2006-01-02.15-04"
	ended, err := time.Parse(format, label)
	must(r.t, err)
	action.Labels[controller.LabelCompletedTime] = ended.Add(-2 * time.Hour).Format(format)
	must(r.t, r.kube.Update(r.t.Context(), action))
}

func TestSucceededJobIsDeletedAfterAnHour(t *testing.T) {
	everyVendor(t, func(t *testing.T, v vendor) {
		s := stageOf(t, v, "success")
		r := s.run(t)
		r.ends(pluginscore.PhaseSuccess)
		r.collect()
		s.deletedAtOnce(t, r)
	})
}

func TestJobUnknownToVendorIsDeletedAfterAnHour(t *testing.T) {
	everyVendor(t, func(t *testing.T, v vendor) {
		s := stageOf(t, v, "success")
		r := s.run(t)
		r.created()
		created := time.Now()
		r.ends(pluginscore.PhaseSuccess)
		s.upstream.change(t, startFake(t, v, 1, "success"))
		// Vendors may list a job late: in its first minute, an unknown job is not treated as gone.
		await(t, "a minute", func() bool { return time.Since(created) > 61*time.Second })
		r.collect()
		s.deletedAtOnce(t, r)
	})
}

// collect runs the garbage collector on an ended TaskAction before and after it is old enough.
func (r *run) collect() {
	r.t.Helper()
	r.collectGarbage()
	if !r.now().DeletionTimestamp.IsZero() {
		r.t.Fatal("it was collected immediately")
	}
	r.age()
	r.collectGarbage()
	if r.now().DeletionTimestamp.IsZero() {
		r.t.Fatal("it was not collected")
	}
}

// deletedAtOnce checks that the finalizer's only DeleteTask succeeds.
func (s *stage) deletedAtOnce(t *testing.T, r *run) {
	t.Helper()
	if !r.isGone() {
		t.Errorf("one round was not enough")
	}
	if deletes := s.calls("DeleteTask"); len(deletes) != 1 || deletes[0].err != nil {
		t.Fatalf("%d deletes, the first with %v", len(deletes), deletes[0].err)
	}
}

// The reason why a delete succeeds whatever the state of the job.
func TestFailedDeleteIsRepeatedForever(t *testing.T) {
	t.Parallel()
	const failures = 20
	s := stageOf(t, bigquery(), "stuck")
	r := s.run(t)
	r.created()
	s.fail("DeleteTask", failures)
	r.delete()
	if deletes := s.calls("DeleteTask"); len(deletes) != failures+1 {
		t.Fatalf("%d deletes", len(deletes))
	}
}
