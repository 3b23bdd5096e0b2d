package harness

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/structpb"

	idl "github.com/flyteorg/flyte/flyteidl/gen/pb-go/flyteidl/core"
)

// ServeNewPlugin makes the plugin of docs/plugins-in-any-language.md in an empty folder and serves it, as the page does, but to callers
// with a token: auth is the argument that names the authentication file. It returns the address of the API port.
func ServeNewPlugin(t testing.TB, auth string) (address string) {
	t.Helper()
	python := flytekitsPython(t)
	folder := shortDirectory(t)
	made := exec.Command(Program("outrigger"), "new", "shout", "--no-input", "--no-verify")
	made.Dir = folder
	output, err := made.CombinedOutput()
	require.NoError(t, err, "%s", output)

	address = FreeAddress(t)
	admin := FreeAddress(t)
	port := func(address string) string { return address[strings.LastIndex(address, ":")+1:] }
	environment := []string{
		"PYTHONPATH=" + filepath.Join(Root(), "clients", "python", "src") + ":" + filepath.Join(folder, "shout"),
		"PYTHONDONTWRITEBYTECODE=1", "HOME=" + folder,
	}
	startAt(t, python, environment, "-m", "outrigger_plugin", "serve", "plugin:app", auth, "--handle-keys="+Keys(t),
		"--port="+port(address), "--admin-port="+port(admin), "--bridge="+Program("bridge"), "--", "--drain-delay=0s")
	awaitReady(t, admin)
	return address
}

// Shout is a task for that plugin.
func Shout(t testing.TB, text string) *Task {
	t.Helper()
	variable := &idl.Variable{Type: &idl.LiteralType{Type: &idl.LiteralType_Simple{Simple: idl.SimpleType_STRING}}}
	request := Golden(t, Bigquery.Golden)
	template := request.GetTemplate()
	template.Type, template.Target, template.Custom = "shout", nil, &structpb.Struct{}
	template.Interface = &idl.TypedInterface{
		Inputs:  &idl.VariableMap{Variables: map[string]*idl.Variable{"text": variable}},
		Outputs: &idl.VariableMap{Variables: map[string]*idl.Variable{"o0": variable}},
	}
	primitive := &idl.Primitive{Value: &idl.Primitive_StringValue{StringValue: text}}
	request.Inputs.Literals = map[string]*idl.Literal{
		"text": {Value: &idl.Literal_Scalar{Scalar: &idl.Scalar{Value: &idl.Scalar_Primitive{Primitive: primitive}}}},
	}
	return NewTask(t, request)
}
