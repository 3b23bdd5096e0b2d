package workflow_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/flyteorg/flyte/flyteidl/gen/pb-go/flyteidl/admin"
	idl "github.com/flyteorg/flyte/flyteidl/gen/pb-go/flyteidl/core"
	"github.com/flyteorg/flyte/flyteplugins/go/tasks/plugins/webapi/connector"
	"github.com/flyteorg/flyte/flytepropeller/pkg/apis/flyteworkflow/v1alpha1"
	"github.com/flyteorg/flyte/flytestdlib/storage"

	"outrigger.dev/tests/interop/propeller/harness"
)

// service is a service that is a connector in propeller's configuration.
type service struct {
	upstream *harness.Upstream
	wire     *harness.Wire
}

func serve(t *testing.T, cfg *connector.Config, vendor *harness.Vendor, fake ...string) service {
	t.Helper()
	upstream := harness.StartUpstream(t, vendor, fake...)
	wire := harness.Watch(t, harness.StartService(t, upstream).Address())
	deployment := harness.Deployment(wire.Address())
	cfg.ConnectorDeployments[vendor.Name] = &deployment
	return service{upstream, wire}
}

// One propeller with four services, because there can be only one propeller per process. Each service has its own scenario.
func TestPropeller(t *testing.T) {
	cfg := harness.Config("")
	bigquery := serve(t, cfg, harness.Bigquery, "--polls=0")
	databricks := serve(t, cfg, harness.Databricks, "--polls=0", "--ending="+harness.Databricks.Flaky)
	snowflake := serve(t, cfg, harness.Snowflake, "--ending=stuck")
	sagemaker := serve(t, cfg, harness.Sagemaker, "--polls=1")
	mapped := harness.NewWire(t, harness.NewScripted().Serve(t))
	deployment := harness.Deployment(mapped.Address())
	cfg.ConnectorDeployments["scripted"] = &deployment
	propeller := launch(t, cfg)

	t.Run("runs two nodes one after the other", func(t *testing.T) { twoNodes(t, propeller, bigquery) })
	t.Run("retries with a new job and stops the old one", func(t *testing.T) { retry(t, propeller, databricks) })
	t.Run("stops the job of a cancelled workflow", func(t *testing.T) { cancel(t, propeller, snowflake) })
	t.Run("reads why a job's own code failed", func(t *testing.T) { ownCode(t, propeller, sagemaker) })
	t.Run("gives an unlisted type to its default plugin", func(t *testing.T) { unlisted(t, propeller, bigquery) })
	t.Run("cannot run a map of connector tasks", func(t *testing.T) { mapTask(t, propeller, mapped) })
}

func twoNodes(t *testing.T, propeller *propeller, bigquery service) {
	w := compile(t, step{golden: "bq_docs_example"}, step{golden: "bq_output_columns", after: "n0"})

	w = propeller.untilItEnds(t, w)

	require.Equal(t, v1alpha1.WorkflowPhaseSuccess, w.Status.Phase, w.Status.Error)
	require.Equal(t, 2, bigquery.upstream.Jobs())
	var results []string
	for _, taskEvent := range propeller.taskEvents(w) {
		if taskEvent.GetPhase() == idl.TaskExecution_SUCCEEDED {
			results = append(results, resultsOf(t, propeller, taskEvent.GetOutputUri()))
			require.NotEmpty(t, taskEvent.GetLogs(), "users find the console link in events")
		}
	}
	require.Len(t, results, 2)
	for _, uri := range results {
		require.Contains(t, uri, "bq://")
	}
	require.Zero(t, bigquery.upstream.Deletes())
}

func resultsOf(t *testing.T, propeller *propeller, path string) string {
	t.Helper()
	outputs := &idl.LiteralMap{}
	require.NoError(t, propeller.store.ReadProtobuf(context.Background(), storage.DataReference(path), outputs))
	return outputs.GetLiterals()["results"].GetScalar().GetStructuredDataset().GetUri()
}

