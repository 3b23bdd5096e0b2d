package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	<%- if plugin.mode == "async" %>
	"net/url"
	<%- endif %>
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The test program is also the plugin, for tests that need a process.
func TestMain(m *testing.M) {
	if os.Getenv("PLUGIN_SOCKET") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// starts is the method of requests with a task.
const starts = "<% if plugin.mode == "async" %>PUT<% else %>POST<% endif %>"

var path = fmt.Sprintf("%s/%s/%d", root, taskTypes[0].Name, taskTypes[0].Version)

type client struct {
	http.Client
	*testing.T
}

// started is a client of routes that are served on a socket.
func started(t *testing.T, routes routing) client {
	socket := newSocket(t)
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- serve(ctx, socket, routes) }()
	t.Cleanup(func() {
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return connected(t, socket)
}

// newSocket is the path of a socket, which has to be short.
func newSocket(t *testing.T) string {
	dir, err := os.MkdirTemp("", "plugin")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "plugin.sock")
}

// connected is a client of the server on socket, which may be about to start.
func connected(t *testing.T, socket string) client {
	dial := func(context.Context, string, string) (net.Conn, error) { return dialed(socket) }
	transport := &http.Transport{DialContext: dial}
	t.Cleanup(transport.CloseIdleConnections)
	return client{http.Client{Transport: transport}, t}
}

func dialed(socket string) (connection net.Conn, err error) {
	for range 500 {
		if connection, err = net.Dial("unix", socket); err == nil {
			return connection, nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return nil, err
}

// call returns the status and the body of the answer to a request with the key "k".
func (c client) call(method, target, body string) (int, map[string]any) {
	return c.callWith("k", method, target, body)
}

func (c client) callWith(key, method, target, body string) (int, map[string]any) {
	c.Helper()
	request, err := http.NewRequest(method, "http://plugin"+target, strings.NewReader(body))
	if err != nil {
		c.Fatal(err)
	}
	if key != "" {
		request.Header.Set("Idempotency-Key", key)
	}
	response, err := c.Do(request)
	if err != nil {
		c.Fatal(err)
	}
	defer response.Body.Close()
	var answer map[string]any
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		c.Fatal(err)
	}
	return response.StatusCode, answer
}
<%- if plugin.mode == "async" %>

// create returns the job's id as JSON.
func (c client) create(key string) string {
	c.Helper()
	status, answer := c.callWith(key, starts, path, `{"inputs": {"text": "hi"}}`)
	if status != 200 {
		c.Fatal(status, answer)
	}
	id, _ := json.Marshal(answer["job_id"])
	return string(id)
}

func about(job string) string { return path + "?job_id=" + url.QueryEscape(job) }

func TestAJobRunsAndSucceeds(t *testing.T) {
	c := started(t, routes())
	runs.Clear()
	job := c.create("one")
	if _, answer := c.call("GET", about(job), ""); answer["phase"] != Running || answer["log_links"] == nil {
		t.Fatal(answer)
	}
	runs.Store("one", run{"hi", time.Now()})
	_, answer := c.call("GET", about(job), "")
	outputs, _ := answer["outputs"].(map[string]any)
	if answer["phase"] != Succeeded || outputs["o0"] != "HI" {
		t.Fatal(answer)
	}
}

func TestARepeatedCreateIsTheSameJob(t *testing.T) {
	c := started(t, routes())
	if first, again, other := c.create("a"), c.create("a"), c.create("b"); first != again || first == other {
		t.Fatal(first, again, other)
	}
}

func TestAJobIDMayBeInTheBody(t *testing.T) {
	c := started(t, routes())
	body := fmt.Sprintf(`{"job_id": %s}`, c.create("body"))
	for _, each := range []struct {
		suffix string
		status int
	}{{"/poll", 200}, {"/delete", 200}, {"/poll", 404}} {
		if status, answer := c.call("POST", path+each.suffix, body); status != each.status {
			t.Fatal(each, status, answer)
		}
	}
}

func TestAnUnknownJobIsNotFoundAndItsDeleteIsFine(t *testing.T) {
	c := started(t, routes())
	if status, answer := c.call("GET", about(`{"id": "?"}`), ""); status != 404 || answer["error_code"] != "NOT_FOUND" {
		t.Fatal(status, answer)
	}
	if status, answer := c.call("DELETE", about(`{"id": "?"}`), ""); status != 200 {
		t.Fatal(status, answer)
	}
}
<%- else %>

func TestATaskIsAnsweredAtOnce(t *testing.T) {
	c := started(t, routes())
	_, answer := c.call(starts, path, `{"inputs": {"text": "hi"}}`)
	outputs, _ := answer["outputs"].(map[string]any)
	if answer["phase"] != Succeeded || outputs["o0"] != "HI" {
		t.Fatal(answer)
	}
}
<%- endif %>

func TestThePluginIsListed(t *testing.T) {
	_, answer := started(t, routes()).call("GET", root, "")
	plugins, _ := answer["plugins"].([]any)
	first, _ := plugins[0].(map[string]any)
	if len(plugins) != len(taskTypes) || first["task_type"] != taskTypes[0].Name || first["sync"] != <% if plugin.mode == "async" %>false<% else %>true<% endif %> {
		t.Fatal(answer)
	}
}

func TestWrongRequestsAreAnsweredWithWords(t *testing.T) {
	c := started(t, routes())
	large := fmt.Sprintf(`{"inputs": {"text": %q}}`, strings.Repeat("a", maxBody))
	for _, each := range []struct {
		key, method, target, body string
		status                    int
		message                   string
	}{
		{"k", starts, path, `{`, 400, "the body: not valid: unexpected end of JSON input"},
		{"k", starts, path, `{"inputs": {"text": 1}}`, 400, "inputs.text: expected string, not number"},
		{"k", starts, path, `{"inputs": {}}`, 422, "inputs.text: missing or empty"},
		{"k", starts, path, large, 413, "the body is larger than 8 MiB"},
		{"", starts, path, `{}`, 400, "Idempotency-Key: missing"},
		<%- if plugin.mode == "async" %>
		{"k", "GET", path, "", 400, "job_id: not valid: unexpected end of JSON input"},
		{"k", "GET", about(`{"id": 1}`), "", 400, "job_id.id: expected string, not number"},
		{"k", "PATCH", path, "", 405, "expected DELETE, GET, PUT, not PATCH"},
		<%- else %>
		{"k", "PUT", path, `{}`, 405, "expected POST, not PUT"},
		<%- endif %>
		{"k", "GET", path + "9", "", 404, "no such path, task type or version: " + path + "9"},
		{"k", "GET", "/else", "", 404, "no such path, task type or version: /else"},
	} {
		status, answer := c.callWith(each.key, each.method, each.target, each.body)
		if status != each.status || answer["message"] != each.message {
			t.Errorf("%s %.80s: %d %v", each.method, each.target, status, answer)
		}
	}
}

func TestATaskHasTheStatementOfItsTemplate(t *testing.T) {
	echo := func(_ context.Context, task Task) (any, error) { return map[string]string{"sql": task.SQL}, nil }
	c := started(t, routing{"/": {"PUT": withTask(taskTypes[0], echo)}})
	_, answer := c.call("PUT", "/", `{"template": {"sql": {"statement": "SELECT 1"}}}`)
	if answer["sql"] != "SELECT 1" {
		t.Fatal(answer)
	}
	status, answer := c.call("PUT", "/", `{"template": {"custom": 1}}`)
	if status != 400 || answer["message"] != "template.custom: expected main.Config, not number" {
		t.Fatal(status, answer)
	}
}

func TestAStatusHasAPhaseOfFlyte(t *testing.T) {
	if _, err := checked(Status{Phase: Succeeded}, nil); err != nil {
		t.Fatal(err)
	}
	for _, phase := range []string{"", "DONE"} {
		_, err := checked(Status{Phase: phase}, nil)
		want := fmt.Sprintf("<% if plugin.mode == "async" %>poll<% else %>execute<% endif %> returned the phase %q; there are %s", phase, strings.Join(phases, ", "))
		if err == nil || err.Error() != want {
			t.Error(err)
		}
	}
}

func TestAnErrorShowsOnlyItsLastLine(t *testing.T) {
	fails := func(context.Context, *http.Request, []byte) (any, error) { return nil, errors.New("secret\nno model") }
	panics := func(context.Context, *http.Request, []byte) (any, error) { panic("secret\nno model") }
	c := started(t, routing{"/": {"GET": fails, "PUT": panics}})
	for method, message := range map[string]string{"GET": "no model", "PUT": "panic: no model"} {
		if status, answer := c.call(method, "/", ""); status != 500 || answer["message"] != message {
			t.Error(method, status, answer)
		}
	}
}

func TestACallEndsAtItsDeadlineOrWhenItsCallerLeaves(t *testing.T) {
	ended := make(chan error, 2)
	waits := func(ctx context.Context, _ *http.Request, _ []byte) (any, error) {
		<-ctx.Done()
		ended <- ctx.Err()
		return nil, ctx.Err()
	}
	c := started(t, routing{"/": {"GET": waits}})
	request, _ := http.NewRequest("GET", "http://plugin/", nil)
	request.Header.Set("Outrigger-Deadline-Ms", "20")
	if response, err := c.Do(request); err != nil || response.StatusCode != 504 {
		t.Fatal(response, err)
	}
	leaving, leave := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer leave()
	request, _ = http.NewRequestWithContext(leaving, "GET", "http://plugin/", nil)
	if _, err := c.Do(request); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	if first, second := <-ended, <-ended; first != context.DeadlineExceeded || second != context.Canceled {
		t.Fatal(first, second)
	}
}
<%- if plugin.mode == "async" %>

func TestACreateGoesOnWhenItsCallerLeaves(t *testing.T) {
	ended := make(chan error, 1)
	waits := func(ctx context.Context, _ *http.Request, _ []byte) (any, error) {
		time.Sleep(100 * time.Millisecond)
		ended <- ctx.Err()
		return nil, nil
	}
	c := started(t, routing{"/": {"PUT": waits}})
	leaving, leave := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer leave()
	request, _ := http.NewRequestWithContext(leaving, "PUT", "http://plugin/", nil)
	if _, err := c.Do(request); err == nil {
		t.Fatal("the caller did not leave")
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}
<%- endif %>

func TestSIGTERMFinishesCallsAndExitsWith0(t *testing.T) {
	socket := newSocket(t)
	stale, _ := net.ListenUnix("unix", &net.UnixAddr{Name: socket})
	stale.SetUnlinkOnClose(false)
	stale.Close()
	program := exec.Command(os.Args[0])
	program.Env = append(os.Environ(), "PLUGIN_SOCKET="+socket)
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	connection, err := dialed(socket)
	if err != nil {
		t.Fatal(err)
	}
	body := `{"inputs": {"text": "hi"}}`
	fmt.Fprintf(connection, "%s %s HTTP/1.1\r\nHost: x\r\nIdempotency-Key: k\r\n", starts, path)
	fmt.Fprintf(connection, "Expect: 100-continue\r\nContent-Length: %d\r\n\r\n", len(body))
	answers := bufio.NewReader(connection)
	// The call is under way when the plugin asks for the body.
	if line, _ := answers.ReadString('\n'); !strings.HasPrefix(line, "HTTP/1.1 100") {
		t.Fatal(line)
	}
	program.Process.Signal(syscall.SIGTERM)
	for refused := false; !refused; time.Sleep(10 * time.Millisecond) {
		another, err := net.Dial("unix", socket)
		if refused = err != nil; !refused {
			another.Close()
		}
	}
	io.WriteString(connection, body)
	answer, _ := io.ReadAll(answers)
	if !strings.Contains(string(answer), "HTTP/1.1 200 OK") {
		t.Errorf("%s", answer)
	}
	if err := program.Wait(); err != nil {
		t.Error(err)
	}
}
