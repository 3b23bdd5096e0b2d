package harness

import (
	"bufio"
	"bytes"
	"cmp"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Root is the root of the repository.
func Root() string {
	_, here, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(here), "..", "..", "..", "..")
}

// Program is the path of a program built by `cargo build`, or in the directory OUTRIGGER_PROGRAMS.
func Program(name string) string {
	if directory := os.Getenv("OUTRIGGER_PROGRAMS"); directory != "" {
		return filepath.Join(directory, name)
	}
	return filepath.Join(Target(), "debug", name)
}

// Target is cargo's target directory.
func Target() string {
	directory := os.Getenv("CARGO_TARGET_DIR")
	if filepath.IsAbs(directory) {
		return directory
	}
	return filepath.Join(Root(), cmp.Or(directory, "target"))
}

// process is a program that runs until its test ends.
type process struct {
	command *exec.Cmd
	log     *logBuffer
	stop    sync.Once
}

// start runs a program of this repository. If the test fails, its output is shown.
func start(t testing.TB, name string, environment []string, arguments ...string) *process {
	t.Helper()
	return startAt(t, Program(name), environment, arguments...)
}

// startAt runs the program at path.
func startAt(t testing.TB, path string, environment []string, arguments ...string) *process {
	t.Helper()
	p := &process{command: exec.Command(path, arguments...), log: &logBuffer{}}
	p.command.Env = append(bareEnvironment(), environment...)
	p.command.Stdout, p.command.Stderr = p.log, p.log
	// If the test process is killed, its programs are killed, too.
	p.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	require.NoError(t, p.command.Start(), "%s is built by cargo build --workspace --bins", path)
	t.Cleanup(func() {
		p.end()
		if t.Failed() {
			t.Logf("%s wrote:\n%s", path, p.log.String())
		}
	})
	return p
}

// end terminates the program and waits for it.
func (p *process) end() {
	p.stop.Do(func() {
		_ = p.command.Process.Signal(syscall.SIGTERM)
		_ = p.command.Wait()
	})
}

// kill kills the program, as if its node was lost.
func (p *process) kill() {
	p.stop.Do(func() {
		_ = p.command.Process.Kill()
		_ = p.command.Wait()
	})
}

// bareEnvironment is an environment without settings for services.
func bareEnvironment() []string {
	return []string{"PATH=" + os.Getenv("PATH")}
}

// firstLine waits for the first line that the program writes.
func (p *process) firstLine(t testing.TB) string {
	t.Helper()
	line := ""
	Eventually(t, "the program prints its address", func() bool {
		text, whole := strings.CutSuffix(p.log.firstLine(), "\n")
		line = text
		return whole
	})
	return line
}

// logBuffer stores the output of a program.
type logBuffer struct {
	mutex sync.Mutex
	bytes bytes.Buffer
}

func (b *logBuffer) Write(text []byte) (int, error) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.bytes.Write(text)
}

func (b *logBuffer) String() string {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.bytes.String()
}

func (b *logBuffer) firstLine() string {
	line, _ := bufio.NewReader(strings.NewReader(b.String())).ReadString('\n')
	return line
}

// nextPort iterates over ports below the ephemeral range: between being found free and being listened on,
// no other process is assigned one. Each test process starts at a different port.
var nextPort atomic.Int64

func init() { nextPort.Store(int64(os.Getpid()%200) * 100) }

// FreeAddress returns a loopback address that is not in use.
func FreeAddress(t testing.TB) string {
	t.Helper()
	for range 1000 {
		address := fmt.Sprintf("127.0.0.1:%d", 12000+nextPort.Add(1)%20000)
		listener, err := net.Listen("tcp", address)
		if err == nil {
			require.NoError(t, listener.Close())
			return address
		}
	}
	require.FailNow(t, "no port is free")
	return ""
}

// Eventually waits up to 30 s for a condition.
func Eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	within(t, 30*time.Second, what, condition)
}

func within(t testing.TB, patience time.Duration, what string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !condition() {
		if time.Now().After(deadline) {
			require.FailNow(t, fmt.Sprintf("timed out after %v: %s", patience, what))
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// awaitReady waits until the admin port reports that the service is ready.
func awaitReady(t testing.TB, admin string) {
	t.Helper()
	Eventually(t, "the service is ready", func() bool {
		answer, err := http.Get("http://" + admin + "/readyz")
		if err != nil {
			return false
		}
		answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	})
}
