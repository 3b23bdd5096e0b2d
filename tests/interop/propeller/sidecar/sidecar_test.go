// Package sidecar_test tests the authenticated path: propeller's plugin, propeller-proxy, and a service that requires tokens.
package sidecar_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flyteorg/flyte/flyteplugins/go/tasks/pluginmachinery/core"
	"github.com/flyteorg/flyte/flyteplugins/go/tasks/plugins/webapi/connector"

	"outrigger.dev/tests/interop/propeller/harness"
)

// guarded is a service that accepts only calls with a token of its issuer.
type guarded struct {
	vendor   *harness.Vendor
	upstream *harness.Upstream
	service  *harness.Service
	issuer   *harness.Issuer
	key      harness.Key
}

func guard(t *testing.T, vendor *harness.Vendor, fake ...string) *guarded {
	t.Helper()
	key := harness.NewKey(t, "first")
	issuer := harness.NewIssuer(t, key)
	upstream := harness.StartUpstream(t, vendor, fake...)
	return &guarded{vendor, upstream, harness.StartService(t, upstream, issuer.Auth(t)), issuer, key}
}

func (g *guarded) task(t *testing.T) *harness.Task {
	t.Helper()
	golden := harness.Golden(t, g.vendor.Golden)
	golden.GetTemplate().GetInterface().Outputs = nil
	return harness.NewTask(t, golden)
}

// Neither tokens nor the sidecar depend on the vendor, so one service stands for all.
func TestTaskRunsThroughSidecar(t *testing.T) {
	t.Parallel()
	guarded := guard(t, harness.Bigquery, "--polls=0")
	token := guarded.issuer.Token(t, guarded.key, nil)
	wire := harness.Watch(t, harness.StartSidecar(t, guarded.service.Address(), token).Address())
	plugin := harness.LoadOn(t, wire)

	require.Equal(t, core.PhaseSuccess, guarded.task(t).UntilItEnds(t, plugin).Phase())
	stopped := guarded.task(t)
	stopped.Handle(t, plugin)
	require.NoError(t, plugin.Abort(context.Background(), stopped))

	require.Equal(t, 2, guarded.upstream.Jobs())
	require.Len(t, wire.Await(t, "DeleteTask", 1), 1)
}

func TestPluginThatAnAuthorHasJustMadeRunsThroughSidecar(t *testing.T) {
	t.Parallel()
	key := harness.NewKey(t, "first")
	issuer := harness.NewIssuer(t, key)
	address := harness.ServeNewPlugin(t, issuer.Auth(t))
	wire := harness.Watch(t, harness.StartSidecar(t, address, issuer.Token(t, key, nil)).Address())
	task := harness.Shout(t, "good night")

	require.Equal(t, core.PhaseSuccess, task.UntilItEnds(t, harness.LoadOn(t, wire)).Phase())

	shouted := task.Outputs(t).GetLiterals()["o0"]
	require.Equal(t, "GOOD NIGHT", shouted.GetScalar().GetPrimitive().GetStringValue())
	require.Empty(t, harness.Flyte1.Violations(wire.Calls()))
}

// configured is a configuration that routes the type to an endpoint whether it was discovered or not.
func configured(vendor *harness.Vendor, endpoint string) *connector.Config {
	cfg := harness.Config(endpoint)
	cfg.SupportedTaskTypes = []string{vendor.TaskType}
	return cfg
}

func TestInvalidTokenIsRejectedWithReason(t *testing.T) {
	t.Parallel()
	guarded := guard(t, harness.Bigquery)
	foreign := harness.NewKey(t, "foreign")
	past := time.Now().Add(-time.Hour).Unix()
	// Users get the reason; the service's log has the failed check, for operators.
	for name, refused := range map[string]struct{ token, words, logged string }{
		"no token":         {"", "a bearer token is required", "token: missing"},
		"a wrong audience": {guarded.issuer.Token(t, guarded.key, map[string]any{"aud": "vault"}), "the token is not accepted: it is for another audience", "token: audience"},
		"an expired token": {guarded.issuer.Token(t, guarded.key, map[string]any{"exp": past}), "the token is not accepted: it has expired", "token: expired"},
		"a foreign key":    {guarded.issuer.Token(t, foreign, nil), "the token is not accepted: it is not signed with a key of its issuer", "token: unknown_key"},
		"another account": {
			guarded.issuer.Token(t, guarded.key, map[string]any{"sub": "system:serviceaccount:shop:default"}),
			"no rule matches your token", "token: no_rule",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			endpoint := guarded.service.Address()
			if refused.token != "" {
				endpoint = harness.StartSidecar(t, endpoint, refused.token).Address()
			}
			wire := harness.NewWire(t, endpoint)
			plugin := harness.Load(t, configured(guarded.vendor, wire.Address()), wire)

			failed := guarded.task(t).Handle(t, plugin)

			require.Equal(t, core.PhaseRetryableFailure, failed.Phase())
			require.Contains(t, failed.Err().GetMessage(), refused.words)
			harness.Eventually(t, "the log has the failed check", func() bool { return strings.Contains(guarded.service.Log(), refused.logged) })
			require.Zero(t, guarded.upstream.Jobs())
		})
	}
}

