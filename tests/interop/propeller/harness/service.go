package harness

import (
	"crypto/rand"
	"encoding/base64"
	"path/filepath"
	"testing"
)

// Service is a service that runs as a separate program. It can be stopped and started again on the same address.
type Service struct {
	vendor    *Vendor
	upstream  *Upstream
	arguments []string
	address   string
	process   *process
}

// Keys creates a file of handle keys. Replicas share it.
func Keys(t testing.TB) string {
	t.Helper()
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	file := filepath.Join(t.TempDir(), "handle.key")
	write(t, file, base64.StdEncoding.EncodeToString(key))
	return file
}

// NewService prepares a service for upstream. Without an argument that begins with --auth, it accepts unauthenticated requests.
func NewService(t testing.TB, upstream *Upstream, keys string, arguments ...string) *Service {
	t.Helper()
	if len(arguments) == 0 {
		arguments = []string{"--insecure-no-auth"}
	}
	arguments = append(arguments, "--handle-keys="+keys, "--drain-delay=0s")
	return &Service{vendor: upstream.vendor, upstream: upstream, arguments: arguments, address: FreeAddress(t)}
}

// StartService starts a service for upstream.
func StartService(t testing.TB, upstream *Upstream, arguments ...string) *Service {
	t.Helper()
	service := NewService(t, upstream, Keys(t), arguments...)
	service.Start(t)
	return service
}

// Address is its gRPC address.
func (s *Service) Address() string { return s.address }

// Start runs it and waits until it is ready.
func (s *Service) Start(t testing.TB) {
	t.Helper()
	admin := FreeAddress(t)
	environment, own := s.vendor.settings(t, s.upstream.URL())
	arguments := []string{"--listen=" + s.address, "--admin-listen=" + admin, "--endpoint=" + s.upstream.URL()}
	arguments = append(append(arguments, own...), s.arguments...)
	s.process = start(t, s.vendor.Name, environment, arguments...)
	awaitReady(t, admin)
}

// Log is its output since it was started.
func (s *Service) Log() string { return s.process.log.String() }

// Stop terminates it as Kubernetes does.
func (s *Service) Stop() { s.process.end() }

// Kill kills it, as if its node was lost.
func (s *Service) Kill() { s.process.kill() }
