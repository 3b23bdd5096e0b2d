package flyte2

import (
	"bufio"
	"cmp"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// root of the repository.
var root, _ = filepath.Abs("../../..")

// program is the path of a built program.
func program(name string) string {
	if directory := os.Getenv("OUTRIGGER_PROGRAMS"); directory != "" {
		return filepath.Join(directory, name)
	}
	return filepath.Join(target(), "debug", name)
}

// target is cargo's target directory.
func target() string {
	directory := os.Getenv("CARGO_TARGET_DIR")
	if filepath.IsAbs(directory) {
		return directory
	}
	return filepath.Join(root, cmp.Or(directory, "target"))
}

// ports are assigned from below the ephemeral ports: a service that is down for a
// while must find its port free.
var ports atomic.Int32

// freeAddress returns a loopback address that is not in use.
func freeAddress(t *testing.T) string {
	t.Helper()
	const lowest, count = 20000, 10000
	ports.CompareAndSwap(0, int32(os.Getpid()*100%count))
	for range count {
		address := fmt.Sprintf("127.0.0.1:%d", lowest+int(ports.Add(1))%count)
		if listener, err := net.Listen("tcp", address); err == nil {
			must(t, listener.Close())
			return address
		}
	}
	t.Fatal("no port is free")
	return ""
}

// files is the directory for a test's artefacts, kept for the analysis of failures.
func files(t *testing.T) string {
	t.Helper()
	directory := filepath.Join(target(), "interop", "flyte2", filepath.FromSlash(t.Name()))
	must(t, os.MkdirAll(directory, 0o755))
	return directory
}

func writeFile(t *testing.T, path string, content []byte) string {
	t.Helper()
	must(t, os.WriteFile(path, content, 0o600))
	return path
}

// startFake starts a fake vendor with scripted behaviour and returns its URL.
func startFake(t *testing.T, v vendor, polls int, ending string) string {
	t.Helper()
	arguments := []string{v.name, fmt.Sprintf("--polls=%d", polls), "--ending=" + ending}
	command := exec.Command(program("fake-upstream"), append(arguments, v.fakeFlags...)...)
	output, err := command.StdoutPipe()
	must(t, err)
	must(t, command.Start())
	t.Cleanup(func() { stop(command) })
	line, err := bufio.NewReader(output).ReadString('\n')
	must(t, err)
	return strings.TrimSpace(line)
}

// stop kills a program.
func stop(command *exec.Cmd) {
	_ = command.Process.Kill()
	_ = command.Wait()
}

// service is one of our plugins, run as a program. It keeps its address over restarts.
type service struct {
	address, admin string
	arguments      []string
	environment    []string
	command        *exec.Cmd
}

// startService starts v's plugin on upstream, in files and with handle keys that replicas share.
func startService(t *testing.T, v vendor, upstream, keys string, flags ...string) *service {
	t.Helper()
	s := &service{address: freeAddress(t), admin: freeAddress(t)}
	s.arguments = append([]string{
		"--listen=" + s.address, "--admin-listen=" + s.admin, "--insecure-no-auth",
		"--handle-keys=" + keys, "--endpoint=" + upstream, "--drain-delay=0s",
	}, append(v.serviceFlags, flags...)...)
	s.environment = append(environment(), v.variables(upstream)...)
	t.Cleanup(func() { stop(s.command) })
	s.start(t, v)
	return s
}

// start runs the program until it is ready.
func (s *service) start(t *testing.T, v vendor) {
	t.Helper()
	log, err := os.OpenFile(filepath.Join(files(t), v.name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	must(t, err)
	defer log.Close()
	s.command = exec.Command(program(v.name), s.arguments...)
	s.command.Env, s.command.Stdout, s.command.Stderr = s.environment, log, log
	must(t, s.command.Start())
	await(t, v.name+" is ready", func() bool {
		answer, err := http.Get("http://" + s.admin + "/readyz")
		if err != nil {
			return false
		}
		answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	})
}

// environment is this process's environment, without possible credentials.
func environment() []string {
	var kept []string
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "HOME=") && !strings.HasPrefix(variable, "GOOGLE_") {
			kept = append(kept, variable)
		}
	}
	return kept
}

// patience is how long await waits. A job takes two or three polls, 5 s apart.
const patience = 90 * time.Second

func await(t *testing.T, what string, isSo func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !isSo() {
		if time.Now().After(deadline) {
			t.Fatalf("timed out waiting for: %s", what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
