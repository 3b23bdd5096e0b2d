package flyte2

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"google.golang.org/grpc/resolver"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache/informertest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	flyteorgv1 "github.com/flyteorg/flyte/v2/executor/api/v1"
	executorconfig "github.com/flyteorg/flyte/v2/executor/pkg/config"
	"github.com/flyteorg/flyte/v2/executor/pkg/plugin"
	"github.com/flyteorg/flyte/v2/flyteplugins/go/tasks/pluginmachinery"
	// Registers the default plugin, as the executor does.
	_ "github.com/flyteorg/flyte/v2/flyteplugins/go/tasks/plugins/k8s/pod"
	connectorplugin "github.com/flyteorg/flyte/v2/flyteplugins/go/tasks/plugins/webapi/connector"
	"github.com/flyteorg/flyte/v2/flytestdlib/config"
	"github.com/flyteorg/flyte/v2/flytestdlib/contextutils"
	"github.com/flyteorg/flyte/v2/flytestdlib/promutils"
	"github.com/flyteorg/flyte/v2/flytestdlib/promutils/labeled"
)

// executor is the part of Flyte 2's executor that is set up once: its plugins and their connectors.
type executor struct {
	registry  *plugin.Registry
	connector *connectorplugin.ConnectorService
	scheme    *runtime.Scheme
	kube      client.Client
	// defaults are the plugin's default settings.
	defaults connectorplugin.Config
	// refusesNoTaskTypes is the panic of registering without task types.
	refusesNoTaskTypes any
	lanes, hastyLanes  chan *lane
}

// lane is a project of its own, with a relay to the service of a test.
type lane struct {
	*relay
	project string
}

const (
	domain = "development"
	// enough for all tests at once.
	laneCount, hastyCount = 64, 6
	// hasty is the short deadline of creates in hasty lanes.
	hasty = 2 * time.Second
)

func startExecutor() (*executor, error) {
	labeled.SetMetricKeys(contextutils.ProjectKey, contextutils.DomainKey, contextutils.WorkflowIDKey, contextutils.TaskIDKey)
	e := &executor{
		connector: &connectorplugin.ConnectorService{}, scheme: runtime.NewScheme(),
		defaults: *connectorplugin.GetConfig(),
		lanes:    make(chan *lane, laneCount), hastyLanes: make(chan *lane, hastyCount),
	}
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, flyteorgv1.AddToScheme} {
		if err := add(e.scheme); err != nil {
			return nil, err
		}
	}
	e.kube = fake.NewClientBuilder().WithScheme(e.scheme).Build()
	e.refusesNoTaskTypes = registerWithoutTaskTypes()
	if err := e.configure(); err != nil {
		return nil, err
	}
	return e, e.load()
}

// registerWithoutTaskTypes returns the panic of an explicit `supportedTaskTypes: []`.
func registerWithoutTaskTypes() (panicked any) {
	defer func() { panicked = recover() }()
	cfg := *connectorplugin.GetConfig()
	kept := cfg
	defer func() { _ = connectorplugin.SetConfig(&kept) }()
	cfg.SupportedTaskTypes = []string{}
	_ = connectorplugin.SetConfig(&cfg)
	connectorplugin.RegisterConnectorPlugin(&connectorplugin.ConnectorService{})
	return nil
}

// configure gives every lane a connector of its own: Flyte chooses connectors by project and domain.
func (e *executor) configure() error {
	cfg := *connectorplugin.GetConfig()
	cfg.SupportedTaskTypes = []string{bigquery().taskType, databricks().taskType}
	cfg.PollInterval = config.Duration{Duration: time.Second}
	cfg.WebAPI.Caching.ResyncInterval = config.Duration{Duration: 5 * time.Second}
	cfg.ConnectorDeployments = map[string]*connectorplugin.Deployment{}
	for number := range laneCount + hastyCount {
		l, deployment, err := newLane(number, cfg.DefaultConnector)
		if err != nil {
			return err
		}
		cfg.ConnectorDeployments[l.project] = deployment
		if number < laneCount {
			e.lanes <- l
			continue
		}
		deployment.Timeouts = map[string]config.Duration{"CreateTask": {Duration: hasty}}
		e.hastyLanes <- l
	}
	if err := connectorplugin.SetConfig(&cfg); err != nil {
		return err
	}
	// The third task type is routed to the plugin by the other setting.
	return executorconfig.SetTaskPluginConfig(&executorconfig.TaskPluginConfig{
		DefaultForTaskTypes: map[string]string{snowflake().taskType: connectorplugin.ID},
	})
}

// newLane uses the default connector's settings, except for the address.
func newLane(number int, settings connectorplugin.Deployment) (*lane, *connectorplugin.Deployment, error) {
	r, err := startRelay(executorLimits)
	if err != nil {
		return nil, nil, err
	}
	l := &lane{relay: r, project: fmt.Sprintf("project-%02d", number)}
	resolver.Register(headless{scheme: l.project, addresses: r.addresses})
	settings.Endpoint, settings.Project, settings.Domain = l.project+":///service", l.project, domain
	return l, &settings, nil
}

// load loads the plugins as the executor does at start.
func (e *executor) load() error {
	connectorplugin.RegisterConnectorPlugin(e.connector)
	setup := plugin.NewSetupContext(e, plugin.NewNoopSecretManager(), plugin.NewNoopResourceRegistrar(),
		nil, nil, "TaskAction", promutils.NewScope("executor:plugin"))
	e.registry = plugin.NewRegistry(setup, pluginmachinery.PluginRegistry())
	return e.registry.Initialize(context.Background())
}

func (e *executor) GetClient() client.Client { return e.kube }

func (e *executor) GetCache() cache.Cache { return &informertest.FakeInformers{Scheme: e.scheme} }

// headless resolves to a service's replicas, as the DNS name of a headless Service does.
type headless struct {
	scheme    string
	addresses []string
}

func (h headless) Scheme() string { return h.scheme }

func (h headless) Build(_ resolver.Target, connection resolver.ClientConn, _ resolver.BuildOptions) (resolver.Resolver, error) {
	var state resolver.State
	for _, address := range h.addresses {
		state.Addresses = append(state.Addresses, resolver.Address{Addr: address})
	}
	return h, connection.UpdateState(state)
}

func (headless) ResolveNow(resolver.ResolveNowOptions) {}

func (headless) Close() {}

// sorted are the keys of a map, for messages.
func sorted[V any](of map[string]V) []string { return slices.Sorted(maps.Keys(of)) }
