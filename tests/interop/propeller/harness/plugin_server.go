package harness

import (
	"encoding/json"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// PluginServer is a plugin in another language: it answers the bridge in plain JSON, on a Unix socket. A job is found by its key, runs
// for one poll and then has succeeded with the input as its output.
type PluginServer struct {
	TaskType string

	mutex sync.Mutex
	jobs  map[string]any
	polls map[string]int
}

// Start serves it, and returns the path of its socket.
func (s *PluginServer) Start(t testing.TB) (socket string) {
	t.Helper()
	s.jobs, s.polls = map[string]any{}, map[string]int{}
	// A socket's path has 107 bytes at most, and t.TempDir names the test.
	directory, err := os.MkdirTemp("", "p")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(directory) })
	socket = filepath.Join(directory, "p.sock")
	listener, err := net.Listen("unix", socket)
	require.NoError(t, err)
	path := "/plugins/v1/" + s.TaskType + "/0"
	routes := http.NewServeMux()
	routes.HandleFunc("GET /plugins/v1", s.list)
	routes.HandleFunc("PUT "+path, s.create)
	routes.HandleFunc("GET "+path, s.poll)
	routes.HandleFunc("DELETE "+path, s.remove)
	server := &http.Server{Handler: routes}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	return socket
}

// Jobs is how many jobs there are.
func (s *PluginServer) Jobs() int {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return len(s.jobs)
}

func (s *PluginServer) list(answer http.ResponseWriter, _ *http.Request) {
	plugin := map[string]any{"task_type": s.TaskType, "version": 0, "sync": false}
	respond(answer, map[string]any{"plugins": []any{plugin}})
}

func (s *PluginServer) create(answer http.ResponseWriter, request *http.Request) {
	var task struct {
		Inputs map[string]any `json:"inputs"`
	}
	if err := json.NewDecoder(request.Body).Decode(&task); err != nil {
		http.Error(answer, err.Error(), http.StatusBadRequest)
		return
	}
	key := request.Header.Get("Idempotency-Key")
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if _, found := s.jobs[key]; !found {
		s.jobs[key] = task.Inputs
	}
	respond(answer, map[string]any{"job_id": key})
}

func (s *PluginServer) poll(answer http.ResponseWriter, request *http.Request) {
	job := jobOf(request)
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.polls[job]++
	switch inputs, found := s.jobs[job]; {
	case !found:
		answer.WriteHeader(http.StatusNotFound)
	case s.polls[job] == 1:
		respond(answer, map[string]any{"phase": "RUNNING", "message": "shouting"})
	default:
		respond(answer, map[string]any{"phase": "SUCCEEDED", "outputs": inputs})
	}
}

func (s *PluginServer) remove(answer http.ResponseWriter, request *http.Request) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	delete(s.jobs, jobOf(request))
	respond(answer, map[string]any{})
}

func jobOf(request *http.Request) (job string) {
	_ = json.Unmarshal([]byte(request.URL.Query().Get("job_id")), &job)
	return job
}

func respond(answer http.ResponseWriter, body any) {
	answer.Header().Set("content-type", "application/json")
	_ = json.NewEncoder(answer).Encode(body)
}

// StartBridgeWithTokens starts a bridge before the plugin that accepts only callers with a token, and returns the address of its API port.
func StartBridgeWithTokens(t testing.TB, plugin *PluginServer, auth string) (address string) {
	t.Helper()
	return startBridge(t, plugin.Start(t), plugin.TaskType, auth)
}
