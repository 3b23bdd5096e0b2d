package harness

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	"github.com/flyteorg/flyte/flyteidl/gen/pb-go/flyteidl/admin"
	"github.com/flyteorg/flyte/flyteidl/gen/pb-go/flyteidl/core"
	"github.com/flyteorg/flyte/flyteidl/gen/pb-go/flyteidl/service"
)

// ScriptedType is the only type that a scripted connector lists.
const ScriptedType = "scripted"

// Scripted is a connector with configurable answers, including answers that our services never return.
type Scripted struct {
	service.UnimplementedAsyncAgentServiceServer
	service.UnimplementedSyncAgentServiceServer
	service.UnimplementedAgentMetadataServiceServer

	// Type, Version, IsSync and NoCategory determine what it lists.
	Type       string
	Version    int32
	IsSync     bool
	NoCategory bool
	// Handle is the answer to a create, Resource the answer to a get, after Delay.
	Handle   []byte
	Resource *admin.Resource
	Delay    time.Duration

	mutex    sync.Mutex
	failures []error
	deletes  int
}

// NewScripted creates a connector whose jobs run forever.
func NewScripted() *Scripted {
	return &Scripted{
		Type:     ScriptedType,
		Handle:   []byte("job"),
		Resource: &admin.Resource{Phase: core.TaskExecution_RUNNING},
	}
}

// Serve serves it on its own address and returns the address.
func (c *Scripted) Serve(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := grpc.NewServer()
	service.RegisterAsyncAgentServiceServer(server, c)
	service.RegisterSyncAgentServiceServer(server, c)
	service.RegisterAgentMetadataServiceServer(server, c)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return listener.Addr().String()
}

// FailNext makes the next gets fail.
func (c *Scripted) FailNext(failures ...error) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.failures = append(c.failures, failures...)
}

// SetResource changes the answer to gets.
func (c *Scripted) SetResource(resource *admin.Resource) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.Resource = resource
}

// Deletes returns the number of deletes received.
func (c *Scripted) Deletes() int {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return c.deletes
}

func (c *Scripted) ListAgents(context.Context, *admin.ListAgentsRequest) (*admin.ListAgentsResponse, error) {
	agent := &admin.Agent{Name: "scripted", IsSync: c.IsSync, SupportedTaskTypes: []string{c.Type}}
	if !c.NoCategory {
		agent.SupportedTaskCategories = []*admin.TaskCategory{{Name: c.Type, Version: c.Version}}
	}
	return &admin.ListAgentsResponse{Agents: []*admin.Agent{agent}}, nil
}

func (c *Scripted) CreateTask(context.Context, *admin.CreateTaskRequest) (*admin.CreateTaskResponse, error) {
	return &admin.CreateTaskResponse{ResourceMeta: c.Handle}, nil
}

func (c *Scripted) GetTask(ctx context.Context, _ *admin.GetTaskRequest) (*admin.GetTaskResponse, error) {
	select {
	case <-time.After(c.Delay):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if len(c.failures) > 0 {
		failure := c.failures[0]
		c.failures = c.failures[1:]
		return nil, failure
	}
	return &admin.GetTaskResponse{Resource: c.Resource}, nil
}

func (c *Scripted) DeleteTask(context.Context, *admin.DeleteTaskRequest) (*admin.DeleteTaskResponse, error) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.deletes++
	return &admin.DeleteTaskResponse{}, nil
}

func (c *Scripted) ExecuteTaskSync(stream service.SyncAgentService_ExecuteTaskSyncServer) error {
	header := &admin.ExecuteTaskSyncResponseHeader{Resource: c.Resource}
	return stream.Send(&admin.ExecuteTaskSyncResponse{Res: &admin.ExecuteTaskSyncResponse_Header{Header: header}})
}
