// Bench measures Flyte 1's own BigQuery plugin, which runs inside propeller, in front of mock-vendor. README.md says what is measured.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"syscall"
	"time"

	"github.com/flyteorg/flyte/flyteplugins/go/tasks/pluginmachinery/core"
	"github.com/flyteorg/flyte/flyteplugins/go/tasks/pluginmachinery/webapi"
	"github.com/flyteorg/flyte/flyteplugins/go/tasks/plugins/webapi/bigquery"
	"github.com/flyteorg/flyte/flytestdlib/logger"
	"github.com/flyteorg/flyte/flytestdlib/promutils"
)

// optimised overrides the flags that the tests are compiled with.
const optimised = "all=-dwarf=false"

func main() {
	endpoint := flag.String("endpoint", "", "`URL` of mock-vendor")
	verb := flag.String("verb", "poll", "`verb` to call: poll or create")
	calls := flag.Int("calls", 1000, "`number` of calls that are counted")
	warmup := flag.Int("warmup", 100, "`number` of calls before them")
	flag.Parse()
	measured, err := measure(*endpoint, *verb, *calls, *warmup)
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(measured)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// measurement is what one run says.
type measurement struct {
	Calls      int     `json:"calls"`
	CPUSeconds float64 `json:"cpu_seconds"`
	P50        float64 `json:"p50_ms"`
	P99        float64 `json:"p99_ms"`
	RSS        float64 `json:"rss_mib"`
}

func measure(endpoint, verb string, calls, warmup int) (*measurement, error) {
	if err := cmp.Or(requireOptimisations(), logWarnings(), connectTo(endpoint)); err != nil {
		return nil, err
	}
	call, err := callOf(verb)
	if err != nil {
		return nil, err
	}
	if _, err := repeat(call, warmup); err != nil {
		return nil, err
	}
	before := usedCPU()
	took, err := repeat(call, calls)
	if err != nil {
		return nil, err
	}
	used := usedCPU() - before
	rss, err := residentMiB()
	return &measurement{calls, used.Seconds(), percentile(took, 50), percentile(took, 99), rss}, err
}

// requireOptimisations fails if this program may have been compiled as the tests are, which must compile fast rather than run fast.
// Go records the last of the -gcflags only.
func requireOptimisations() error {
	info, _ := debug.ReadBuildInfo()
	for _, setting := range info.Settings {
		if setting.Key == "-gcflags" && setting.Value != optimised {
			return fmt.Errorf("maybe compiled without optimisations: use go run -gcflags=%s ./bench", optimised)
		}
	}
	return nil
}

// logWarnings spares the plugin a log line with each call.
func logWarnings() error { return logger.SetConfig(&logger.Config{Level: logger.WarnLevel}) }

// callOf returns what is measured: the plugin's own functions, without propeller's cache, queue and limits around them.
func callOf(verb string) (call func() error, err error) {
	plugin, err := bigquery.NewPlugin(bigquery.GetConfig(), promutils.NewTestScope())
	if err != nil {
		return nil, err
	}
	task, err := newTask("bq_docs_example")
	if err != nil {
		return nil, err
	}
	create := func() (webapi.ResourceMeta, error) {
		task.created++
		job, answer, err := plugin.Create(context.Background(), task)
		if err != nil {
			return nil, err
		}
		return job, requireRunning(plugin, task, job, answer)
	}
	if verb == "create" {
		return func() error { _, err := create(); return err }, nil
	}
	if verb != "poll" {
		return nil, fmt.Errorf("there is no verb %q", verb)
	}
	job, err := create()
	return func() error { return poll(plugin, task, job) }, err
}

func poll(plugin *bigquery.Plugin, task *task, job webapi.ResourceMeta) error {
	answer, err := plugin.Get(context.Background(), polled{job: job})
	if err != nil {
		return err
	}
	return requireRunning(plugin, task, job, answer)
}

// requireRunning has the plugin read an answer, as propeller does after each create and poll.
func requireRunning(plugin *bigquery.Plugin, task *task, job webapi.ResourceMeta, answer webapi.Resource) error {
	info, err := plugin.Status(context.Background(), polled{task, job, answer})
	if err == nil && info.Phase() != core.PhaseRunning {
		err = fmt.Errorf("the job is %s: %v", info.Phase(), info.Err())
	}
	return err
}

// repeat calls one time after the other, and returns how long each call took.
func repeat(call func() error, calls int) ([]time.Duration, error) {
	took := make([]time.Duration, 0, calls)
	for range calls {
		started := time.Now()
		if err := call(); err != nil {
			return nil, err
		}
		took = append(took, time.Since(started))
	}
	return took, nil
}

func percentile(took []time.Duration, percent int) float64 {
	if len(took) == 0 {
		return 0
	}
	slices.Sort(took)
	return took[(len(took)-1)*percent/100].Seconds() * 1000
}

// usedCPU is the time that all of this process has used so far, its garbage collector included.
func usedCPU() time.Duration {
	var usage syscall.Rusage
	// It fails for no process that asks about itself.
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func residentMiB() (float64, error) {
	status, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, err
	}
	var size, resident int
	_, err = fmt.Sscan(string(status), &size, &resident)
	return float64(resident*os.Getpagesize()) / (1 << 20), err
}
