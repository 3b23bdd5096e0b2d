package harness

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/flyteorg/flyte/flyteidl/gen/pb-go/flyteidl/admin"
	"github.com/flyteorg/flyte/flyteidl/gen/pb-go/flyteidl/core"
)

// Contract contains propeller's limits.
type Contract struct {
	// Latest is the deadline of an answer.
	Latest time.Duration
	// LargestAnswer is the limit of propeller's client, LargestHandle what fits into a Kubernetes object.
	LargestAnswer, LargestHandle int
}

// Flyte1 is the contract of Flyte 1: the plugin's defaultTimeout, and grpc-go's limit.
var Flyte1 = Contract{Latest: 10 * time.Second, LargestAnswer: 4 << 20, LargestHandle: 1 << 10}

const answered = "0"

type category struct {
	name    string
	version int32
}

// Violations are the breaches in the calls of one service.
func (c Contract) Violations(calls []Call) []string {
	var found []string
	advertised := map[category]bool{}
	for _, call := range calls {
		if call.name() == "ListAgents" && call.Status == answered {
			found = append(found, advertise(call, advertised)...)
		}
	}
	for _, call := range calls {
		found = append(found, c.judge(call, advertised)...)
	}
	return found
}

// advertise records what a service lists; propeller supports only one version of each type, listed in both fields.
func advertise(call Call, advertised map[category]bool) (found []string) {
	var answer admin.ListAgentsResponse
	if err := proto.Unmarshal(call.Answer, &answer); err != nil {
		return []string{"ListAgents: " + err.Error()}
	}
	versions := map[string]int{}
	for _, agent := range answer.GetAgents() {
		for _, listed := range agent.GetSupportedTaskCategories() {
			advertised[category{listed.GetName(), listed.GetVersion()}] = true
			versions[listed.GetName()]++
		}
		for _, name := range agent.GetSupportedTaskTypes() {
			if versions[name] == 0 {
				found = append(found, fmt.Sprintf("ListAgents: %s has no category", name))
			}
		}
	}
	for name, count := range versions {
		if count > 1 {
			found = append(found, fmt.Sprintf("ListAgents: %s is listed with %d versions", name, count))
		}
	}
	return found
}

func (c Contract) judge(call Call, advertised map[category]bool) (found []string) {
	if call.Took > c.Latest {
		found = append(found, fmt.Sprintf("%s: answered after %s", call.name(), call.Took.Round(time.Millisecond)))
	}
	if len(call.Answer) > c.LargestAnswer {
		found = append(found, fmt.Sprintf("%s: an answer of %d bytes", call.name(), len(call.Answer)))
	}
	if call.Status != answered {
		return found
	}
	asked, broken := c.read(call)
	if broken != "" {
		found = append(found, call.name()+": "+broken)
	}
	if asked.name != "" && !advertised[asked] {
		found = append(found, fmt.Sprintf("%s: serves %s in version %d, which it does not advertise", call.name(), asked.name, asked.version))
	}
	return found
}

// read returns the category of a call, and the breaches in its answer.
func (c Contract) read(call Call) (asked category, broken string) {
	switch call.name() {
	case "CreateTask":
		return c.readCreate(call)
	case "GetTask":
		return readGet(call)
	case "DeleteTask":
		var request admin.DeleteTaskRequest
		_ = proto.Unmarshal(call.Request, &request)
		return toCategory(request.GetTaskCategory()), ""
	}
	return category{}, ""
}

func (c Contract) readCreate(call Call) (asked category, broken string) {
	var request admin.CreateTaskRequest
	var answer admin.CreateTaskResponse
	_ = proto.Unmarshal(call.Request, &request)
	if proto.Unmarshal(call.Answer, &answer) != nil || len(answer.GetResourceMeta()) == 0 {
		broken = "no handle"
	}
	if size := len(answer.GetResourceMeta()); size > c.LargestHandle {
		broken = fmt.Sprintf("a handle of %d bytes", size)
	}
	return category{request.GetTemplate().GetType(), request.GetTemplate().GetTaskTypeVersion()}, broken
}

func readGet(call Call) (asked category, broken string) {
	var request admin.GetTaskRequest
	var answer admin.GetTaskResponse
	_ = proto.Unmarshal(call.Request, &request)
	if proto.Unmarshal(call.Answer, &answer) != nil || answer.GetResource().GetPhase() == core.TaskExecution_UNDEFINED {
		broken = "no phase"
	}
	return toCategory(request.GetTaskCategory()), broken
}

func toCategory(sent *admin.TaskCategory) category {
	return category{sent.GetName(), sent.GetVersion()}
}
