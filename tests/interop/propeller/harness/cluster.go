package harness

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/fake"
	k8stesting "k8s.io/client-go/testing"

	grpcresolver "google.golang.org/grpc/resolver"

	"github.com/flyteorg/flyte/flytestdlib/resolver"
)

// cluster contains the Services of all tests. Propeller's own resolver queries it instead of Kubernetes.
var cluster = struct {
	mutex    sync.Mutex
	services map[string]*v1.Endpoints
}{services: map[string]*v1.Endpoints{}}

func init() {
	client := fake.NewClientset()
	client.PrependWatchReactor("endpoints", func(action k8stesting.Action) (bool, watch.Interface, error) {
		selector := action.(k8stesting.WatchAction).GetWatchRestrictions().Fields.String()
		cluster.mutex.Lock()
		defer cluster.mutex.Unlock()
		events := watch.NewFakeWithChanSize(1, false)
		if endpoints := cluster.services[strings.TrimPrefix(selector, "metadata.name=")]; endpoints != nil {
			events.Add(runtime.Object(endpoints))
		}
		return true, events, nil
	})
	grpcresolver.Register(resolver.NewBuilder(context.Background(), client, resolver.Schema))
}

// WireReplicas creates a wire to each replica of a service; the endpoint is the name of a Service with all of them.
func WireReplicas(t testing.TB, name string, replicas ...*Service) (endpoint string, wires []*Wire) {
	t.Helper()
	_, port, err := net.SplitHostPort(FreeAddress(t))
	require.NoError(t, err)
	var addresses []v1.EndpointAddress
	for i, replica := range replicas {
		// The pods of a Service have one port and many addresses.
		ip := fmt.Sprintf("127.0.0.%d", i+1)
		addresses = append(addresses, v1.EndpointAddress{IP: ip})
		wires = append(wires, newWire(t, net.JoinHostPort(ip, port), replica.Address()))
	}
	cluster.mutex.Lock()
	defer cluster.mutex.Unlock()
	cluster.services[name] = &v1.Endpoints{Subsets: []v1.EndpointSubset{{Addresses: addresses}}}
	return fmt.Sprintf("k8s:///%s.flyte:%s", name, port), wires
}
