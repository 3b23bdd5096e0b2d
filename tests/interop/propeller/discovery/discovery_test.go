// Package discovery_test tests how propeller discovers services. The plugin's watch uses the process's configuration,
// so these tests run in a process of their own, one after the other.
package discovery_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flyteorg/flyte/flyteplugins/go/tasks/pluginmachinery/core"
	"github.com/flyteorg/flyte/flyteplugins/go/tasks/plugins/webapi/connector"
	"github.com/flyteorg/flyte/flytestdlib/config"
	"github.com/flyteorg/flyte/flytestdlib/config/viper"

	"outrigger.dev/tests/interop/propeller/harness"
)

// watching is a configuration with continuous discovery of connectors.
func watching(endpoint string) *connector.Config {
	cfg := harness.Config(endpoint)
	cfg.PollInterval = config.Duration{Duration: 200 * time.Millisecond}
	// Without any type, propeller does not start while its connectors are down.
	cfg.SupportedTaskTypes = []string{"placeholder"}
	return cfg
}

// Discovery is plugin-core's, so one service stands for all.
func TestServiceDownAtPropellerStartIsDiscoveredLater(t *testing.T) {
	vendor := harness.Bigquery
	service := harness.NewService(t, harness.StartUpstream(t, vendor, "--polls=0"), harness.Keys(t))
	plugin := harness.LoadDown(t, watching(service.Address()))
	require.False(t, plugin.Discovery.ContainTaskType(vendor.TaskType))

	service.Start(t)

	harness.Eventually(t, "the type is found", func() bool { return plugin.Discovery.ContainTaskType(vendor.TaskType) })
	require.Equal(t, core.PhaseSuccess, taken(t, vendor, plugin).UntilItEnds(t, plugin).Phase())
}

func TestTypeIsForgottenDuringServiceOutage(t *testing.T) {
	service := harness.StartService(t, harness.StartUpstream(t, harness.Bigquery))
	plugin := harness.LoadDown(t, watching(service.Address()))
	known := func() bool { return plugin.Discovery.ContainTaskType(harness.Bigquery.TaskType) }
	harness.Eventually(t, "the type is found", known)

	service.Kill()
	harness.Eventually(t, "the type is forgotten", func() bool { return !known() })
	service.Start(t)

	harness.Eventually(t, "the type is found again", known)
}

func TestConfiguredTypeIsNeverForgotten(t *testing.T) {
	service := harness.NewService(t, harness.StartUpstream(t, harness.Bigquery), harness.Keys(t))
	cfg := watching("")
	deployment := harness.Deployment(service.Address())
	cfg.ConnectorDeployments = map[string]*connector.Deployment{"bigquery": &deployment}
	cfg.ConnectorForTaskTypes = map[string]string{harness.Bigquery.TaskType: "bigquery"}
	plugin := harness.LoadDown(t, cfg)
	require.True(t, plugin.Discovery.ContainTaskType(harness.Bigquery.TaskType))

	down := harness.NewTask(t, harness.Golden(t, harness.Bigquery.Golden)).Handle(t, plugin)
	require.Equal(t, core.PhaseRetryableFailure, down.Phase())
	require.Contains(t, down.Err().GetMessage(), "code = Unavailable")
	service.Start(t)

	taken(t, harness.Bigquery, plugin)
}

// taken is a task that was created. The plugin's own connection notices that the service is up only after its back-off;
// discovery opens a new connection each time and notices it at once.
func taken(t *testing.T, vendor *harness.Vendor, plugin *harness.Plugin) (task *harness.Task) {
	t.Helper()
	golden := harness.Golden(t, vendor.Golden)
	golden.GetTemplate().GetInterface().Outputs = nil
	harness.Eventually(t, "a task is created", func() bool {
		task = harness.NewTask(t, golden)
		return task.Handle(t, plugin).Phase() == core.PhaseQueued
	})
	return task
}

func TestWaitForReadyCreateWaitsForServiceStart(t *testing.T) {
	service := harness.NewService(t, harness.StartUpstream(t, harness.Bigquery), harness.Keys(t))
	cfg := watching(service.Address())
	cfg.DefaultConnector.DefaultServiceConfig = `{
		"loadBalancingConfig": [{"round_robin": {}}],
		"methodConfig": [{"name": [{"service": "flyteidl.service.AsyncAgentService"}], "waitForReady": true}]
	}`
	cfg.SupportedTaskTypes = []string{harness.Bigquery.TaskType}
	plugin := harness.LoadDown(t, cfg)
	task := harness.NewTask(t, harness.Golden(t, harness.Bigquery.Golden))
	ready := make(chan struct{})
	go func() {
		defer close(ready)
		service.Start(t)
	}()

	require.Equal(t, core.PhaseQueued, task.Handle(t, plugin).Phase())
	<-ready
}

func TestPropellerDoesNotStartWithoutTaskTypes(t *testing.T) {
	cfg := watching(harness.FreeAddress(t))
	cfg.SupportedTaskTypes = nil

	require.Panics(t, func() { harness.LoadDown(t, cfg) })
}

const configFile = `
plugins:
  connector-service:
    connectors:
      as-map:
        endpoint: "dns:///as-map:8000"
        timeouts:
          GetTask: 20s
      as-list:
        endpoint: "dns:///as-list:8000"
        timeouts:
          - GetTask: 20s
    connectorForTaskTypes:
      - bigquery_query_job_task: as-list
`

func TestTimeoutsMustBeListAndConnectorsHaveNoDefaults(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.yaml")
	require.NoError(t, os.WriteFile(file, []byte(configFile), 0o600))
	accessor := viper.NewAccessor(config.Options{SearchPaths: []string{file}})

	require.NoError(t, accessor.UpdateConfig(context.Background()))

	deployments := connector.GetConfig().ConnectorDeployments
	wanted := config.Duration{Duration: 20 * time.Second}
	require.Equal(t, map[string]config.Duration{"gettask": wanted}, deployments["as-map"].Timeouts, "looked up as GetTask")
	require.Equal(t, map[string]config.Duration{"GetTask": wanted}, deployments["as-list"].Timeouts)
	require.False(t, deployments["as-list"].Insecure)
	require.Zero(t, deployments["as-list"].DefaultTimeout)
	require.Empty(t, deployments["as-list"].DefaultServiceConfig)
	require.Equal(t, "as-list", connector.GetConfig().ConnectorForTaskTypes["bigquery_query_job_task"])
}
