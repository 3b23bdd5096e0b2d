package harness

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/flyteorg/flyte/flyteidl/gen/pb-go/flyteidl/admin"
	"github.com/flyteorg/flyte/flyteidl/gen/pb-go/flyteidl/core"
	"github.com/flyteorg/flyte/flyteidl/gen/pb-go/flyteidl/service"
)

// Breaches must be reported; otherwise the checks would prove nothing.
func TestEveryContractBreachIsReported(t *testing.T) {
	contract := Contract{Latest: time.Second, LargestAnswer: 1 << 20, LargestHandle: 1 << 10}
	for name, breach := range map[string]struct {
		breaks func(*Scripted)
		seen   string
	}{
		"a missing phase":         {func(c *Scripted) { c.Resource = &admin.Resource{} }, "GetTask: no phase"},
		"a missing resource":      {func(c *Scripted) { c.Resource = nil }, "GetTask: no phase"},
		"an unadvertised version": {func(c *Scripted) { c.Version = 1 }, "CreateTask: serves scripted in version 0, which it does not advertise"},
		"a handle that is large":  {func(c *Scripted) { c.Handle = make([]byte, 1025) }, "CreateTask: a handle of 1025 bytes"},
		"a missing handle":        {func(c *Scripted) { c.Handle = nil }, "CreateTask: no handle"},
		"an answer that is large": {func(c *Scripted) { c.Resource.Message = strings.Repeat("x", 1<<20) }, "GetTask: an answer of 10485"},
		"an answer that is late":  {func(c *Scripted) { c.Delay = 1100 * time.Millisecond }, "GetTask: answered after 1.1"},
		"an unlisted category":    {func(c *Scripted) { c.NoCategory = true }, "ListAgents: scripted has no category"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			connector := NewScripted()
			breach.breaks(connector)

			violations := contract.Violations(talk(t, connector))

			require.Contains(t, strings.Join(violations, "\n"), breach.seen)
		})
	}
}

func TestCorrectConnectorHasNoBreaches(t *testing.T) {
	t.Parallel()
	require.Empty(t, Flyte1.Violations(talk(t, NewScripted())))
}

func TestCancelledCallIsCheckedByDuration(t *testing.T) {
	t.Parallel()
	connector := NewScripted()
	connector.Delay = time.Minute
	wire := NewWire(t, connector.Serve(t))
	client := service.NewAsyncAgentServiceClient(dial(t, wire))
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()

	_, err := client.GetTask(ctx, &admin.GetTaskRequest{})

	require.Error(t, err)
	Eventually(t, "the call ended", func() bool { return len(wire.Calls()) == 1 })
	violations := Contract{Latest: 50 * time.Millisecond, LargestAnswer: 1, LargestHandle: 1}.Violations(wire.Calls())
	require.Len(t, violations, 1)
	require.Contains(t, violations[0], "GetTask: answered after ")
}

func dial(t *testing.T, wire *Wire) *grpc.ClientConn {
	t.Helper()
	connection, err := grpc.NewClient(wire.Address(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() { connection.Close() })
	return connection
}

// talk lists a connector's types, creates a job and gets its status.
func talk(t *testing.T, connector *Scripted) []Call {
	t.Helper()
	wire := NewWire(t, connector.Serve(t))
	connection := dial(t, wire)
	ctx := context.Background()
	_, err := service.NewAgentMetadataServiceClient(connection).ListAgents(ctx, &admin.ListAgentsRequest{})
	require.NoError(t, err)
	client := service.NewAsyncAgentServiceClient(connection)
	created, err := client.CreateTask(ctx, &admin.CreateTaskRequest{Template: &core.TaskTemplate{Type: ScriptedType}})
	require.NoError(t, err)
	request := &admin.GetTaskRequest{TaskCategory: &admin.TaskCategory{Name: ScriptedType}, ResourceMeta: created.GetResourceMeta()}
	if connector.Version != 0 {
		request.TaskCategory.Version = connector.Version
	}
	_, err = client.GetTask(ctx, request)
	require.NoError(t, err)
	Eventually(t, "all calls were read", func() bool { return len(wire.Calls()) == 3 })
	return wire.Calls()
}
