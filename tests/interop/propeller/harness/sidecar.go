package harness

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// Sidecar is a propeller-proxy in front of a service: it adds a token to calls.
type Sidecar struct {
	address string
	token   string
}

// StartSidecar starts one in front of the service at target.
func StartSidecar(t testing.TB, target, token string) *Sidecar {
	t.Helper()
	sidecar := &Sidecar{address: FreeAddress(t), token: filepath.Join(t.TempDir(), "token")}
	sidecar.Rotate(t, token)
	admin := FreeAddress(t)
	start(t, "propeller-proxy", nil, "--route="+sidecar.address+"=http://"+target, "--token-file="+sidecar.token,
		"--admin-listen="+admin, "--drain-delay=0s")
	awaitReady(t, admin)
	return sidecar
}

// Address is the endpoint in propeller's configuration.
func (s *Sidecar) Address() string { return s.address }

// Rotate replaces the token as a kubelet does: atomically, with a new file.
func (s *Sidecar) Rotate(t testing.TB, token string) {
	t.Helper()
	write(t, s.token+".new", token)
	require.NoError(t, os.Rename(s.token+".new", s.token))
}
