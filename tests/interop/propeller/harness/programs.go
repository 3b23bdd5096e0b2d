package harness

import (
	"bufio"
	"bytes"
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

// Root is the repository's.
func Root() string {
	_, here, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(here), "..", "..", "..", "..")
}

// Program is the path of a program that `cargo build` made, or of one in the directory that OUTRIGGER_PROGRAMS names.
func Program(name string) string {
	if directory := os.Getenv("OUTRIGGER_PROGRAMS"); directory != "" {
		return filepath.Join(directory, name)
	}
	return filepath.Join(Root(), "target", "debug", name)
}

// process is a program that runs until its test ends.
type process struct {
	command *exec.Cmd
	log     *logBuffer
	stop    sync.Once
}

// start runs a program. A test that fails shows what it wrote.
func start(t testing.TB, name string, environment []string, arguments ...string) *process {
	t.Helper()
	p := &process{command: exec.Command(Program(name), arguments...), log: &logBuffer{}}
	p.command.Env = append(bareEnvironment(), environment...)
	p.command.Stdout, p.command.Stderr = p.log, p.log
	// A test process that is killed takes its programs along.
	p.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	require.NoError(t, p.command.Start(), "cargo build --workspace --bins makes %s", name)
	t.Cleanup(func() {
		p.end()
		if t.Failed() {
			t.Logf("%s wrote:\n%s", name, p.log.String())
		}
	})
	return p
}

// end asks the program to end, and waits until it has.
func (p *process) end() {
	p.stop.Do(func() {
		_ = p.command.Process.Signal(syscall.SIGTERM)
		_ = p.command.Wait()
	})
}

// kill ends the program as a lost node does.
func (p *process) kill() {
	p.stop.Do(func() {
		_ = p.command.Process.Kill()
		_ = p.command.Wait()
	})
}

// bareEnvironment has nothing that could configure a service.
func bareEnvironment() []string {
	return []string{"PATH=" + os.Getenv("PATH")}
}

// firstLine waits for the first line that the program writes.
func (p *process) firstLine(t testing.TB) string {
	t.Helper()
	line := ""
	Eventually(t, "the program tells its address", func() bool {
		text, whole := strings.CutSuffix(p.log.firstLine(), "\n")
		line = text
		return whole
	})
	return line
}

// logBuffer keeps what a program writes.
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

// nextPort walks through ports that no system gives to connections by itself: between being found free and being listened at,
// nobody takes them. Test processes begin in different places.
var nextPort atomic.Int64

func init() { nextPort.Store(int64(os.Getpid()%200) * 100) }

// FreeAddress is a loopback address that nobody listens at.
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

// Eventually waits for a condition, half a minute at most.
func Eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !condition() {
		if time.Now().After(deadline) {
			require.FailNow(t, "not within 30 s: "+what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// awaitReady waits until the admin port says that the service is ready.
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
