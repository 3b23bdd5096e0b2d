package harness

import (
	"bytes"
	"cmp"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Upstream is a fake vendor behind a proxy that records the service's requests.
type Upstream struct {
	vendor  *Vendor
	server  *httptest.Server
	mutex   sync.Mutex
	jobs    map[string]bool
	creates int
	deletes int
	held    chan struct{}
	delay   time.Duration
	calls   []time.Time
}

// StartUpstream starts a vendor's fake; its arguments are those of fake-upstream.
func StartUpstream(t testing.TB, vendor *Vendor, arguments ...string) *Upstream {
	t.Helper()
	arguments = append([]string{vendor.Name}, append(vendor.fakeArguments(t), arguments...)...)
	target, err := url.Parse(start(t, "fake-upstream", nil, arguments...).firstLine(t))
	require.NoError(t, err)
	upstream := &Upstream{vendor: vendor, jobs: map[string]bool{}}
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.ModifyResponse = upstream.observe
	upstream.server = httptest.NewServer(http.HandlerFunc(func(answer http.ResponseWriter, request *http.Request) {
		time.Sleep(upstream.arrived(request))
		proxy.ServeHTTP(answer, request)
	}))
	t.Cleanup(upstream.server.Close)
	t.Cleanup(upstream.Release)
	return upstream
}

// URL is the value of a service's --endpoint.
func (u *Upstream) URL() string { return u.server.URL }

// Jobs returns how many different jobs the vendor created.
func (u *Upstream) Jobs() int {
	u.mutex.Lock()
	defer u.mutex.Unlock()
	return len(u.jobs)
}

// Creates returns the number of create requests.
func (u *Upstream) Creates() int {
	u.mutex.Lock()
	defer u.mutex.Unlock()
	return u.creates
}

// Deletes returns the number of cancel requests.
func (u *Upstream) Deletes() int {
	u.mutex.Lock()
	defer u.mutex.Unlock()
	return u.deletes
}

// Operations are the calls of AWS's operations that the fake has answered, each with its input.
func (u *Upstream) Operations(t testing.TB) (calls [][2]any) {
	t.Helper()
	answer, err := http.Get(u.URL() + "/fake/calls")
	require.NoError(t, err)
	defer func() { _ = answer.Body.Close() }()
	require.NoError(t, json.NewDecoder(answer.Body).Decode(&calls))
	return calls
}

// Slow makes each further call of the vendor's API take this much longer.
func (u *Upstream) Slow(delay time.Duration) {
	u.mutex.Lock()
	defer u.mutex.Unlock()
	u.delay = delay
}

// CallsBetween returns how many calls of the vendor's API came in a period.
func (u *Upstream) CallsBetween(from, to time.Time) (calls int) {
	u.mutex.Lock()
	defer u.mutex.Unlock()
	for _, call := range u.calls {
		if !call.Before(from) && call.Before(to) {
			calls++
		}
	}
	return calls
}

// Hold holds back the answers to creates; the jobs exist nevertheless.
func (u *Upstream) Hold() {
	u.mutex.Lock()
	defer u.mutex.Unlock()
	u.held = make(chan struct{})
}

// Release sends the held answers.
func (u *Upstream) Release() {
	u.mutex.Lock()
	defer u.mutex.Unlock()
	if u.held != nil {
		close(u.held)
		u.held = nil
	}
}

// arrived remembers a call and returns how long it waits. A token is not of the vendor's API.
func (u *Upstream) arrived(request *http.Request) time.Duration {
	if strings.HasPrefix(request.URL.Path, "/computeMetadata/") {
		return 0
	}
	u.mutex.Lock()
	defer u.mutex.Unlock()
	u.calls = append(u.calls, time.Now())
	return u.delay
}

func (u *Upstream) observe(answer *http.Response) error {
	request := answer.Request
	if request.Method == http.MethodDelete || calls(request, cmp.Or(u.vendor.deletePath, "/cancel")) {
		u.count(&u.deletes)
	}
	if !calls(request, u.vendor.createPath) {
		return nil
	}
	u.count(&u.creates)
	if err := u.remember(answer); err != nil {
		return err
	}
	u.mutex.Lock()
	held := u.held
	u.mutex.Unlock()
	if held != nil {
		<-held
	}
	return nil
}

// calls tells whether a request is a POST to a path with this suffix, or for this operation of AWS.
func calls(request *http.Request, operation string) bool {
	called := strings.HasSuffix(request.URL.Path, operation) || request.Header.Get("X-Amz-Target") == operation
	return request.Method == http.MethodPost && called
}

func (u *Upstream) count(what *int) {
	u.mutex.Lock()
	defer u.mutex.Unlock()
	*what++
}

// remember stores the job id in an answer.
func (u *Upstream) remember(answer *http.Response) error {
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	answer.Body = io.NopCloser(bytes.NewReader(body))
	var job any
	// Keep numbers as written: a run's id does not fit into a float.
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	if answer.StatusCode >= 300 || decoder.Decode(&job) != nil {
		return nil
	}
	for _, name := range u.vendor.jobID {
		fields, _ := job.(map[string]any)
		job = fields[name]
	}
	id, _ := json.Marshal(job)
	u.mutex.Lock()
	defer u.mutex.Unlock()
	u.jobs[string(id)] = true
	return nil
}
