package flyte2

import (
	"fmt"
	"time"

	"github.com/flyteorg/flyte/v2/gen/go/flyteidl2/connector"
	"github.com/flyteorg/flyte/v2/gen/go/flyteidl2/core"
	"google.golang.org/protobuf/proto"
)

// limits are the limits of the executor for a service.
type limits struct {
	// handle is the maximum size of a handle: it is stored in the TaskAction, in etcd.
	handle int
	// answer is the default limit of grpc-go's clients.
	answer int
	// time is the plugin's default deadline.
	time time.Duration
}

var executorLimits = limits{handle: 1 << 10, answer: 4 << 20, time: 10 * time.Second}

// categories are the versions that a service offers, by task type.
type categories map[string]int32

// judge returns the breaches of the contract in an answer. Errors are not checked here but by the tests.
func (r *relay) judge(call rpc) []string {
	var broken []string
	breaks := func(format string, arguments ...any) {
		broken = append(broken, call.method+": "+fmt.Sprintf(format, arguments...))
	}
	// A test may set a deadline below the limit; an answer after it is not a breach.
	if call.took > r.limits.time || call.abandoned && call.took > r.limits.time*9/10 {
		breaks("took %v", call.took)
	}
	if call.err != nil {
		return broken
	}
	if len(call.answer) > r.limits.answer {
		breaks("an answer of %d bytes", len(call.answer))
	}
	switch call.method {
	case "ListConnectors":
		r.offered = offers(call, breaks)
	case "CreateTask":
		r.judgeCreate(call, breaks)
	case "GetTask":
		r.judgeGet(call, breaks)
	case "DeleteTask":
		var request connector.DeleteTaskRequest
		decode(call.request, &request, breaks)
		r.judgeCategory(request.GetTaskCategory(), breaks)
	}
	return broken
}

type breaksFunc func(format string, arguments ...any)

func decode(message []byte, into proto.Message, breaks breaksFunc) {
	if err := proto.Unmarshal(message, into); err != nil {
		breaks("does not decode: %v", err)
	}
}

// offers reads the versions that a service lists: one per task type, because the last one would win.
func offers(call rpc, breaks breaksFunc) categories {
	var answer connector.ListConnectorsResponse
	decode(call.answer, &answer, breaks)
	offered := categories{}
	for _, served := range answer.GetConnectors() {
		for _, category := range served.GetSupportedTaskCategories() {
			if _, twice := offered[category.GetName()]; twice {
				breaks("two versions of %s", category.GetName())
			}
			offered[category.GetName()] = category.GetVersion()
		}
	}
	return offered
}

func (r *relay) judgeCreate(call rpc, breaks breaksFunc) {
	var request connector.CreateTaskRequest
	var answer connector.CreateTaskResponse
	decode(call.request, &request, breaks)
	decode(call.answer, &answer, breaks)
	template := request.GetTemplate()
	r.judgeCategory(&connector.TaskCategory{Name: template.GetType(), Version: template.GetTaskTypeVersion()}, breaks)
	if size := len(answer.GetResourceMeta()); size == 0 || size > r.limits.handle {
		breaks("a handle of %d bytes", size)
	}
}

func (r *relay) judgeGet(call rpc, breaks breaksFunc) {
	var request connector.GetTaskRequest
	var answer connector.GetTaskResponse
	decode(call.request, &request, breaks)
	decode(call.answer, &answer, breaks)
	r.judgeCategory(request.GetTaskCategory(), breaks)
	if answer.GetResource().GetPhase() == core.TaskExecution_UNDEFINED {
		breaks("no phase")
	}
}

func (r *relay) judgeCategory(category *connector.TaskCategory, breaks breaksFunc) {
	if version, offered := r.offered[category.GetName()]; !offered || version != category.GetVersion() {
		breaks("serves %s version %d, which it does not offer", category.GetName(), category.GetVersion())
	}
}
