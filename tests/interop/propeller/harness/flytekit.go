package harness

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/flyteorg/flyte/flyteidl/gen/pb-go/flyteidl/admin"
)

// Flytekit is a process that serves connectors of flytekit, unmodified, on a Unix socket.
type Flytekit struct {
	directory string
}

// StartFlytekit serves the connectors of a module in tests/interop/connectors.
func StartFlytekit(t testing.TB, module string) *Flytekit {
	t.Helper()
	served := &Flytekit{directory: shortDirectory(t)}
	served.start(t, "serve_on_socket.py", module)
	// It imports every plugin of flytekit that is installed.
	within(t, 2*time.Minute, "flytekit serves its connectors", func() bool { return served.has("f.sock") })
	return served
}

// StartFlytekitBeforeVendors serves flytekit's own connectors, before fakes of their vendors.
func StartFlytekitBeforeVendors(t testing.TB) *Flytekit {
	t.Helper()
	served := &Flytekit{directory: shortDirectory(t)}
	served.start(t, "serve_before_vendors.py", served.directory)
	within(t, 2*time.Minute, "flytekit serves its connectors", func() bool { return served.has("ready") })
	return served
}

// shortDirectory is a directory for a socket, whose path has 107 bytes at most. t.TempDir names the test.
func shortDirectory(t testing.TB) string {
	t.Helper()
	directory, err := os.MkdirTemp("", "f")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(directory) })
	return directory
}

func (f *Flytekit) start(t testing.TB, script, argument string) {
	t.Helper()
	python := flytekitsPython(t)
	write(t, f.path("journal"), "")
	connectors := filepath.Join(Root(), "tests", "interop", "connectors")
	environment := []string{"PYTHONPATH=" + connectors, "PYTHONDONTWRITEBYTECODE=1", "CONNECTOR_JOURNAL=" + f.path("journal"), "HOME=" + f.directory}
	startAt(t, python, environment, filepath.Join(connectors, script), f.path("f.sock"), argument)
}

// flytekitsPython is the Python that has flytekit, and what Outrigger's package for authors needs.
func flytekitsPython(t testing.TB) string {
	t.Helper()
	python := filepath.Join(Target(), "interop", "flytekit-venv", "bin", "python")
	if _, err := os.Stat(python); err != nil {
		require.Empty(t, os.Getenv("CI"), "%s is missing", python)
		t.Skip("cargo xtask test --only interop-flytekit installs flytekit")
	}
	return python
}

func (f *Flytekit) path(name string) string { return filepath.Join(f.directory, name) }

func (f *Flytekit) has(name string) bool {
	_, err := os.Stat(f.path(name))
	return err == nil
}

// Task is a task that flytekit made, with its inputs.
func (f *Flytekit) Task(t testing.TB, name string) *Task {
	t.Helper()
	bytes, err := os.ReadFile(f.path(name + ".pb"))
	require.NoError(t, err)
	made := &admin.CreateTaskRequest{}
	require.NoError(t, proto.Unmarshal(bytes, made))
	// Propeller knows who runs it, and flytekit does not.
	request := Golden(t, Bigquery.Golden)
	request.Template, request.Inputs = made.GetTemplate(), made.GetInputs()
	return NewTask(t, request)
}

// Let makes happen what waits for the file `name`.
func (f *Flytekit) Let(t testing.TB, name string) {
	t.Helper()
	write(t, f.path(name), "")
}

// Calls are the verbs that a job was called with, in their order.
func (f *Flytekit) Calls(t testing.TB, job string) (verbs []string) {
	t.Helper()
	text, err := os.ReadFile(f.path("journal"))
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		if verb, about, found := strings.Cut(strings.TrimSpace(line), " "); found && about == job {
			verbs = append(verbs, verb)
		}
	}
	return verbs
}
