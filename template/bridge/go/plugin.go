// <[ plugin.title ]>: <[ plugin.description ]>.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	<%- if plugin.mode == "async" %>
	"sync"
	<%- endif %>
	"syscall"
	"time"
)

// ---- Your part: replace the example. ----

// taskTypes are the types of Flyte's tasks that this plugin runs.
// plugin.toml names them, too; outrigger sync changes only what is generated: keep both in step.
var taskTypes = []TaskType{
	<%- for t in plugin.task_types %>
	{"<[ t.name ]>", <[ t.version ]>, <% if plugin.mode == "async" %>false<% else %>true<% endif %>},
	<%- endfor %>
}

// Inputs are the task's inputs.
type Inputs struct {
	Text string `json:"text"`
}

// Config is what a task's author sets: the fields of tasks/package/config.py. The example has none.
// A field is, for instance, Queue string `json:"queue"`.
type Config struct{}
<%- if plugin.mode == "async" %>

// Job is what finds a job again. It is sealed: nobody else can read or change it.
type Job struct {
	ID string `json:"id"`
}

// run is a job of the example. It and runs stand for the vendor: call its API instead.
type run struct {
	text string
	ends time.Time
}

var runs sync.Map // by key

// create starts a job. Flyte repeats a create whose answer was lost: look for the job that has task.Key first.
func create(_ context.Context, task Task) (Job, error) {
	if task.Inputs.Text == "" {
		return Job{}, Refused("inputs.text: missing or empty")
	}
	runs.LoadOrStore(task.Key, run{task.Inputs.Text, time.Now().Add(2 * time.Second)})
	return Job{ID: task.Key}, nil
}

// poll reports on a job.
func poll(_ context.Context, job Job) (Status, error) {
	found, ok := runs.Load(job.ID)
	if !ok {
		return Status{}, NotFound("the job is gone")
	}
	it := found.(run)
	// The links of a phase have to be in its first status.
	links := []Link{{"Job", "https://example.com/jobs/" + job.ID}}
	if time.Now().Before(it.ends) {
		return Status{Phase: Running, Message: "shouting", LogLinks: links}, nil
	}
	return Status{Phase: Succeeded, Outputs: map[string]any{"o0": strings.ToUpper(it.text)}, LogLinks: links}, nil
}

// remove stops a job. If it has ended or is gone, there is nothing to do.
func remove(_ context.Context, job Job) error {
	runs.Delete(job.ID)
	return nil
}
<%- else %>

// execute runs a task before ctx ends. Flyte may repeat it, with the same task.Key.
func execute(_ context.Context, task Task) (Status, error) {
	if task.Inputs.Text == "" {
		return Status{}, Refused("inputs.text: missing or empty")
	}
	return Status{Phase: Succeeded, Outputs: map[string]any{"o0": strings.ToUpper(task.Inputs.Text)}}, nil
}
<%- endif %>

// ---- What your part gets and returns. ----

// TaskType is a type of tasks.
type TaskType struct {
	Name    string `json:"task_type"`
	Version int    `json:"version"`
	Sync    bool   `json:"sync"`
}

// Task is what Flyte asks for. Template and Execution are its TaskTemplate and TaskExecutionMetadata as proto-JSON.
type Task struct {
	Type         TaskType        `json:"-"`
	Key          string          `json:"-"` // the same whenever Flyte repeats the task
	Inputs       Inputs          `json:"inputs"`
	Custom       Config          `json:"-"`
	SQL          string          `json:"-"` // the statement of an SQL task
	Template     json.RawMessage `json:"template"`
	Execution    json.RawMessage `json:"task_execution_metadata"`
	OutputPrefix string          `json:"output_prefix"`
}

