package harness

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/flyteorg/flyte/flyteidl/gen/pb-go/flyteidl/admin"
	"github.com/flyteorg/flyte/flyteidl/gen/pb-go/flyteidl/core"
	"github.com/flyteorg/flyte/flyteidl/gen/pb-go/flyteidl/service"
)

// Connector serves one task type on a Unix socket, with grpc-go. Its jobs end after a number of polls.
type Connector struct {
	service.UnimplementedAsyncAgentServiceServer
	service.UnimplementedAgentMetadataServiceServer

	// TaskType is what it serves, in version 0.
	TaskType string
	// Polls is how many polls find a job running; Outputs are those of its end.
	Polls   int
	Outputs *core.LiteralMap
	// Raises makes each poll fail as an exception in Python does.
	Raises bool

	mutex            sync.Mutex
	creates, deletes []string
	polls            int
}

// Start serves it, and returns the path of its socket.
func (c *Connector) Start(t testing.TB) (socket string) {
	t.Helper()
	// A socket's path has 107 bytes at most, and t.TempDir names the test.
	directory, err := os.MkdirTemp("", "c")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(directory) })
	socket = filepath.Join(directory, "c.sock")
	listener, err := net.Listen("unix", socket)
	require.NoError(t, err)
	server := grpc.NewServer()
	service.RegisterAsyncAgentServiceServer(server, c)
	service.RegisterAgentMetadataServiceServer(server, c)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return socket
}

// Creates are the output prefixes of the creates.
func (c *Connector) Creates() []string { return c.read(&c.creates) }

// Deletes are the handles of the deletes.
func (c *Connector) Deletes() []string { return c.read(&c.deletes) }

func (c *Connector) read(list *[]string) []string {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return append([]string{}, *list...)
}

func (c *Connector) note(list *[]string, what string) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	*list = append(*list, what)
}

// CreateTask starts a job whose handle is its output prefix.
func (c *Connector) CreateTask(_ context.Context, request *admin.CreateTaskRequest) (*admin.CreateTaskResponse, error) {
	c.note(&c.creates, request.GetOutputPrefix())
	return &admin.CreateTaskResponse{ResourceMeta: []byte(request.GetOutputPrefix())}, nil
}

// GetTask finds the job running, then succeeded.
func (c *Connector) GetTask(context.Context, *admin.GetTaskRequest) (*admin.GetTaskResponse, error) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.polls++
	if c.Raises && c.polls > 1 {
		return nil, status.Error(codes.Internal, "failed to get task with error:\nTraceback (most recent call last):\nKeyError: 'state'")
	}
	if c.polls <= c.Polls {
		return &admin.GetTaskResponse{Resource: &admin.Resource{Phase: core.TaskExecution_RUNNING, Message: "running"}}, nil
	}
	resource := &admin.Resource{Phase: core.TaskExecution_SUCCEEDED, Message: "done", Outputs: c.Outputs}
	return &admin.GetTaskResponse{Resource: resource}, nil
}

// DeleteTask notes the handle.
func (c *Connector) DeleteTask(_ context.Context, request *admin.DeleteTaskRequest) (*admin.DeleteTaskResponse, error) {
	c.note(&c.deletes, string(request.GetResourceMeta()))
	return &admin.DeleteTaskResponse{}, nil
}

// ListAgents lists the task type.
func (c *Connector) ListAgents(context.Context, *admin.ListAgentsRequest) (*admin.ListAgentsResponse, error) {
	categories := []*admin.TaskCategory{{Name: c.TaskType}}
	return &admin.ListAgentsResponse{Agents: []*admin.Agent{{Name: "connector", SupportedTaskCategories: categories}}}, nil
}

// StartBridge starts a bridge before the connector, and returns the address of its API port.
func StartBridge(t testing.TB, connector *Connector) (address string) {
	t.Helper()
	return startBridge(t, connector.Start(t), connector.TaskType, "--insecure-no-auth")
}

// StartBridgeBefore starts a bridge before a process of flytekit's connectors.
func StartBridgeBefore(t testing.TB, flytekit *Flytekit, taskTypes string, more ...string) (address string) {
	t.Helper()
	return startBridge(t, flytekit.path("f.sock"), taskTypes, append(more, "--insecure-no-auth")...)
}

func startBridge(t testing.TB, socket, taskTypes string, more ...string) (address string) {
	t.Helper()
	address, admin := FreeAddress(t), FreeAddress(t)
	arguments := append(more, "--upstream=unix:"+socket, "--task-types="+taskTypes, "--handle-keys="+Keys(t),
		"--listen="+address, "--admin-listen="+admin, "--drain-delay=0s")
	start(t, "bridge", nil, arguments...)
	awaitReady(t, admin)
	return address
}
