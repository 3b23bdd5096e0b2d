// Package plugin_test drives the services with propeller's connector plugin.
//
// Each service runs one task to its end and has another aborted, and those of AWS, for which Flyte has no connector to compare with, show
// failures and repeated creates as well. The other behaviours are propeller's and plugin-core's, whichever
// vendor is behind the service, so BigQuery's service stands for all. What each service answers about its vendor's jobs, their
// errors and repeated creates is in tests/it and in each service's conformance tests.
package plugin_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	idl "github.com/flyteorg/flyte/flyteidl/gen/pb-go/flyteidl/core"
	"github.com/flyteorg/flyte/flyteplugins/go/tasks/pluginmachinery/core"

	"outrigger.dev/tests/interop/propeller/harness"
)

// stage is a fake vendor, its service, and the plugin connected to the service.
type stage struct {
	vendor   *harness.Vendor
	upstream *harness.Upstream
	service  *harness.Service
	wire     *harness.Wire
	plugin   *harness.Plugin
}

func set(t *testing.T, vendor *harness.Vendor, fake ...string) *stage {
	t.Helper()
	upstream := harness.StartUpstream(t, vendor, fake...)
	service := harness.StartService(t, upstream)
	wire := harness.Watch(t, service.Address())
	return &stage{vendor, upstream, service, wire, harness.LoadOn(t, wire)}
}

func (s *stage) task(t *testing.T) *harness.Task {
	t.Helper()
	return harness.NewTask(t, harness.Golden(t, s.vendor.Golden))
}

func TestATaskSucceedsWithOutputsAndAnotherIsAborted(t *testing.T) {
	t.Parallel()
	for _, vendor := range harness.Vendors {
		t.Run(vendor.Name, func(t *testing.T) {
			t.Parallel()
			succeedAndAbort(t, vendor)
		})
	}
}

func succeedAndAbort(t *testing.T, vendor *harness.Vendor) {
	t.Helper()
	stage := set(t, vendor, "--polls=1")
	task := stage.task(t)
	if vendor == harness.Databricks {
		// The run writes its outputs itself; the fake runs nothing.
		task.WriteOutputs(t, number("o0"))
	}

	ended := task.UntilItEnds(t, stage.plugin)

	require.Equal(t, core.PhaseSuccess, ended.Phase(), ended.Err())
	require.NotEmpty(t, ended.Info().Logs, "a link to the vendor's console")
	for name := range task.Template().GetInterface().GetOutputs().GetVariables() {
		require.Contains(t, task.Outputs(t).GetLiterals(), name)
		require.Contains(t, uri(task.Outputs(t).GetLiterals()[name]), vendor.Results)
	}
	require.Equal(t, 1, stage.upstream.Jobs())
	require.Zero(t, stage.upstream.Deletes(), "propeller deletes nothing that ended well")
	aborted := stage.task(t)
	aborted.Handle(t, stage.plugin)
	require.NoError(t, stage.plugin.Abort(context.Background(), aborted))
	require.Len(t, stage.wire.Await(t, "DeleteTask", 1), 1)
	require.Equal(t, 2, stage.upstream.Jobs())
	require.Equal(t, 1, stage.upstream.Deletes())
}

// withFailures are the services whose failures and repeats propeller sees.
var withFailures = []*harness.Vendor{harness.Athena, harness.AwsBatch, harness.Bigquery, harness.EmrServerless, harness.Redshift, harness.Sagemaker}

func TestFailureCarriesVendorMessage(t *testing.T) {
	t.Parallel()
	for _, vendor := range withFailures {
		t.Run(vendor.Name, func(t *testing.T) {
			t.Parallel()
			stage := set(t, vendor, "--polls=0", "--ending="+vendor.Broken)

			ended := stage.task(t).UntilItEnds(t, stage.plugin)

			require.Equal(t, core.PhasePermanentFailure, ended.Phase())
			require.Equal(t, idl.ExecutionError_USER, ended.Err().GetKind())
			require.Contains(t, ended.Err().GetMessage(), "failed to run the job: ")
			require.Contains(t, ended.Err().GetMessage(), vendor.Broken)
		})
	}
}

func TestRetryableFailureIsReported(t *testing.T) {
	t.Parallel()
	for _, vendor := range withFailures {
		t.Run(vendor.Name, func(t *testing.T) {
			t.Parallel()
			stage := set(t, vendor, "--polls=1", "--ending="+vendor.Flaky)

			ended := stage.task(t).UntilItEnds(t, stage.plugin)

			require.Equal(t, core.PhaseRetryableFailure, ended.Phase())
			require.Contains(t, ended.Err().GetMessage(), vendor.Flaky)
		})
	}
}

// uri is where the rows of a literal are.
func uri(literal *idl.Literal) string {
	scalar := literal.GetScalar()
	return scalar.GetStructuredDataset().GetUri() + scalar.GetSchema().GetUri()
}

func number(name string) *idl.LiteralMap {
	value := &idl.Primitive{Value: &idl.Primitive_FloatValue{FloatValue: 3.14}}
	scalar := &idl.Scalar{Value: &idl.Scalar_Primitive{Primitive: value}}
	return &idl.LiteralMap{Literals: map[string]*idl.Literal{name: {Value: &idl.Literal_Scalar{Scalar: scalar}}}}
}
