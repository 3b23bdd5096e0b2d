package harness

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Wire is a transparent proxy between propeller and a service: it copies bytes and records the calls.
type Wire struct {
	listener net.Listener
	target   string
	mutex    sync.Mutex
	calls    []Call
	refused  int
	open     []net.Conn
}

// Call is a gRPC call that ended.
type Call struct {
	// Method is for example /flyteidl.service.AsyncAgentService/CreateTask.
	Method string
	// Header is the request's metadata.
	Header map[string]string
	// Request and Answer are the encoded messages.
	Request, Answer []byte
	// Status is the gRPC code; empty if the client closed the call first.
	Status string
	// Started is when the first byte of the request passed, Took the time from then to the last byte of the answer.
	Started time.Time
	Took    time.Duration
}

// NewWire creates a wire to the address of a service. It listens immediately, whether the service does or not.
func NewWire(t testing.TB, target string) *Wire {
	t.Helper()
	return newWire(t, "127.0.0.1:0", target)
}

func newWire(t testing.TB, at, target string) *Wire {
	t.Helper()
	listener, err := net.Listen("tcp", at)
	require.NoError(t, err)
	wire := &Wire{listener: listener, target: target}
	go wire.accept()
	t.Cleanup(wire.cut)
	return wire
}

// Watch creates a wire to a service and fails the test if the service breaks the contract.
func Watch(t testing.TB, target string) *Wire {
	t.Helper()
	wire := NewWire(t, target)
	t.Cleanup(func() {
		require.NotEmpty(t, wire.Calls(), "no call passed through the wire, so nothing was checked")
		for _, violation := range Flyte1.Violations(wire.Calls()) {
			t.Error(violation)
		}
	})
	return wire
}

// Address is the endpoint in propeller's configuration.
func (w *Wire) Address() string { return w.listener.Addr().String() }

// Calls are all calls that have ended so far.
func (w *Wire) Calls() []Call {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	return append([]Call(nil), w.calls...)
}

// CallsTo are the calls of one method, for example GetTask.
func (w *Wire) CallsTo(method string) []Call {
	var calls []Call
	for _, call := range w.Calls() {
		if call.name() == method {
			calls = append(calls, call)
		}
	}
	return calls
}

// Await waits until this many calls of a method have ended. The recorder may be slightly behind.
func (w *Wire) Await(t testing.TB, method string, calls int) []Call {
	t.Helper()
	Eventually(t, method+" was called", func() bool { return len(w.CallsTo(method)) >= calls })
	return w.CallsTo(method)
}

// Refused returns how many connections were refused by the service's address.
func (w *Wire) Refused() int {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	return w.refused
}

func (w *Wire) ended(call Call) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.calls = append(w.calls, call)
}

func (w *Wire) cut() {
	w.listener.Close()
	w.mutex.Lock()
	defer w.mutex.Unlock()
	for _, connection := range w.open {
		connection.Close()
	}
}

func (w *Wire) accept() {
	for {
		client, err := w.listener.Accept()
		if err != nil {
			return
		}
		go w.join(client)
	}
}

func (w *Wire) join(client net.Conn) {
	service, err := net.Dial("tcp", w.target)
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if err != nil {
		w.refused++
		client.Close()
		return
	}
	w.open = append(w.open, client, service)
	conversation := newConversation(w.ended)
	go copyAndRead(service, client, conversation.readRequests)
	go copyAndRead(client, service, conversation.readAnswers)
}

// copyAndRead forwards bytes after passing them to read.
func copyAndRead(to, from net.Conn, read func(io.Reader)) {
	reader, writer := io.Pipe()
	go func() {
		read(reader)
		// Unreadable bytes are not recorded, but still forwarded.
		_, _ = io.Copy(io.Discard, reader)
	}()
	_, _ = io.Copy(to, io.TeeReader(from, writer))
	writer.Close()
	to.Close()
	from.Close()
}
