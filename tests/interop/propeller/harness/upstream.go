package harness

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// Upstream is a fake vendor, behind a proxy that remembers what the service asked of it.
type Upstream struct {
	vendor  *Vendor
	server  *httptest.Server
	mutex   sync.Mutex
	jobs    map[string]bool
	creates int
	deletes int
	held    chan struct{}
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
	upstream.server = httptest.NewServer(proxy)
	t.Cleanup(upstream.server.Close)
	t.Cleanup(upstream.Release)
	return upstream
}

// URL is what a service takes as --endpoint.
func (u *Upstream) URL() string { return u.server.URL }

// Jobs says how many different jobs the vendor created.
func (u *Upstream) Jobs() int {
	u.mutex.Lock()
	defer u.mutex.Unlock()
	return len(u.jobs)
}

// Creates says how often the service asked for a job.
func (u *Upstream) Creates() int {
	u.mutex.Lock()
	defer u.mutex.Unlock()
	return u.creates
}

// Deletes says how often the service asked to stop a job.
func (u *Upstream) Deletes() int {
	u.mutex.Lock()
	defer u.mutex.Unlock()
	return u.deletes
}

// Hold keeps the answers to creates back; the jobs exist all the same.
func (u *Upstream) Hold() {
	u.mutex.Lock()
	defer u.mutex.Unlock()
	u.held = make(chan struct{})
}

// Release lets the answers out.
func (u *Upstream) Release() {
	u.mutex.Lock()
	defer u.mutex.Unlock()
	if u.held != nil {
		close(u.held)
		u.held = nil
	}
}

func (u *Upstream) observe(answer *http.Response) error {
	request := answer.Request
	if request.Method == http.MethodPost && strings.HasSuffix(request.URL.Path, "/cancel") {
		u.count(&u.deletes)
	}
	if request.Method != http.MethodPost || !strings.HasSuffix(request.URL.Path, u.vendor.createPath) {
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

func (u *Upstream) count(what *int) {
	u.mutex.Lock()
	defer u.mutex.Unlock()
	*what++
}

// remember keeps the id of the job that an answer names.
func (u *Upstream) remember(answer *http.Response) error {
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	answer.Body = io.NopCloser(bytes.NewReader(body))
	var job any
	// Numbers as they are written: a run's id is longer than a float holds.
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
