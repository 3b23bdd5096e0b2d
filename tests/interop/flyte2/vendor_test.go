package flyte2

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// vendor contains the differences between the three services.
type vendor struct {
	name     string
	taskType string
	// golden is the request in tests/golden/v2 that the tasks are taken from.
	golden string
	// rejected is a permanent failure, transient one that a retry may fix.
	rejected, transient string
	serviceFlags        []string
	fakeFlags           []string
	// count is the path of the fake's job count.
	count string
	// variables give the service credentials of its own.
	variables func(upstream string) []string
	// writesOutputs: the vendor's job writes outputs.pb, not the executor.
	writesOutputs bool
	create        string
}

// verb distinguishes creates, cancels and other calls.
func (v vendor) verb(request *http.Request) verb {
	switch path := request.URL.Path; {
	case request.Method != http.MethodPost:
		return ""
	case strings.HasSuffix(path, "/cancel"):
		return cancels
	case strings.HasSuffix(path, v.create):
		return creates
	}
	return ""
}

// The secrets of the tests.
const (
	databricksToken = "dapi-0123456789abcdef"
	serviceAccount  = "etl@acme-analytics.iam.gserviceaccount.com"
)

var signingKey = newKey()

func bigquery() vendor {
	return vendor{
		name: "bigquery", taskType: "bigquery_query_job_task", golden: "bq_count_events",
		rejected: "invalidQuery", transient: "backendError",
		count: "/fake/jobs", create: "/jobs",
		variables: func(upstream string) []string {
			return []string{"GCE_METADATA_HOST=" + strings.TrimPrefix(upstream, "http://")}
		},
	}
}

func databricks() vendor {
	return vendor{
		name: "databricks", taskType: "databricks", golden: "dbx_existing_cluster",
		rejected: "INVALID_RUN_CONFIGURATION", transient: "CLUSTER_ERROR",
		// It then serves a second task type, which is not in the executor's configuration.
		serviceFlags: []string{"--instances=myorg.cloud.databricks.com", "--spark"},
		count:        "/fake/runs", create: "/runs/submit", writesOutputs: true,
		variables: func(string) []string { return []string{"_FSEC_DATABRICKS_TOKEN=dapi-of-the-service"} },
	}
}

func snowflake() vendor {
	return vendor{
		name: "snowflake", taskType: "snowflake", golden: "sf_count_users",
		rejected: "001003", transient: "000603",
		serviceFlags: []string{"--accounts=ACMEORG-ANALYTICS"},
		fakeFlags:    []string{"--key=" + keyFile},
		count:        "/fake/statements", create: "/statements",
		variables: func(string) []string { return nil },
	}
}

// everyVendor runs a test for each service, in parallel.
func everyVendor(t *testing.T, test func(*testing.T, vendor)) {
	t.Parallel()
	for _, v := range []vendor{bigquery(), databricks(), snowflake()} {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			test(t, v)
		})
	}
}

// secrets are the secrets named by the tasks' connections.
func secrets() map[string]string {
	account, _ := json.Marshal(map[string]string{
		"type": "service_account", "project_id": "acme-analytics", "private_key_id": "1",
		"private_key": signingKey, "client_email": serviceAccount, "client_id": "1",
		"token_uri": "https://oauth2.googleapis.com/token",
	})
	return map[string]string{
		"GCP_SA_JSON":             string(account),
		"databricks_token_secret": databricksToken,
		"SNOWFLAKE_PRIVATE_KEY":   signingKey,
	}
}

// keyFile contains the signing key, so that the fake Snowflake knows its owner.
var keyFile = filepath.Join(target(), "interop", "flyte2", "snowflake.pem")

// newKey makes the private key of a Google service account and of a Snowflake user.
func newKey() string {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func writeKey() error {
	if err := os.MkdirAll(filepath.Dir(keyFile), 0o755); err != nil {
		return err
	}
	return os.WriteFile(keyFile, []byte(signingKey), 0o600)
}
