package harness

import (
	"bytes"

	"github.com/flyteorg/flyte/flyteidl/gen/pb-go/flyteidl/admin"
	idl "github.com/flyteorg/flyte/flyteidl/gen/pb-go/flyteidl/core"
	"github.com/flyteorg/flyte/flyteplugins/go/tasks/pluginmachinery/core"
	"github.com/flyteorg/flyte/flytepropeller/pkg/controller/nodes/task/codex"
)

// metadata is propeller's metadata of an attempt, taken from a golden request.
type metadata struct {
	core.TaskExecutionMetadata
	request *admin.TaskExecutionMetadata
	name    string
}

func (m metadata) GetTaskExecutionID() core.TaskExecutionID { return taskID{metadata: m} }
func (m metadata) GetNamespace() string                     { return m.request.GetNamespace() }
func (m metadata) GetLabels() map[string]string             { return m.request.GetLabels() }
func (m metadata) GetAnnotations() map[string]string        { return m.request.GetAnnotations() }
func (m metadata) GetK8sServiceAccount() string             { return m.request.GetK8SServiceAccount() }
func (m metadata) GetEnvironmentVariables() map[string]string {
	return m.request.GetEnvironmentVariables()
}
func (m metadata) GetConsoleURL() string { return "" }
func (m metadata) GetSecurityContext() idl.SecurityContext {
	return idl.SecurityContext{RunAs: m.request.GetIdentity()}
}

type taskID struct {
	core.TaskExecutionID
	metadata metadata
}

func (id taskID) GetGeneratedName() string { return id.metadata.name }
func (id taskID) GetUniqueNodeID() string  { return "n0" }
func (id taskID) GetID() idl.TaskExecutionIdentifier {
	sent := id.metadata.request.GetTaskExecutionId()
	return idl.TaskExecutionIdentifier{
		TaskId:          sent.GetTaskId(),
		NodeExecutionId: sent.GetNodeExecutionId(),
		RetryAttempt:    sent.GetRetryAttempt(),
	}
}

// State is the plugin's state, encoded as in the workflow's object.
type State struct {
	saved, next []byte
	version     uint8
}

// Size is the number of bytes in the workflow's object for this task.
func (s *State) Size() int { return len(s.saved) }

// GetStateVersion is the version set by the plugin.
func (s *State) GetStateVersion() uint8 { return s.version }

// Get decodes the last state that was saved.
func (s *State) Get(into any) (uint8, error) {
	if s.saved == nil {
		return s.version, nil
	}
	return s.version, codex.GobStateCodec{}.Decode(bytes.NewReader(s.saved), into)
}

// Put encodes a state; it is read after the next save.
func (s *State) Put(version uint8, state any) error {
	var encoded bytes.Buffer
	if err := (codex.GobStateCodec{}).Encode(state, &encoded); err != nil {
		return err
	}
	s.version, s.next = version, encoded.Bytes()
	return nil
}

// Reset discards the unsaved state.
func (s *State) Reset() error {
	s.next = nil
	return nil
}

func (s *State) save() { s.saved = s.next }
