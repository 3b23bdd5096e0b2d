package harness

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Audience is the audience of tokens for the services.
const Audience = "flyte-connectors"

// Issuer is a cluster that issues ServiceAccount tokens and publishes its keys.
type Issuer struct {
	url       string
	mutex     sync.Mutex
	published []Key
}

// Key is a key of an issuer.
type Key struct {
	id      string
	private *rsa.PrivateKey
}

// NewKey generates a key. It is not trusted until it is published.
func NewKey(t testing.TB, id string) Key {
	t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	return Key{id, private}
}

// NewIssuer publishes a key.
func NewIssuer(t testing.TB, keys ...Key) *Issuer {
	t.Helper()
	issuer := &Issuer{published: keys}
	server := httptest.NewServer(http.HandlerFunc(issuer.serve))
	t.Cleanup(server.Close)
	issuer.url = server.URL
	return issuer
}

// Publish replaces the keys.
func (i *Issuer) Publish(keys ...Key) {
	i.mutex.Lock()
	defer i.mutex.Unlock()
	i.published = keys
}

func (i *Issuer) serve(answer http.ResponseWriter, _ *http.Request) {
	i.mutex.Lock()
	defer i.mutex.Unlock()
	var keys []map[string]string
	for _, key := range i.published {
		public := key.private.PublicKey
		keys = append(keys, map[string]string{
			"kty": "RSA", "use": "sig", "alg": "RS256", "kid": key.id,
			"n": encode(public.N.Bytes()), "e": encode(big.NewInt(int64(public.E)).Bytes()),
		})
	}
	answer.Header().Set("content-type", "application/jwk-set+json")
	_ = json.NewEncoder(answer).Encode(map[string]any{"keys": keys})
}

// Auth is the argument of a service that accepts only tokens of propeller's ServiceAccount.
func (i *Issuer) Auth(t testing.TB) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "auth.yaml")
	write(t, file, fmt.Sprintf(`
issuers:
  - {name: cluster, issuer: %q, audiences: [%s], jwks: {url: "%s/openid/v1/jwks"}}
rules:
  - {issuer: cluster, sub: "system:serviceaccount:flyte:flytepropeller", role: propeller}
`, i.url, Audience, i.url))
	return "--auth=" + file
}

// Token is a projected token of propeller's ServiceAccount; the given claims override the defaults.
func (i *Issuer) Token(t testing.TB, key Key, others map[string]any) string {
	t.Helper()
	now := time.Now().Unix()
	claims := map[string]any{
		"iss": i.url, "aud": []string{Audience}, "sub": "system:serviceaccount:flyte:flytepropeller",
		"iat": now, "nbf": now, "exp": now + 3600,
		"kubernetes.io": map[string]any{
			"namespace":      "flyte",
			"serviceaccount": map[string]string{"name": "flytepropeller", "uid": "5b7ec2f4"},
		},
	}
	maps.Copy(claims, others)
	signed := part(t, map[string]string{"alg": "RS256", "kid": key.id}) + "." + part(t, claims)
	digest := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key.private, crypto.SHA256, digest[:])
	require.NoError(t, err)
	return signed + "." + encode(signature)
}

func part(t testing.TB, value any) string {
	t.Helper()
	bytes, err := json.Marshal(value)
	require.NoError(t, err)
	return encode(bytes)
}

func encode(bytes []byte) string { return base64.RawURLEncoding.EncodeToString(bytes) }