// Status is how a <% if plugin.mode == "async" %>job is<% else %>task has ended<% endif %>.
type Status struct {
	Phase      string         `json:"phase"`
	Message    string         `json:"message,omitempty"`
	Outputs    map[string]any `json:"outputs,omitempty"`
	LogLinks   []Link         `json:"log_links,omitempty"`
	CustomInfo map[string]any `json:"custom_info,omitempty"`
	ErrorCode  string         `json:"error_code,omitempty"`
}

// Link is a page about a <% if plugin.mode == "async" %>job<% else %>task<% endif %>.
type Link struct {
	Name string `json:"name"`
	URI  string `json:"uri"`
}

// The phases of Flyte. After RetryableFailed it runs the task again.
const (
	<%- if plugin.mode == "async" %>
	Queued              = "QUEUED"
	WaitingForResources = "WAITING_FOR_RESOURCES"
	Initializing        = "INITIALIZING"
	Running             = "RUNNING"
	Succeeded           = "SUCCEEDED"
	Failed              = "FAILED"
	RetryableFailed     = "RETRYABLE_FAILED"
	<%- else %>
	Succeeded       = "SUCCEEDED"
	Failed          = "FAILED"
	RetryableFailed = "RETRYABLE_FAILED"
	<%- endif %>
)

var phases = []string{
	<%- if plugin.mode == "async" %>
	Queued, WaitingForResources, Initializing, Running, Succeeded, Failed, RetryableFailed,
	<%- else %>
	Succeeded, Failed, RetryableFailed,
	<%- endif %>
}

// Error is an answer that your part means to give. Any other error is a fault in it: HTTP status 500.
type Error struct {
	HTTPStatus int    `json:"-"`
	Code       string `json:"error_code,omitempty"`
	Message    string `json:"message"`
	RetryAfter int    `json:"-"` // in seconds
}

func (e *Error) Error() string { return e.Message }

// Refused fails the task for good.
func Refused(message string) error { return &Error{422, "REFUSED", message, 0} }
<%- if plugin.mode == "async" %>

// NotFound says that a job is gone.
func NotFound(message string) error { return &Error{404, "NOT_FOUND", message, 0} }
<%- endif %>

// Unavailable lets Flyte try again, after so many seconds.
func Unavailable(message string, after int) error { return &Error{503, "UNAVAILABLE", message, after} }

// ---- The server. It needs no changes. ----

const (
	root        = "/plugins/v1"
	maxPath     = 100 // some systems allow few more
	maxBody     = 8 << 20
	defaultTime = 30 * time.Second // for calls that do not say how long their caller waits
	slowTime    = 10 * time.Second // for headers, bodies and answers
	idleTime    = 2 * time.Minute  // longer than the bridge keeps connections, or a call could meet the closing
	drainTime   = 25 * time.Second
)

func main() {
	path := cmp.Or(os.Getenv("PLUGIN_SOCKET"), "/run/outrigger/plugin.sock")
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	context.AfterFunc(ctx, stop) // a second signal ends it at once
	if err := serve(ctx, path, routes()); err != nil {
		log.Fatal(err)
	}
}

// serve answers requests until ctx ends, and finishes those that it has.
func serve(ctx context.Context, path string, routes routing) error {
	if len(path) > maxPath {
		return fmt.Errorf("%s: longer than %d bytes", path, maxPath)
	}
	// A process that was killed leaves its socket.
	if info, err := os.Lstat(path); err == nil && info.Mode().Type() == os.ModeSocket {
		os.Remove(path)
	}
	listener, err := net.Listen("unix", path)
	if err != nil {
		return err
	}
	// For the group, too: the bridge may be another user.
	if err := os.Chmod(path, 0o660); err != nil {
		return err
	}
	server := &http.Server{Handler: routes, ReadHeaderTimeout: slowTime, IdleTimeout: idleTime}
	drained := make(chan error, 1)
	context.AfterFunc(ctx, func() {
		limit, cancel := context.WithTimeout(context.Background(), drainTime)
		defer cancel()
		drained <- server.Shutdown(limit)
	})
	log.Printf("serving on %s", path)
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-drained
}

