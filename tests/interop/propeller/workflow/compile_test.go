package workflow_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/flyteorg/flyte/flyteidl/gen/pb-go/flyteidl/admin"
	idl "github.com/flyteorg/flyte/flyteidl/gen/pb-go/flyteidl/core"
	"github.com/flyteorg/flyte/flytepropeller/pkg/apis/flyteworkflow/v1alpha1"
	"github.com/flyteorg/flyte/flytepropeller/pkg/compiler"
	"github.com/flyteorg/flyte/flytepropeller/pkg/compiler/transformers/k8s"

	"outrigger.dev/tests/interop/propeller/harness"
)

// step is a node: a task of a golden request, bound to its inputs.
type step struct {
	golden  string
	retries uint32
	after   string
	change  func(*idl.TaskTemplate)
	// mapped runs the task for each of two equal inputs.
	mapped bool
}

var executions atomic.Int64

// compile compiles a workflow as flyteadmin does: with propeller's compiler.
func compile(t *testing.T, steps ...step) *v1alpha1.FlyteWorkflow {
	t.Helper()
	template := &idl.WorkflowTemplate{
		Id:        &idl.Identifier{ResourceType: idl.ResourceType_WORKFLOW, Project: "flytesnacks", Domain: "development", Name: "acme.workflow", Version: "1"},
		Interface: &idl.TypedInterface{},
	}
	var tasks []*idl.CompiledTask
	for i, step := range steps {
		task, node := build(t, fmt.Sprintf("n%d", i), step)
		tasks, template.Nodes = append(tasks, &idl.CompiledTask{Template: task}), append(template.Nodes, node)
	}
	closure, err := compiler.CompileWorkflow(template, nil, tasks, nil)
	require.NoError(t, err)
	id := &idl.WorkflowExecutionIdentifier{Project: "flytesnacks", Domain: "development", Name: fmt.Sprintf("w%d", executions.Add(1))}
	w, err := k8s.BuildFlyteWorkflow(closure, &idl.LiteralMap{}, id, "flytesnacks-development")
	require.NoError(t, err)
	w.ExecutionID = v1alpha1.ExecutionID{WorkflowExecutionIdentifier: id}
	w.RawOutputDataConfig = v1alpha1.RawOutputDataConfig{RawOutputDataConfig: &admin.RawOutputDataConfig{}}
	return kept(t, w)
}

func build(t *testing.T, id string, step step) (*idl.TaskTemplate, *idl.Node) {
	t.Helper()
	request := harness.Golden(t, step.golden)
	task := proto.Clone(request.GetTemplate()).(*idl.TaskTemplate)
	task.Id.Name += "." + id
	task.Metadata.Retries = &idl.RetryStrategy{Retries: step.retries}
	if step.change != nil {
		step.change(task)
	}
	node := &idl.Node{
		Id:       id,
		Metadata: &idl.NodeMetadata{Name: id},
		Target:   &idl.Node_TaskNode{TaskNode: &idl.TaskNode{Reference: &idl.TaskNode_ReferenceId{ReferenceId: task.GetId()}}},
	}
	if step.after != "" {
		node.UpstreamNodeIds = []string{step.after}
	}
	for name, literal := range request.GetInputs().GetLiterals() {
		value := &idl.BindingData{Value: &idl.BindingData_Scalar{Scalar: literal.GetScalar()}}
		if step.mapped {
			both := &idl.BindingDataCollection{Bindings: []*idl.BindingData{value, value}}
			value = &idl.BindingData{Value: &idl.BindingData_Collection{Collection: both}}
		}
		node.Inputs = append(node.Inputs, &idl.Binding{Var: name, Binding: value})
	}
	if step.mapped {
		collect(task.GetInterface())
		each := &idl.Node{Id: id, Metadata: node.GetMetadata(), Target: node.GetTarget()}
		node.Target = &idl.Node_ArrayNode{ArrayNode: &idl.ArrayNode{Node: each}}
	}
	return task, node
}

// collect turns all values into lists, as SDKs do with the interface of a mapped task.
func collect(face *idl.TypedInterface) {
	for _, values := range []*idl.VariableMap{face.GetInputs(), face.GetOutputs()} {
		for _, value := range values.GetVariables() {
			value.Type = &idl.LiteralType{Type: &idl.LiteralType_CollectionType{CollectionType: value.GetType()}}
		}
	}
}
