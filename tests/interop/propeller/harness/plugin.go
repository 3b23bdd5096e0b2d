package harness

import (
	"context"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"

	"github.com/flyteorg/flyte/flyteplugins/go/tasks/pluginmachinery"
	"github.com/flyteorg/flyte/flyteplugins/go/tasks/pluginmachinery/core"
	"github.com/flyteorg/flyte/flyteplugins/go/tasks/pluginmachinery/core/mocks"
	"github.com/flyteorg/flyte/flyteplugins/go/tasks/plugins/webapi/connector"
	"github.com/flyteorg/flyte/flytestdlib/config"
	"github.com/flyteorg/flyte/flytestdlib/contextutils"
	"github.com/flyteorg/flyte/flytestdlib/logger"
	"github.com/flyteorg/flyte/flytestdlib/promutils"
	"github.com/flyteorg/flyte/flytestdlib/promutils/labeled"
)

func init() {
	labeled.SetMetricKeys(contextutils.ProjectKey, contextutils.DomainKey, contextutils.WorkflowIDKey, contextutils.TaskIDKey)
	// Propeller's own log would hide which test failed.
	if err := logger.SetConfig(&logger.Config{Level: logger.ErrorLevel}); err != nil {
		panic(err)
	}
}

// Resync is propeller's polling interval: the minimum that it allows.
const Resync = 5 * time.Second

// Plugin is propeller's connector plugin, as propeller registers and loads it.
type Plugin struct {
	core.Plugin
	// Discovery is the registry in which propeller looks up whether a connector serves a task type.
	Discovery *connector.ConnectorService
}

// Config is the plugin's default configuration, with the shortest polling interval.
func Config(endpoint string) *connector.Config {
	cfg := *connector.GetConfig()
	cfg.WebAPI.ResourceQuotas = nil
	cfg.WebAPI.Caching.ResyncInterval = config.Duration{Duration: Resync}
	cfg.DefaultConnector = Deployment(endpoint)
	cfg.ConnectorDeployments = map[string]*connector.Deployment{}
	cfg.ConnectorForTaskTypes = map[string]string{}
	cfg.SupportedTaskTypes = nil
	// The plugin never stops discovering connectors, and uses the process's current configuration:
	// wait only for one refresh at registration and one at the start of its watch, so that tests do not see each other's connectors.
	cfg.PollInterval = config.Duration{Duration: math.MaxInt64}
	return &cfg
}

// Deployment is a connector without TLS.
func Deployment(endpoint string) connector.Deployment {
	return connector.Deployment{
		Endpoint:             endpoint,
		Insecure:             true,
		DefaultTimeout:       config.Duration{Duration: 10 * time.Second},
		DefaultServiceConfig: `{"loadBalancingConfig": [{"round_robin":{}}]}`,
	}
}

// registration is locked while a test owns the process's configuration.
var registration sync.Mutex

// Load registers and loads the plugin. The wires lead to all connectors of the configuration, which must be up.
func Load(t testing.TB, cfg *connector.Config, wires ...*Wire) *Plugin {
	t.Helper()
	registration.Lock()
	defer registration.Unlock()
	before := listed(wires)
	plugin := LoadDown(t, cfg)
	Eventually(t, "the plugin's watch has begun", func() bool { return listed(wires)-before >= 2*len(endpoints(cfg)) })
	return plugin
}

// LoadDown registers and loads the plugin whether its connectors answer or not. Its caller owns the process's
// configuration.
func LoadDown(t testing.TB, cfg *connector.Config) *Plugin {
	t.Helper()
	require.NoError(t, connector.SetConfig(cfg))
	plugin := &Plugin{Discovery: &connector.ConnectorService{}}
	connector.RegisterConnectorPlugin(plugin.Discovery)
	plugin.load(t)
	return plugin
}

// LoadOn loads the plugin with one connector.
func LoadOn(t testing.TB, wire *Wire) *Plugin {
	t.Helper()
	return Load(t, Config(wire.Address()), wire)
}

func listed(wires []*Wire) (calls int) {
	for _, wire := range wires {
		calls += len(wire.CallsTo("ListAgents"))
	}
	return calls
}

func endpoints(cfg *connector.Config) map[string]bool {
	named := map[string]bool{cfg.DefaultConnector.Endpoint: true}
	for _, deployment := range cfg.ConnectorDeployments {
		named[deployment.Endpoint] = true
	}
	delete(named, "")
	return named
}

func (p *Plugin) load(t testing.TB) {
	t.Helper()
	entries := pluginmachinery.PluginRegistry().GetCorePlugins()
	registrar := &mocks.ResourceRegistrar{}
	registrar.On("RegisterResourceQuota", mock.Anything, mock.Anything, mock.Anything).Return(nil)
	setup := &mocks.SetupContext{}
	setup.EXPECT().MetricsScope().Return(promutils.NewTestScope())
	setup.EXPECT().ResourceRegistrar().Return(registrar)
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	loaded, err := entries[len(entries)-1].LoadPlugin(ctx, setup)
	require.NoError(t, err)
	p.Plugin = loaded
}