// operation answers a request, whose body has been read.
type operation func(ctx context.Context, r *http.Request, body []byte) (any, error)

// routing has the operations by path and method.
type routing map[string]map[string]operation

func routes() routing {
	all := routing{root: {"GET": list}}
	for _, t := range taskTypes {
		path := fmt.Sprintf("%s/%s/%d", root, t.Name, t.Version)
		<%- if plugin.mode == "async" %>
		all[path] = map[string]operation{"PUT": withTask(t, created), "GET": withJob(polled), "DELETE": withJob(removed)}
		// For ids that are too long for a query.
		all[path+"/poll"] = map[string]operation{"POST": withJob(polled)}
		all[path+"/delete"] = map[string]operation{"POST": withJob(removed)}
		<%- else %>
		all[path] = map[string]operation{"POST": withTask(t, executed)}
		<%- endif %>
	}
	return all
}

func list(context.Context, *http.Request, []byte) (any, error) {
	return map[string]any{"plugins": taskTypes}, nil
}
<%- if plugin.mode == "async" %>

func created(ctx context.Context, task Task) (map[string]Job, error) {
	job, err := create(ctx, task)
	return map[string]Job{"job_id": job}, err
}

func polled(ctx context.Context, job Job) (Status, error) { return checked(poll(ctx, job)) }

func removed(ctx context.Context, job Job) (struct{}, error) { return struct{}{}, remove(ctx, job) }
<%- else %>

func executed(ctx context.Context, task Task) (Status, error) { return checked(execute(ctx, task)) }
<%- endif %>

// checked returns an error for a phase that Flyte does not know.
func checked(status Status, err error) (Status, error) {
	if err == nil && !slices.Contains(phases, status.Phase) {
		err = fmt.Errorf("<% if plugin.mode == "async" %>poll<% else %>execute<% endif %> returned the phase %q; there are %s", status.Phase, strings.Join(phases, ", "))
	}
	return status, err
}

func withTask[T any](of TaskType, call func(context.Context, Task) (T, error)) operation {
	return func(ctx context.Context, r *http.Request, body []byte) (any, error) {
		task := Task{Type: of, Key: r.Header.Get("Idempotency-Key")}
		if task.Key == "" {
			return nil, malformed("Idempotency-Key: missing")
		}
		if err := decode(body, "", &task); err != nil {
			return nil, err
		}
		if err := task.readTemplate(); err != nil {
			return nil, err
		}
		return call(ctx, task)
	}
}

// readTemplate sets Custom and SQL.
func (task *Task) readTemplate() error {
	if len(task.Template) == 0 {
		return nil
	}
	var template struct {
		Custom Config `json:"custom"`
		SQL    struct {
			Statement string `json:"statement"`
		} `json:"sql"`
	}
	err := decode(task.Template, "template", &template)
	task.Custom, task.SQL = template.Custom, template.SQL.Statement
	return err
}
<%- if plugin.mode == "async" %>

func withJob[T any](call func(context.Context, Job) (T, error)) operation {
	return func(ctx context.Context, r *http.Request, body []byte) (any, error) {
		from := struct {
			JobID json.RawMessage `json:"job_id"`
		}{json.RawMessage(r.URL.Query().Get("job_id"))}
		if r.Method == http.MethodPost {
			if err := decode(body, "", &from); err != nil {
				return nil, err
			}
		}
		var job Job
		if err := decode(from.JobID, "job_id", &job); err != nil {
			return nil, err
		}
		return call(ctx, job)
	}
}
<%- endif %>

func decode(text []byte, path string, into any) error {
	err := json.Unmarshal(text, into)
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) && wrong.Field != "" {
		path = strings.TrimPrefix(path+"."+wrong.Field, ".")
		return malformed(fmt.Sprintf("%s: expected %s, not %s", path, wrong.Type, wrong.Value))
	}
	if err != nil {
		return malformed(fmt.Sprintf("%s: not valid: %v", cmp.Or(path, "the body"), err))
	}
	return nil
}

