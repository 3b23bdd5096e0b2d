package flyte2

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// upstream is a proxy between a service and the fake vendor: it records the service's calls, can hold
// back answers to creates, and can switch to another fake.
type upstream struct {
	url  string
	mu   sync.Mutex
	fake *url.URL
	seen []vendorCall
	held chan struct{}
}

// vendorCall is one call of a service to its vendor.
type vendorCall struct {
	verb          verb
	authorization string
	status        int
}

// verb is the operation of a call to a vendor.
type verb string

const (
	creates verb = "create"
	cancels verb = "cancel"
)

func startUpstream(t *testing.T, v vendor, fake string) *upstream {
	t.Helper()
	u := &upstream{}
	u.change(t, fake)
	proxy := &httputil.ReverseProxy{
		Rewrite: func(request *httputil.ProxyRequest) {
			request.SetURL(u.current())
			// Links in answers contain the host that was called.
			request.Out.Host = request.In.Host
		},
		ModifyResponse: func(answer *http.Response) error {
			u.record(v, answer)
			return nil
		},
		// Calls are cut off on purpose.
		ErrorLog: log.New(io.Discard, "", 0),
	}
	server := httptest.NewServer(proxy)
	t.Cleanup(func() {
		u.release()
		server.CloseClientConnections()
		server.Close()
	})
	u.url = server.URL
	return u
}

// change switches to another fake vendor, which does not know the previous one's jobs.
func (u *upstream) change(t *testing.T, fake string) {
	t.Helper()
	parsed, err := url.Parse(fake)
	must(t, err)
	u.mu.Lock()
	defer u.mu.Unlock()
	u.fake = parsed
}

func (u *upstream) current() *url.URL {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.fake
}

// hold holds back the answers to creates: the vendor has the job, but the service gets no answer.
func (u *upstream) hold() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.held = make(chan struct{})
}

func (u *upstream) release() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.held != nil {
		close(u.held)
		u.held = nil
	}
}

func (u *upstream) record(v vendor, answer *http.Response) {
	request := answer.Request
	call := vendorCall{v.verb(request), request.Header.Get("authorization"), answer.StatusCode}
	u.mu.Lock()
	u.seen = append(u.seen, call)
	held := u.held
	u.mu.Unlock()
	if call.verb == creates && held != nil {
		select {
		case <-held:
		case <-request.Context().Done():
		}
	}
}

// calls are the service's calls of one kind so far.
func (u *upstream) calls(of verb) []vendorCall {
	u.mu.Lock()
	defer u.mu.Unlock()
	var calls []vendorCall
	for _, call := range u.seen {
		if call.verb == of {
			calls = append(calls, call)
		}
	}
	return calls
}

// jobs is how many jobs the vendor has.
func (u *upstream) jobs(t *testing.T, v vendor) string {
	t.Helper()
	answer, err := http.Get(u.current().String() + v.count)
	must(t, err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	must(t, err)
	return strings.TrimSpace(string(body))
}
