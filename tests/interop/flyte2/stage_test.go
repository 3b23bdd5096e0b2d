package flyte2

import (
	"context"
	"crypto/rand"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/flyteorg/flyte/v2/gen/go/flyteidl2/core"
)

// stage is a service with a fake vendor, and its lane.
type stage struct {
	*lane
	vendor   vendor
	upstream *upstream
	service  *service
	keys     string
}

// stageOf sets up a service whose vendor ends jobs in this way, after one poll that finds them running.
func stageOf(t *testing.T, v vendor, ending string) *stage {
	t.Helper()
	s := newStage(t, <-flyte.lanes, v, ending)
	s.startService(t)
	return s
}

// newStage creates a stage without a service.
func newStage(t *testing.T, l *lane, v vendor, ending string) *stage {
	t.Helper()
	s := &stage{lane: l, vendor: v}
	s.upstream = startUpstream(t, v, startFake(t, v, 1, ending))
	key := make([]byte, 32)
	_, err := rand.Read(key)
	must(t, err)
	s.keys = writeFile(t, filepath.Join(files(t), "handle.key"), key)
	t.Cleanup(func() { s.close(t) })
	return s
}

func (s *stage) startService(t *testing.T) {
	t.Helper()
	s.service = startService(t, s.vendor, s.upstream.url, s.keys)
	must(t, s.to(s.service.address))
	s.awaitDiscovery(t)
}

// awaitDiscovery waits until the plugin knows the service's task types: it queries one connector
// after the other, and applies the result at the end of a round.
func (s *stage) awaitDiscovery(t *testing.T) {
	t.Helper()
	before := len(s.answered("ListConnectors"))
	await(t, "discovery", func() bool { return len(s.answered("ListConnectors")) > before+1 })
}

// close checks that the service met the contract in every call of the test.
func (s *stage) close(t *testing.T) {
	for _, broken := range s.violations() {
		t.Errorf("the service broke the contract: %s", broken)
	}
	_ = s.to()
}

// run starts the vendor's golden task.
func (s *stage) run(t *testing.T, edits ...func(*core.TaskTemplate)) *run {
	t.Helper()
	r := newRun(t, s.lane, s.vendor.golden, edits...)
	if s.vendor.writesOutputs {
		r.writeOutputs(1)
		r.writeOutputs(2)
	}
	return r
}

// jobsAre checks how many jobs the vendor has.
func (s *stage) jobsAre(t *testing.T, wanted int) {
	t.Helper()
	if jobs := s.upstream.jobs(t, s.vendor); jobs != fmt.Sprint(wanted) {
		t.Fatalf("%s jobs upstream, not %d", jobs, wanted)
	}
}

// secretManager resolves names like Flyte's managed one, and records the requested names.
type secretManager struct {
	values map[string]string
	mu     sync.Mutex
	asked  []string
}

func (s *secretManager) Get(_ context.Context, id string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, id)
	for name, value := range s.values {
		if strings.HasSuffix(id, name) {
			return value, nil
		}
	}
	return "", fmt.Errorf("there is no secret %s among %v", id, sorted(s.values))
}

// quiet is the time of two polls.
const quiet = 11 * time.Second
