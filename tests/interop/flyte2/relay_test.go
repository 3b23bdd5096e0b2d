package flyte2

import (
	"context"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// relay is a proxy between the plugin and the replicas of a service. It forwards bytes, records every
// call, and checks the contract.
type relay struct {
	// addresses are what the plugin resolves: one per replica.
	addresses []string
	limits    limits
	mu        sync.Mutex
	replicas  []*grpc.ClientConn
	seen      []rpc
	offered   categories
	broken    []string
	// failing is how many calls of a method will still be answered with an error.
	failing map[string]int
}

// rpc is one call of the plugin.
type rpc struct {
	method          string
	replica         int
	headers         metadata.MD
	request, answer []byte
	err             error
	took            time.Duration
	// allowed is the deadline that the plugin set.
	allowed time.Duration
	// abandoned: the deadline passed before there was an answer.
	abandoned bool
}

const replicas = 2

func startRelay(l limits) (*relay, error) {
	r := &relay{limits: l, replicas: make([]*grpc.ClientConn, replicas), failing: map[string]int{}}
	for replica := range replicas {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		r.addresses = append(r.addresses, listener.Addr().String())
		server := grpc.NewServer(grpc.ForceServerCodecV2(bytesCodec{}),
			grpc.UnknownServiceHandler(r.pass(replica)), grpc.MaxRecvMsgSize(hugeMessage))
		go func() { _ = server.Serve(listener) }()
	}
	return r, nil
}

const hugeMessage = 64 << 20

// to sets the addresses of the replicas, which are used in turn; without any, the service is down.
func (r *relay) to(addresses ...string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for replica, old := range r.replicas {
		if old != nil {
			_ = old.Close()
		}
		r.replicas[replica] = nil
		if len(addresses) == 0 {
			continue
		}
		address := addresses[replica%len(addresses)]
		connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			return err
		}
		r.replicas[replica] = connection
	}
	return nil
}

func (r *relay) pass(replica int) grpc.StreamHandler {
	return func(_ any, stream grpc.ServerStream) error {
		method, _ := grpc.MethodFromServerStream(stream)
		headers, _ := metadata.FromIncomingContext(stream.Context())
		call := rpc{method: method[strings.LastIndex(method, "/")+1:], replica: replica, headers: headers}
		if err := stream.RecvMsg(&call.request); err != nil {
			return err
		}
		started := time.Now()
		if deadline, ok := stream.Context().Deadline(); ok {
			call.allowed = time.Until(deadline)
		}
		call.answer, call.err = r.forward(stream.Context(), replica, method, call)
		call.took, call.abandoned = time.Since(started), stream.Context().Err() != nil
		r.record(call)
		if call.err != nil {
			return call.err
		}
		return stream.SendMsg(&call.answer)
	}
}

func (r *relay) forward(ctx context.Context, replica int, method string, call rpc) ([]byte, error) {
	r.mu.Lock()
	connection := r.replicas[replica]
	fails := r.failing[call.method] > 0
	if fails {
		r.failing[call.method]--
	}
	r.mu.Unlock()
	if connection == nil || fails {
		return nil, status.Error(codes.Unavailable, "the relay has no service")
	}
	ctx = metadata.NewOutgoingContext(ctx, passedOn(call.headers))
	var answer []byte
	err := connection.Invoke(ctx, method, &call.request, &answer,
		grpc.ForceCodecV2(bytesCodec{}), grpc.MaxCallRecvMsgSize(hugeMessage))
	return answer, err
}

// passedOn are the headers that gRPC does not set itself.
func passedOn(headers metadata.MD) metadata.MD {
	kept := metadata.MD{}
	for name, values := range headers {
		if !strings.HasPrefix(name, ":") && !strings.HasPrefix(name, "grpc-") &&
			!slices.Contains([]string{"content-type", "user-agent", "te"}, name) {
			kept[name] = values
		}
	}
	return kept
}

func (r *relay) record(call rpc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen = append(r.seen, call)
	r.broken = append(r.broken, r.judge(call)...)
}

// calls are the plugin's calls of a method so far.
func (r *relay) calls(method string) []rpc {
	r.mu.Lock()
	defer r.mu.Unlock()
	var calls []rpc
	for _, call := range r.seen {
		if call.method == method {
			calls = append(calls, call)
		}
	}
	return calls
}

// answered are the calls that the service answered without an error.
func (r *relay) answered(method string) []rpc {
	return slices.DeleteFunc(r.calls(method), func(call rpc) bool { return call.err != nil })
}

// fail makes the next calls of a method return an error.
func (r *relay) fail(method string, calls int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failing[method] = calls
}

// violations are the breaches of the contract so far.
func (r *relay) violations() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.broken)
}

// bytesCodec leaves messages as they are.
type bytesCodec struct{}

func (bytesCodec) Marshal(message any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(*message.(*[]byte))}, nil
}

func (bytesCodec) Unmarshal(data mem.BufferSlice, message any) error {
	*message.(*[]byte) = data.Materialize()
	return nil
}

func (bytesCodec) Name() string { return "proto" }