func retry(t *testing.T, propeller *propeller, databricks service) {
	w := compile(t, step{golden: "dbx_new_cluster", retries: 1})

	w = propeller.untilItEnds(t, w)

	require.Equal(t, v1alpha1.WorkflowPhaseFailed, w.Status.Phase)
	require.Contains(t, w.Status.Error.GetMessage(), harness.Databricks.Flaky)
	require.Equal(t, 2, databricks.upstream.Jobs(), "each attempt has its own job")
	require.Len(t, prefixes(t, databricks.wire), 2, "each attempt has its own prefix")
	require.Len(t, databricks.wire.Await(t, "DeleteTask", 1), 1, "the failed attempt's, before the next")
	last := propeller.taskEvents(w)[len(propeller.taskEvents(w))-1]
	require.Equal(t, uint32(1), last.GetRetryAttempt())
	require.Contains(t, last.GetError().GetMessage(), harness.Databricks.Flaky)
}

func prefixes(t *testing.T, wire *harness.Wire) map[string]bool {
	t.Helper()
	seen := map[string]bool{}
	for _, call := range wire.CallsTo("CreateTask") {
		request := &admin.CreateTaskRequest{}
		require.NoError(t, proto.Unmarshal(call.Request, request))
		seen[request.GetOutputPrefix()] = true
	}
	return seen
}

func cancel(t *testing.T, propeller *propeller, snowflake service) {
	w := compile(t, step{golden: "sf_select_output"})
	w = propeller.until(t, w, func(*v1alpha1.FlyteWorkflow) bool { return len(snowflake.wire.CallsTo("GetTask")) > 0 })
	// Flyte's API cancels by deleting the custom resource.
	deleted := metav1.NewTime(time.Now())
	w.DeletionTimestamp = &deleted

	require.NoError(t, propeller.executor.HandleAbortedWorkflow(context.Background(), w, 3))

	require.Equal(t, v1alpha1.WorkflowPhaseAborted, w.Status.Phase)
	require.Len(t, snowflake.wire.Await(t, "DeleteTask", 1), 1)
	require.Equal(t, 1, snowflake.upstream.Deletes())
}

// The jobs of code that raises succeed; what it wrote tells whether Flyte may retry.
func ownCode(t *testing.T, propeller *propeller, sagemaker service) {
	w := compile(t, step{golden: "sm_clean_code", retries: 2})
	written := map[string]bool{}
	for _, kind := range []idl.ContainerError_Kind{idl.ContainerError_RECOVERABLE, idl.ContainerError_NON_RECOVERABLE} {
		w = propeller.until(t, w, func(*v1alpha1.FlyteWorkflow) bool { return len(prefixes(t, sagemaker.wire)) > len(written) })
		raised := &idl.ContainerError{Code: "USER:Late", Message: "no orders on this day", Kind: kind}
		for prefix := range prefixes(t, sagemaker.wire) {
			if !written[prefix] {
				written[prefix] = true
				file := storage.DataReference(prefix + "/error.pb")
				require.NoError(t, propeller.store.WriteProtobuf(context.Background(), file, storage.Options{}, &idl.ErrorDocument{Error: raised}))
			}
		}
	}

	w = propeller.untilItEnds(t, w)

	require.Equal(t, v1alpha1.WorkflowPhaseFailed, w.Status.Phase)
	require.Contains(t, w.Status.Error.GetMessage(), "no orders on this day")
	require.Len(t, prefixes(t, sagemaker.wire), 2, "the first error was recoverable, and the second one not")
}

func unlisted(t *testing.T, propeller *propeller, bigquery service) {
	before := len(bigquery.wire.CallsTo("CreateTask"))
	nobodys := func(task *idl.TaskTemplate) { task.Type = "nobody_serves_this" }
	w := compile(t, step{golden: "bq_select_one", change: nobodys})

	w = propeller.untilItEnds(t, w)

	require.Equal(t, v1alpha1.WorkflowPhaseFailed, w.Status.Phase)
	require.Contains(t, w.Status.Error.GetMessage(), "unable to determine Pod configuration", "the pod plugin handles the task, and finds no container")
	require.Len(t, bigquery.wire.CallsTo("CreateTask"), before)
}

// Propeller stores no connector state for the elements of a map task: it passes a pod's state to the plugin, which cannot read it.
func mapTask(t *testing.T, propeller *propeller, connector *harness.Wire) {
	w := compile(t, step{golden: "bq_docs_example", change: scripted, mapped: true})

	var err error
	for looks := 0; err == nil && looks < 10; looks++ {
		err = propeller.executor.HandleFlyteWorkflow(context.Background(), w)
		w = kept(t, w)
	}

	require.ErrorContains(t, err, "CorruptedPluginState")
	require.Empty(t, connector.CallsTo("CreateTask"))
}

func scripted(task *idl.TaskTemplate) { task.Type = harness.ScriptedType }
