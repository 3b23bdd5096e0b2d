package flyte2

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	flyteorgv1 "github.com/flyteorg/flyte/v2/executor/api/v1"
	pluginscore "github.com/flyteorg/flyte/v2/flyteplugins/go/tasks/pluginmachinery/core"
	connectorplugin "github.com/flyteorg/flyte/v2/flyteplugins/go/tasks/plugins/webapi/connector"
	"github.com/flyteorg/flyte/v2/gen/go/flyteidl2/connector"
	"github.com/flyteorg/flyte/v2/gen/go/flyteidl2/core"
)

// The types that a service lists determine where a call goes, but not whether the plugin handles the task.
func TestUnconfiguredTaskTypeUsesDefaultPlugin(t *testing.T) {
	t.Parallel()
	s := stageOf(t, databricks(), "success")
	await(t, "discovery of spark", func() bool { return flyte.connector.ContainTaskType("spark") })
	r := s.run(t, func(template *core.TaskTemplate) { template.Type = "spark" })
	pods := func() int {
		var list corev1.PodList
		must(t, flyte.kube.List(t.Context(), &list, client.MatchingLabels{"project": s.project}))
		return len(list.Items)
	}
	r.until("a pod", func(*flyteorgv1.TaskAction) bool { return pods() == 1 })
	if creates := s.calls("CreateTask"); len(creates) != 0 {
		t.Fatalf("%d creates", len(creates))
	}
}

func TestBothSettingsRouteTaskTypesToPlugin(t *testing.T) {
	t.Parallel()
	for _, v := range []vendor{bigquery(), databricks(), snowflake()} {
		p, err := flyte.registry.ResolvePlugin(v.taskType)
		must(t, err)
		if p.GetID() != connectorplugin.ID {
			t.Errorf("%s goes to %s", v.taskType, p.GetID())
		}
	}
}

func TestEmptySupportedTaskTypesPanics(t *testing.T) {
	t.Parallel()
	if message := fmt.Sprint(flyte.refusesNoTaskTypes); !strings.Contains(message, "at least one task type") {
		t.Fatalf("the message is %s", message)
	}
}

func TestUnlistedVersionIsNotSentToService(t *testing.T) {
	t.Parallel()
	s := stageOf(t, bigquery(), "success")
	r := s.run(t, func(template *core.TaskTemplate) { template.TaskTypeVersion = 7 })
	r.ends(pluginscore.PhasePermanentFailure)
	if creates := s.calls("CreateTask"); len(creates) != 0 {
		t.Fatalf("%d creates", len(creates))
	}
}

func TestCreateRequestContents(t *testing.T) {
	t.Parallel()
	s := stageOf(t, bigquery(), "success")
	r := s.run(t, retries(1))
	r.created()
	call := s.calls("CreateTask")[0]
	if seconds := call.allowed.Seconds(); seconds < 9 || seconds > 10 {
		t.Errorf("the deadline is %v", call.allowed)
	}
	var create connector.CreateTaskRequest
	must(t, proto.Unmarshal(call.request, &create))
	metadata := create.GetTaskExecutionMetadata()
	id := metadata.GetTaskExecutionId()
	node := id.GetNodeExecutionId()
	got := fmt.Sprint(node.GetExecutionId().GetProject(), node.GetExecutionId().GetDomain(), node.GetExecutionId().GetName(),
		node.GetNodeId(), id.GetRetryAttempt(), id.GetTaskId().GetName())
	if wanted := fmt.Sprint(s.project, domain, "run", "action", 0, create.GetTemplate().GetId().GetName()); got != wanted {
		t.Errorf("the task is %s, not %s", got, wanted)
	}
	wanted := "ACTION_NAME RUN_NAME _U_ORG_NAME _U_RUN_BASE"
	if names := strings.Join(sorted(metadata.GetEnvironmentVariables()), " "); names != wanted {
		t.Errorf("the environment is %s", names)
	}
	wanted = "action attempt domain flyte.org/managed organization project run task-name"
	if names := strings.Join(sorted(metadata.GetLabels()), " "); names != wanted {
		t.Errorf("the labels are %s", names)
	}
	if metadata.GetMaxAttempts() != 0 {
		t.Errorf("max_attempts is %d", metadata.GetMaxAttempts())
	}
}
