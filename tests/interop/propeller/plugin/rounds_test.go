package plugin_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/proto"

	"github.com/flyteorg/flyte/flyteidl/gen/pb-go/flyteidl/admin"
	"github.com/flyteorg/flyte/flyteplugins/go/tasks/pluginmachinery/webapi"
	"github.com/flyteorg/flyte/flytestdlib/config"

	"outrigger.dev/tests/interop/propeller/harness"
)

const (
	// crowd is how many jobs run at once.
	crowd = 1000
	// resync is how often propeller queues all jobs again.
	resync = 20 * time.Second
	// pause without a poll means that the queue is empty: a busy machine does not stop for so long.
	pause = resync / 5
)

// A call of the vendor takes 100 ms: workers that each waited for one with each poll would never be done before the next sync.
func TestTenWorkersPollAThousandJobsWithinTheSyncInterval(t *testing.T) {
	t.Parallel()
	stage := crowded(t)
	createAll(t, stage)
	awaitPolling(t, stage.wire, func(polls []harness.Call) bool { return len(jobsOf(t, polls)) == crowd })
	stage.upstream.Slow(100 * time.Millisecond)

	second := awaitRound(t, stage.wire, time.Now())

	require.Len(t, jobsOf(t, second.polls), crowd, "no job is polled again before all were")
	require.Less(t, second.ended.Sub(second.started), resync, "all jobs are polled before they are queued again")
	calls := stage.upstream.CallsBetween(second.started, second.ended)
	require.NotZero(t, calls, "what the vendor says is not for ever")
	require.LessOrEqual(t, calls, crowd/20, "the vendor is asked about many jobs at once")
}

// crowded is a vendor whose jobs never end, and the plugin with the settings of docs/flyte-values, but with propeller's default of
// ten workers. Propeller's default limit is ten polls a second: a round over so many jobs would take 90 seconds, whoever answers.
func crowded(t *testing.T) *stage {
	t.Helper()
	upstream := harness.StartUpstream(t, harness.Bigquery, "--ending=stuck")
	service := harness.StartService(t, upstream)
	wire := harness.Watch(t, service.Address())
	cfg := harness.Config(wire.Address())
	cfg.WebAPI.ReadRateLimiter = webapi.RateLimiterConfig{QPS: 200, Burst: 1000}
	cfg.WebAPI.Caching.Workers = 10
	cfg.WebAPI.Caching.ResyncInterval = config.Duration{Duration: resync}
	return &stage{harness.Bigquery, upstream, service, wire, harness.Load(t, cfg, wire)}
}

// createAll creates the jobs, which the plugin then polls by itself.
func createAll(t *testing.T, stage *stage) {
	t.Helper()
	var creates errgroup.Group
	creates.SetLimit(50)
	for range crowd {
		task := stage.task(t)
		creates.Go(func() error {
			_, err := stage.plugin.Handle(context.Background(), task)
			return err
		})
	}
	require.NoError(t, creates.Wait())
	require.Equal(t, crowd, stage.upstream.Jobs())
}

// awaitPolling waits for what the polls so far say, for as long as the plugin polls, but not for ever.
func awaitPolling(t *testing.T, wire *harness.Wire, condition func(polls []harness.Call) bool) {
	t.Helper()
	for polls, holds := 0, false; !holds; {
		require.Less(t, polls, 8*crowd, "the plugin polls and polls")
		before := polls
		harness.Eventually(t, "another poll", func() bool {
			time.Sleep(pause / 10)
			calls := wire.CallsTo("GetTask")
			polls, holds = len(calls), condition(calls)
			return holds || polls > before
		})
	}
}

// round is as many polls as there are jobs, from the first after a sync.
type round struct {
	started, ended time.Time
	polls          []harness.Call
}

// awaitRound waits for the first round that begins after a time, and for the answers of its polls.
func awaitRound(t *testing.T, wire *harness.Wire, after time.Time) (over round) {
	t.Helper()
	awaitPolling(t, wire, func(polls []harness.Call) bool {
		polls = sinceSync(polls, after)
		if len(polls) < crowd {
			return false
		}
		over = roundOf(polls[:crowd])
		return true
	})
	return over
}

// sinceSync are the polls from the first that came after a time and after a pause.
func sinceSync(polls []harness.Call, after time.Time) []harness.Call {
	slices.SortFunc(polls, func(a, b harness.Call) int { return a.Started.Compare(b.Started) })
	answered := time.Time{}
	for at, poll := range polls {
		if poll.Started.After(after) && poll.Started.Sub(answered) >= pause {
			return polls[at:]
		}
		answered = later(answered, poll.Started.Add(poll.Took))
	}
	return nil
}

func roundOf(polls []harness.Call) round {
	ended := time.Time{}
	for _, poll := range polls {
		ended = later(ended, poll.Started.Add(poll.Took))
	}
	return round{polls[0].Started, ended, polls}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// jobsOf are the different jobs that were polled.
func jobsOf(t *testing.T, polls []harness.Call) map[string]bool {
	t.Helper()
	jobs := map[string]bool{}
	for _, poll := range polls {
		request := &admin.GetTaskRequest{}
		require.NoError(t, proto.Unmarshal(poll.Request, request))
		jobs[request.GetOutputPrefix()] = true
	}
	return jobs
}