func malformed(message string) error { return &Error{400, "MALFORMED", message, 0} }

// ServeHTTP answers with what an operation returns.
func (all routing) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	status := http.StatusOK
	text, err := all.respond(w, r)
	if err != nil {
		known := asError(err)
		if known.HTTPStatus == http.StatusInternalServerError {
			log.Printf("%s %s failed: %v", r.Method, r.URL.Path, err)
		}
		if known.RetryAfter > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(known.RetryAfter))
		}
		status = known.HTTPStatus
		text, _ = json.Marshal(known)
	}
	w.Header().Set("Content-Type", "application/json")
	http.NewResponseController(w).SetWriteDeadline(time.Now().Add(slowTime))
	w.WriteHeader(status)
	w.Write(text)
}

func (all routing) respond(w http.ResponseWriter, r *http.Request) (text []byte, err error) {
	defer func() {
		if panicked := recover(); panicked != nil {
			log.Printf("%s", debug.Stack())
			err = fmt.Errorf("panic: %s", lastLine(fmt.Sprint(panicked)))
		}
	}()
	body, err := readBody(w, r)
	if err != nil {
		return nil, err
	}
	operation, err := all.find(w, r)
	if err != nil {
		return nil, err
	}
	ctx, cancel := limited(r)
	defer cancel()
	value, err := operation(ctx, r, body)
	if err != nil {
		return nil, err
	}
	return json.Marshal(value)
}

func (all routing) find(w http.ResponseWriter, r *http.Request) (operation, error) {
	methods := all[r.URL.Path]
	if methods == nil {
		return nil, &Error{404, "NOT_FOUND", "no such path, task type or version: " + r.URL.Path, 0}
	}
	if methods[r.Method] == nil {
		allowed := strings.Join(slices.Sorted(maps.Keys(methods)), ", ")
		w.Header().Set("Allow", allowed)
		return nil, &Error{405, "METHOD_NOT_ALLOWED", fmt.Sprintf("expected %s, not %s", allowed, r.Method), 0}
	}
	return methods[r.Method], nil
}

func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	connection := http.NewResponseController(w)
	connection.SetReadDeadline(time.Now().Add(slowTime))
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return nil, &Error{413, "TOO_LARGE", fmt.Sprintf("the body is larger than %d MiB", maxBody>>20), 0}
	}
	if err != nil {
		w.Header().Set("Connection", "close")
		return nil, &Error{408, "TIMEOUT", "the body did not arrive", 0}
	}
	// The deadline would cancel the call.
	return body, connection.SetReadDeadline(time.Time{})
}

// limited returns a context that ends when the caller stops waiting.
func limited(r *http.Request) (context.Context, context.CancelFunc) {
	ctx, limit := r.Context(), defaultTime
	if ms, err := strconv.ParseUint(r.Header.Get("Outrigger-Deadline-Ms"), 10, 32); err == nil {
		limit = time.Duration(ms) * time.Millisecond
	}
	<%- if plugin.mode == "async" %>
	// A create or delete goes on when its caller leaves, who could not know what runs.
	if r.Method == http.MethodPut || r.Method == http.MethodDelete || strings.HasSuffix(r.URL.Path, "/delete") {
		ctx = context.WithoutCancel(ctx)
	}
	<%- endif %>
	return context.WithTimeout(ctx, limit)
}

// asError is err as an answer: of a fault, its last line.
func asError(err error) *Error {
	var known *Error
	if errors.As(err, &known) {
		return known
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return &Error{504, "DEADLINE_EXCEEDED", "no time left", 0}
	}
	return &Error{500, "", lastLine(err.Error()), 0}
}

func lastLine(text string) string {
	text = strings.TrimSpace(text)
	return text[strings.LastIndex(text, "\n")+1:]
}
