package flyte2

import (
	"bytes"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/flyteorg/flyte/v2/executor/pkg/plugin"
	pluginscore "github.com/flyteorg/flyte/v2/flyteplugins/go/tasks/pluginmachinery/core"
	"github.com/flyteorg/flyte/v2/gen/go/flyteidl2/connector"
	"github.com/flyteorg/flyte/v2/gen/go/flyteidl2/core"
)

// secretTask is a task whose connection names a secret, and the credentials that reach the vendor.
type secretTask struct {
	golden, argument, name string
	// signedBy is part of the credentials that the vendor receives, decoded if they are a token.
	signedBy string
}

var secretTasks = map[string]secretTask{
	"bigquery":   {"bq_secret", "google_application_credentials", "GCP_SA_JSON", serviceAccount},
	"databricks": {"dbx_existing_cluster", "databricks_token", "databricks_token_secret", databricksToken},
	"snowflake":  {"sf_count_users", "snowflake_private_key", "SNOWFLAKE_PRIVATE_KEY", "ACMEORG-ANALYTICS.FLYTE_SVC"},
}

func TestConnectionSecretAuthenticatesAtVendor(t *testing.T) {
	everyVendor(t, func(t *testing.T, v vendor) {
		task := secretTasks[v.name]
		v.golden = task.golden
		s := stageOf(t, v, "success")
		r := s.run(t)
		r.ends(pluginscore.PhaseSuccess)
		if shown := decoded(s.upstream.calls(creates)[0].authorization); !strings.Contains(shown, task.signedBy) {
			t.Fatalf("the vendor received %q", shown)
		}
		if id := "u__org__flyte__domain__" + domain + "__project__" + s.project + "__key__" + task.name; r.secrets.asked[0] != id {
			t.Fatalf("asked for %s", r.secrets.asked[0])
		}
		s.checkSecret(t, r, task)
		r.delete()
		var last connector.DeleteTaskRequest
		must(t, proto.Unmarshal(s.calls("DeleteTask")[0].request, &last))
		if last.GetConnection().GetSecrets()[task.argument] != secrets()[task.name] {
			t.Fatal("the delete does not contain the secret")
		}
	})
}

// checkSecret checks where the secret appears: in every call and etcd, but not in the service's log.
func (s *stage) checkSecret(t *testing.T, r *run, task secretTask) {
	t.Helper()
	secret := secrets()[task.name]
	var create connector.CreateTaskRequest
	must(t, proto.Unmarshal(s.calls("CreateTask")[0].request, &create))
	if create.GetConnection().GetSecrets()[task.argument] != secret {
		t.Fatal("the create does not contain the secret")
	}
	for _, poll := range s.calls("GetTask") {
		var get connector.GetTaskRequest
		must(t, proto.Unmarshal(poll.request, &get))
		if get.GetConnection().GetSecrets()[task.argument] != secret {
			t.Fatal("a poll does not contain the secret")
		}
	}
	if !bytes.Contains(r.now().Status.PluginState, []byte(secret)) {
		t.Fatal("the TaskAction does not contain the secret in plain text")
	}
	log, err := os.ReadFile(filepath.Join(files(t), s.vendor.name+".log"))
	must(t, err)
	if first, _, _ := strings.Cut(secret, "\n"); strings.Contains(string(log), first) {
		t.Fatal("the service logs the secret")
	}
}

// decoded is an authorization header with the parts of its token in plain text.
func decoded(authorization string) string {
	text := authorization
	for _, part := range strings.Split(strings.TrimPrefix(authorization, "Bearer "), ".") {
		if plain, err := base64.RawURLEncoding.DecodeString(part); err == nil {
			text += string(plain)
		}
	}
	return text
}

func TestCreateFailsBeforeCallWithoutSecretManager(t *testing.T) {
	everyVendor(t, func(t *testing.T, v vendor) {
		v.golden = secretTasks[v.name].golden
		s := stageOf(t, v, "success")
		r := s.run(t, retries(1))
		r.reconciler.SecretManager = plugin.NewNoopSecretManager()
		action := r.ends(pluginscore.PhasePermanentFailure)
		if !strings.Contains(action.Status.ErrorState.Message, "secrets are not supported by the executor's no-op secret manager") {
			t.Fatalf("the message is %q", action.Status.ErrorState.Message)
		}
		if action.Status.Attempts != 2 {
			t.Fatalf("%d attempts", action.Status.Attempts)
		}
		if calls := len(s.calls("CreateTask")); calls != 0 {
			t.Fatalf("%d creates", calls)
		}
	})
}

// The SDK writes null for an omitted secret; the executor looks up an empty name.
func TestNullSecretFailsCreateBeforeCall(t *testing.T) {
	t.Parallel()
	v := databricks()
	v.golden = "dbx_no_token"
	s := stageOf(t, v, "success")
	r := s.run(t)
	action := r.ends(pluginscore.PhasePermanentFailure)
	if !strings.Contains(action.Status.ErrorState.Message, "Failed to get secret value") {
		t.Fatalf("the message is %q", action.Status.ErrorState.Message)
	}
	if id := r.secrets.asked[0]; !strings.HasSuffix(id, "__key__") {
		t.Fatalf("asked for %s", id)
	}
	if calls := len(s.calls("CreateTask")); calls != 0 {
		t.Fatalf("%d creates", calls)
	}
}

func TestServiceUsesOwnCredentialsWithoutSecrets(t *testing.T) {
	t.Parallel()
	v := databricks()
	s := stageOf(t, v, "success")
	r := s.run(t, func(template *core.TaskTemplate) { delete(template.GetCustom().GetFields(), "secrets") })
	r.ends(pluginscore.PhaseSuccess)
	if shown := s.upstream.calls(creates)[0].authorization; shown != "Bearer dapi-of-the-service" {
		t.Fatalf("the vendor received %q", shown)
	}
}