func TestTokenAndKeyRotationFailsNoCall(t *testing.T) {
	t.Parallel()
	guarded := guard(t, harness.Bigquery, "--polls=4")
	inner := harness.NewWire(t, guarded.service.Address())
	first := guarded.issuer.Token(t, guarded.key, nil)
	sidecar := harness.StartSidecar(t, inner.Address(), first)
	wire := harness.Watch(t, sidecar.Address())
	plugin := harness.LoadOn(t, wire)
	task := guarded.task(t)
	task.UntilItRuns(t, plugin)

	// As in clusters: the next key is published before it signs, and the old key is removed when none of its tokens is valid.
	next := harness.NewKey(t, "next")
	guarded.issuer.Publish(guarded.key, next)
	second := guarded.issuer.Token(t, next, nil)
	sidecar.Rotate(t, second)
	harness.Eventually(t, "the new token is used", func() bool { return used(inner, second) })
	guarded.issuer.Publish(next)

	require.Equal(t, core.PhaseSuccess, task.UntilItEnds(t, plugin).Phase())
	require.True(t, used(inner, first))
	for _, call := range inner.Calls() {
		require.Equal(t, "0", call.Status, call.Method)
	}
	require.Equal(t, 1, guarded.upstream.Jobs())
}

func used(wire *harness.Wire, token string) bool {
	for _, call := range wire.CallsTo("GetTask") {
		if call.Header["authorization"] == "Bearer "+token {
			return true
		}
	}
	return false
}

// behindBridge is a plugin in another language, a bridge before it that wants tokens, and the sidecar that adds them.
func behindBridge(t *testing.T) (*harness.PluginServer, *harness.Plugin) {
	t.Helper()
	key := harness.NewKey(t, "first")
	issuer := harness.NewIssuer(t, key)
	server := &harness.PluginServer{TaskType: harness.Bigquery.TaskType}
	bridge := harness.StartBridgeWithTokens(t, server, issuer.Auth(t))
	sidecar := harness.StartSidecar(t, bridge, issuer.Token(t, key, nil))
	return server, harness.LoadOn(t, harness.Watch(t, sidecar.Address()))
}

func TestTaskOfPluginInAnotherLanguageRunsThroughSidecarAndBridge(t *testing.T) {
	t.Parallel()
	server, plugin := behindBridge(t)
	golden := harness.Golden(t, harness.Bigquery.Golden)
	golden.GetTemplate().GetInterface().Outputs = golden.GetTemplate().GetInterface().GetInputs()
	task := harness.NewTask(t, golden)

	task.HandleAndForget(t, plugin)

	require.Equal(t, core.PhaseSuccess, task.UntilItEnds(t, plugin).Phase())
	require.Equal(t, int64(10), task.Outputs(t).GetLiterals()["version"].GetScalar().GetPrimitive().GetInteger())
	require.Equal(t, 1, server.Jobs(), "a repeated create is the same job")
}

func TestAbortReachesPluginInAnotherLanguage(t *testing.T) {
	t.Parallel()
	server, plugin := behindBridge(t)
	task := harness.NewTask(t, harness.Golden(t, harness.Bigquery.Golden))
	task.Handle(t, plugin)
	require.Equal(t, 1, server.Jobs())

	require.NoError(t, plugin.Abort(context.Background(), task))

	harness.Eventually(t, "the job is gone", func() bool { return server.Jobs() == 0 })
}
