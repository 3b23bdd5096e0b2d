package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"google.golang.org/protobuf/proto"

	"github.com/flyteorg/flyte/flyteidl/gen/pb-go/flyteidl/admin"
	idl "github.com/flyteorg/flyte/flyteidl/gen/pb-go/flyteidl/core"
	"github.com/flyteorg/flyte/flyteplugins/go/tasks/pluginmachinery/core"
	"github.com/flyteorg/flyte/flyteplugins/go/tasks/pluginmachinery/io"
	"github.com/flyteorg/flyte/flyteplugins/go/tasks/pluginmachinery/webapi"
)

// task is the context of a task, made of a golden request. It has what the plugin asks for, and costs next to nothing.
type task struct {
	core.TaskExecutionContext
	request *admin.CreateTaskRequest
	// created numbers the executions.
	created int
}

func newTask(golden string) (*task, error) {
	_, here, _, _ := runtime.Caller(0)
	root := filepath.Join(filepath.Dir(here), "..", "..", "..")
	bytes, err := os.ReadFile(filepath.Join(root, "golden", "v1", golden+".pb"))
	if err != nil {
		return nil, err
	}
	request := &admin.CreateTaskRequest{}
	return &task{request: request}, proto.Unmarshal(bytes, request)
}

func (t *task) TaskReader() core.TaskReader                       { return template{task: t} }
func (t *task) InputReader() io.InputReader                       { return inputs{task: t} }
func (t *task) TaskExecutionMetadata() core.TaskExecutionMetadata { return metadata{task: t} }

type template struct {
	core.TaskReader
	task *task
}

func (t template) Read(context.Context) (*idl.TaskTemplate, error) {
	return t.task.request.GetTemplate(), nil
}

type inputs struct {
	io.InputReader
	task *task
}

func (i inputs) Get(context.Context) (*idl.LiteralMap, error) { return i.task.request.GetInputs(), nil }

type metadata struct {
	core.TaskExecutionMetadata
	task *task
}

func (m metadata) sent() *admin.TaskExecutionMetadata {
	return m.task.request.GetTaskExecutionMetadata()
}
func (m metadata) GetTaskExecutionID() core.TaskExecutionID { return id{task: m.task} }
func (m metadata) GetNamespace() string                     { return m.sent().GetNamespace() }
func (m metadata) GetLabels() map[string]string             { return m.sent().GetLabels() }
func (m metadata) GetK8sServiceAccount() string             { return m.sent().GetK8SServiceAccount() }
func (m metadata) GetSecurityContext() idl.SecurityContext {
	return idl.SecurityContext{RunAs: m.sent().GetIdentity()}
}

type id struct {
	core.TaskExecutionID
	task *task
}

func (i id) GetGeneratedName() string { return fmt.Sprintf("f%d-n0-0", i.task.created) }

// polled is the context of a poll, and of the reading of its answer.
type polled struct {
	*task
	job    webapi.ResourceMeta
	answer webapi.Resource
}

func (p polled) ResourceMeta() webapi.ResourceMeta { return p.job }
func (p polled) Resource() webapi.Resource         { return p.answer }
