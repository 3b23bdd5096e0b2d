package flyte2

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/flyteorg/flyte/v2/gen/go/flyteidl2/connector"
	"github.com/flyteorg/flyte/v2/gen/go/flyteidl2/core"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// sloppy is a service that breaks the contract as configured.
type sloppy struct {
	connector.UnimplementedAsyncConnectorServiceServer
	connector.UnimplementedConnectorMetadataServiceServer
	taskType string
	version  int32
	handle   int
	resource *core.TaskExecution_Phase
	message  int
	delay    time.Duration
}

func (s sloppy) ListConnectors(context.Context, *connector.ListConnectorsRequest) (*connector.ListConnectorsResponse, error) {
	category := &connector.TaskCategory{Name: s.taskType, Version: s.version}
	served := &connector.Connector{Name: "acme", SupportedTaskCategories: []*connector.TaskCategory{category}}
	return &connector.ListConnectorsResponse{Connectors: []*connector.Connector{served}}, nil
}

func (s sloppy) CreateTask(context.Context, *connector.CreateTaskRequest) (*connector.CreateTaskResponse, error) {
	return &connector.CreateTaskResponse{ResourceMeta: make([]byte, s.handle)}, nil
}

func (s sloppy) GetTask(context.Context, *connector.GetTaskRequest) (*connector.GetTaskResponse, error) {
	time.Sleep(s.delay)
	resource := &connector.Resource{Message: strings.Repeat("x", s.message)}
	if s.resource != nil {
		resource.Phase = *s.resource
	}
	return &connector.GetTaskResponse{Resource: resource}, nil
}

// The checks of every call are useful only if they can fail.
func TestContractBreachIsReported(t *testing.T) {
	t.Parallel()
	running := core.TaskExecution_RUNNING
	breaches := map[string]struct {
		service sloppy
		noticed string
	}{
		"no breach":              {sloppy{taskType: "acme", handle: 1 << 10, resource: &running}, ""},
		"a missing phase":        {sloppy{taskType: "acme", handle: 1}, "GetTask: no phase"},
		"an unoffered version":   {sloppy{taskType: "acme", handle: 1, resource: &running, version: 1}, "CreateTask: serves acme version 0"},
		"a handle over 1 KiB":    {sloppy{taskType: "acme", handle: 1<<10 + 1, resource: &running}, "CreateTask: a handle of 1025 bytes"},
		"no handle":              {sloppy{taskType: "acme", resource: &running}, "CreateTask: a handle of 0 bytes"},
		"an answer over 4 MiB":   {sloppy{taskType: "acme", handle: 1, resource: &running, message: 4 << 20}, "GetTask: an answer of"},
		"an answer that is late": {sloppy{taskType: "acme", handle: 1, resource: &running, delay: 2500 * time.Millisecond}, "GetTask: took"},
	}
	for name, breach := range breaches {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			noticed := strings.Join(callThroughRelay(t, breach.service), "\n")
			if !strings.Contains(noticed, breach.noticed) || (breach.noticed == "") != (noticed == "") {
				t.Fatalf("noticed %q, not %q", noticed, breach.noticed)
			}
		})
	}
}

// callThroughRelay calls s as the plugin does, and returns the breaches that were reported.
func callThroughRelay(t *testing.T, s sloppy) []string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	server := grpc.NewServer()
	connector.RegisterAsyncConnectorServiceServer(server, s)
	connector.RegisterConnectorMetadataServiceServer(server, s)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	hasty := executorLimits
	hasty.time = 2 * time.Second
	r, err := startRelay(hasty)
	must(t, err)
	must(t, r.to(listener.Addr().String()))
	connection, err := grpc.NewClient(r.addresses[0], grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(hugeMessage)))
	must(t, err)
	t.Cleanup(func() { connection.Close() })
	callEach(t, connection)
	return r.violations()
}

func callEach(t *testing.T, connection *grpc.ClientConn) {
	t.Helper()
	ctx := t.Context()
	_, err := connector.NewConnectorMetadataServiceClient(connection).ListConnectors(ctx, &connector.ListConnectorsRequest{})
	must(t, err)
	client := connector.NewAsyncConnectorServiceClient(connection)
	_, err = client.CreateTask(ctx, &connector.CreateTaskRequest{Template: &core.TaskTemplate{Type: "acme"}})
	must(t, err)
	_, err = client.GetTask(ctx, &connector.GetTaskRequest{TaskCategory: &connector.TaskCategory{Name: "acme"}})
	must(t, err)
}
