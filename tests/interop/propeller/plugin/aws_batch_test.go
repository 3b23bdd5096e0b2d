package plugin_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/flyteorg/flyte/flyteidl/gen/pb-go/flyteidl/admin"
	"github.com/flyteorg/flyte/flyteplugins/go/tasks/pluginmachinery/core"
	"github.com/flyteorg/flyte/flyteplugins/go/tasks/plugins/array/awsbatch"
	"github.com/flyteorg/flyte/flyteplugins/go/tasks/plugins/array/awsbatch/config"

	"outrigger.dev/tests/interop/propeller/harness"
)

// batchDifferences are the rows of the service's README, with the members of SubmitJob that each is about.
var batchDifferences = []struct {
	row     string
	members []string
}{
	{row: "serves map tasks, too"},
	{row: "outputs in `<output prefix>/0`", members: []string{"containerOverrides.command"}},
	{row: "a job's name is the attempt's, and a repeated create is a second job", members: []string{"jobName"}},
	{row: "a job definition for each image, role, platform and *each propeller process*", members: []string{"jobDefinition"}},
	{row: "definitions for Fargate have no role to pull images with"},
	{row: "every failure may be retried"},
	{row: "AWS retries besides Flyte", members: []string{"retryStrategy"}},
	{row: "the queue comes from Flyte's attributes (ConfigMap)"},
	{row: "`schedulingPriority` is not sent", members: []string{"schedulingPriorityOverride"}},
	{row: "without a timeout, a job has three days", members: []string{"timeout"}},
	{
		row:     "memory in MB, though AWS takes it for MiB; no GPUs",
		members: []string{"containerOverrides.memory", "containerOverrides.vcpus", "containerOverrides.resourceRequirements"},
	},
	{
		row:     "the node and variables that Flyte's administrators set for executions are not passed; the attempt is `FLYTE_ATTEMPT_NUMBER`",
		members: []string{"containerOverrides.environment"},
	},
}

// TestJobsOfAWSBatchAreThoseOfPropellersOwnPlugin compares what propeller's own plugin would submit with what the service does.
func TestJobsOfAWSBatchAreThoseOfPropellersOwnPlugin(t *testing.T) {
	t.Parallel()
	found := map[string]bool{}
	for _, golden := range []string{"aws_minimal", "aws_orders"} {
		t.Run(golden, func(t *testing.T) {
			stage := set(t, harness.AwsBatch, "--polls=9")
			task := harness.NewTask(t, unrendered(harness.Golden(t, golden)))

			task.UntilItRuns(t, stage.plugin)
			theirs, err := awsbatch.FlyteTaskToBatchInput(context.Background(), inPropeller{task}, "theirs", config.GetConfig())

			require.NoError(t, err)
			for _, member := range different("", plain(t, theirs), submitted(t, stage.upstream)) {
				found[member] = true
			}
		})
	}
	listed := map[string]bool{}
	for _, difference := range batchDifferences {
		for _, member := range difference.members {
			listed[member] = true
		}
	}
	require.Equal(t, listed, found)
}

func TestReadmeOfAWSBatchHasTheseDifferences(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile(filepath.Join(harness.Root(), "services", "aws-batch", "README.md"))
	require.NoError(t, err)
	_, table, _ := strings.Cut(string(readme), "| propeller's plugin (Flyte 1) |")
	table, _, _ = strings.Cut(table, "\n\n")
	var rows, expected []string
	for _, line := range strings.Split(table, "\n")[2:] {
		rows = append(rows, strings.TrimSpace(strings.Split(line, "|")[1]))
	}
	for _, difference := range batchDifferences {
		expected = append(expected, difference.row)
	}
	require.Equal(t, expected, rows)
}

// unrendered puts the placeholder for the output prefix back: propeller renders it for both.
func unrendered(request *admin.CreateTaskRequest) *admin.CreateTaskRequest {
	arguments := request.GetTemplate().GetContainer().GetArgs()
	for i, argument := range arguments {
		arguments[i] = strings.ReplaceAll(argument, request.GetOutputPrefix(), "{{.outputPrefix}}")
	}
	return request
}

// inPropeller is a task with the overrides that propeller has for its own plugins.
type inPropeller struct{ *harness.Task }

func (task inPropeller) TaskExecutionMetadata() core.TaskExecutionMetadata {
	return withOverrides{task.Task.TaskExecutionMetadata()}
}

type withOverrides struct{ core.TaskExecutionMetadata }

func (withOverrides) GetOverrides() core.TaskOverrides                   { return overrides{} }
func (withOverrides) GetPlatformResources() *corev1.ResourceRequirements { return nil }

type overrides struct{ core.TaskOverrides }

func (overrides) GetResources() *corev1.ResourceRequirements { return nil }
func (overrides) GetConfig() *corev1.ConfigMap {
	return &corev1.ConfigMap{Data: map[string]string{awsbatch.DynamicTaskQueueKey: "etl"}}
}

// plain is a structure of AWS's SDK as its JSON.
func plain(t *testing.T, value any) map[string]any {
	t.Helper()
	text, err := json.Marshal(value)
	require.NoError(t, err)
	var object any
	require.NoError(t, json.Unmarshal(text, &object))
	return lower(object).(map[string]any)
}

// lower gives members the names that they have in requests, and leaves out those that are not sent.
func lower(value any) any {
	switch value := value.(type) {
	case map[string]any:
		named := map[string]any{}
		for name, member := range value {
			if member == nil {
				continue
			}
			// The keys of the author's maps have small letters.
			runes := []rune(name)
			runes[0] = unicode.ToLower(runes[0])
			named[string(runes)] = lower(member)
		}
		return named
	case []any:
		for i := range value {
			value[i] = lower(value[i])
		}
	}
	return value
}

// submitted is the job that the service submitted.
func submitted(t *testing.T, upstream *harness.Upstream) map[string]any {
	t.Helper()
	calls := upstream.Operations(t)
	index := slices.IndexFunc(calls, func(call [2]any) bool { return call[0] == "SubmitJob" })
	require.GreaterOrEqual(t, index, 0, calls)
	return calls[index][1].(map[string]any)
}

// different are the members that differ.
func different(prefix string, one, other map[string]any) (members []string) {
	names := map[string]bool{}
	for name := range one {
		names[name] = true
	}
	for name := range other {
		names[name] = true
	}
	for name := range names {
		left, isObject := one[name].(map[string]any)
		right, areObjects := other[name].(map[string]any)
		switch {
		case isObject && areObjects && prefix == "" && name == "containerOverrides":
			members = append(members, different(name+".", left, right)...)
		case !reflect.DeepEqual(one[name], other[name]):
			members = append(members, prefix+name)
		}
	}
	return members
}
