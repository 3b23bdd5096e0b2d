package harness

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Flytekit is a process that serves connectors of flytekit, unmodified, on a Unix socket.
type Flytekit struct {
	socket, journal string
}

// StartFlytekit serves the connectors of a module in tests/interop/connectors.
func StartFlytekit(t testing.TB, module string) *Flytekit {
	t.Helper()
	python := filepath.Join(Target(), "interop", "flytekit-venv", "bin", "python")
	if _, err := os.Stat(python); err != nil {
		require.Empty(t, os.Getenv("CI"), "%s is missing", python)
		t.Skip("cargo xtask test --only interop-flytekit installs flytekit")
	}
	directory, err := os.MkdirTemp("", "f")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(directory) })
	served := &Flytekit{filepath.Join(directory, "f.sock"), filepath.Join(directory, "journal")}
	write(t, served.journal, "")
	connectors := filepath.Join(Root(), "tests", "interop", "connectors")
	environment := []string{"PYTHONPATH=" + connectors, "PYTHONDONTWRITEBYTECODE=1", "CONNECTOR_JOURNAL=" + served.journal, "HOME=" + directory}
	startAt(t, python, environment, filepath.Join(connectors, "serve_on_socket.py"), served.socket, module)
	// It imports every plugin of flytekit that is installed.
	within(t, 2*time.Minute, "flytekit serves its connectors", func() bool {
		_, err := os.Stat(served.socket)
		return err == nil
	})
	return served
}

// Calls are the verbs that a job was called with, in their order.
func (f *Flytekit) Calls(t testing.TB, job string) (verbs []string) {
	t.Helper()
	text, err := os.ReadFile(f.journal)
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		if verb, about, found := strings.Cut(strings.TrimSpace(line), " "); found && about == job {
			verbs = append(verbs, verb)
		}
	}
	return verbs
}
