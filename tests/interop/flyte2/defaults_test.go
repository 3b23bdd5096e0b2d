package flyte2

import (
	"testing"
	"time"

	executorconfig "github.com/flyteorg/flyte/v2/executor/pkg/config"
)

// The defaults of Flyte that our services are designed for.
func TestExecutorDefaults(t *testing.T) {
	t.Parallel()
	plugin, executor := flyte.defaults, executorconfig.GetConfig()
	times := map[string][2]time.Duration{
		"a call's deadline":            {plugin.DefaultConnector.DefaultTimeout.Duration, executorLimits.time},
		"between two polls":            {plugin.WebAPI.Caching.ResyncInterval.Duration, 30 * time.Second},
		"between two discoveries":      {plugin.PollInterval.Duration, 10 * time.Second},
		"between two rounds":           {executor.RequeueDuration.Duration, 10 * time.Second},
		"between two sweeps":           {executor.GC.Interval.Duration, 30 * time.Minute},
		"from the end to the deletion": {executor.GC.MaxTTL.Duration, time.Hour},
	}
	for what, is := range times {
		if is[0] != is[1] {
			t.Errorf("%s: %v, not %v", what, is[0], is[1])
		}
	}
	numbers := map[string][2]int{
		"failed polls of a job":     {plugin.WebAPI.Caching.MaxSystemFailures, 5},
		"polls at once":             {plugin.WebAPI.Caching.Workers, 10},
		"polls in a second":         {plugin.WebAPI.ReadRateLimiter.QPS, 10},
		"system failures of a task": {int(executor.MaxSystemFailures), 3},
	}
	for what, is := range numbers {
		if is[0] != is[1] {
			t.Errorf("%s: %d, not %d", what, is[0], is[1])
		}
	}
	if connector := plugin.DefaultConnector; !connector.Insecure ||
		connector.DefaultServiceConfig != `{"loadBalancingConfig": [{"round_robin":{}}]}` {
		t.Errorf("it connects with %+v", connector)
	}
}
