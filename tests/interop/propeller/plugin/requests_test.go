package plugin_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/flyteorg/flyte/flyteplugins/go/tasks/pluginmachinery/core"

	"outrigger.dev/tests/interop/propeller/harness"
)

// recorded are the requests of flytekit's own plugins besides the one that stands for its vendor elsewhere, each with the operations
// of AWS that start and stop its job.
var recorded = []struct {
	vendor                *harness.Vendor
	golden, starts, stops string
}{
	{harness.Sagemaker, "sm_processing", "CreateProcessingJob", "StopProcessingJob"},
	{harness.Sagemaker, "sm_transform", "CreateTransformJob", "StopTransformJob"},
	{harness.Sagemaker, "sm_tuning", "CreateHyperParameterTuningJob", "StopHyperParameterTuningJob"},
	{harness.Sagemaker, "sm_recommender", "CreateInferenceRecommendationsJob", "StopInferenceRecommendationsJob"},
	{harness.Sagemaker, "sm_endpoint", "CreateEndpoint", "DeleteEndpoint"},
	{harness.Sagemaker, "sm_train_code", "CreateTrainingJob", "StopTrainingJob"},
	{harness.Sagemaker, "sm_clean_code", "CreateProcessingJob", "StopProcessingJob"},
	{harness.EmrServerless, "emr_minimal", "StartJobRun", "CancelJobRun"},
	{harness.EmrServerless, "emr_application", "StartJobRun", "CancelJobRun"},
	{harness.EmrServerless, "emr_spark", "StartJobRun", "CancelJobRun"},
	{harness.EmrServerless, "emr_code", "StartJobRun", "CancelJobRun"},
	{harness.AwsBatch, "aws_orders", "SubmitJob", "TerminateJob"},
	{harness.AwsBatch, "aws_fargate", "SubmitJob", "TerminateJob"},
}

// recordedTask is an attempt of a recorded task, with the outputs that its code would write.
func recordedTask(t *testing.T, golden string) *harness.Task {
	t.Helper()
	request := harness.Golden(t, golden)
	if golden == "emr_code" {
		// The fake's application has AWS's own image.
		request.GetTemplate().GetCustom().GetFields()["sync_image"] = structpb.NewBoolValue(false)
	}
	task := harness.NewTask(t, request)
	for name := range task.Template().GetInterface().GetOutputs().GetVariables() {
		if name != "result" {
			task.WriteOutputs(t, number(name))
		}
	}
	return task
}

func TestEachRecordedRequestSucceedsFailsAndIsAborted(t *testing.T) {
	t.Parallel()
	for _, vendor := range []*harness.Vendor{harness.AwsBatch, harness.EmrServerless, harness.Sagemaker} {
		t.Run(vendor.Name, func(t *testing.T) {
			t.Parallel()
			succeeds, fails := set(t, vendor, "--polls=1"), set(t, vendor, "--polls=1", "--ending="+vendor.Broken)
			lasts := set(t, vendor, "--polls=99")
			starts, stops := map[string]int{}, map[string]int{}
			t.Run("requests", func(t *testing.T) {
				for _, one := range recorded {
					if one.vendor != vendor {
						continue
					}
					starts[one.starts]++
					stops[one.stops]++
					t.Run(one.golden, func(t *testing.T) {
						t.Parallel()
						aborted := recordedTask(t, one.golden)
						aborted.Handle(t, lasts.plugin)
						require.NoError(t, lasts.plugin.Abort(context.Background(), aborted))

						ended := recordedTask(t, one.golden).UntilItEnds(t, succeeds.plugin)
						require.Equal(t, core.PhaseSuccess, ended.Phase(), ended.Err())

						failed := recordedTask(t, one.golden).UntilItEnds(t, fails.plugin)
						require.Equal(t, core.PhasePermanentFailure, failed.Phase(), failed.Err())
						require.Contains(t, failed.Err().GetMessage(), vendor.Broken)
					})
				}
			})
			for operation, times := range starts {
				require.Equal(t, times, calledTo(t, succeeds, operation))
				require.Equal(t, times, calledTo(t, lasts, operation))
			}
			for operation, times := range stops {
				require.Zero(t, calledTo(t, succeeds, operation), "nothing that ended well is stopped")
				require.Equal(t, times, calledTo(t, lasts, operation), operation)
			}
		})
	}
}

// calledTo counts the calls of an operation of AWS.
func calledTo(t *testing.T, stage *stage, operation string) (count int) {
	t.Helper()
	for _, call := range stage.upstream.Operations(t) {
		if call[0] == operation {
			count++
		}
	}
	return count
}
