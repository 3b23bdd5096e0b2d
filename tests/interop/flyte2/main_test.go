// Package flyte2 runs our services under the real executor of Flyte 2: its reconciler moves TaskActions of
// Kubernetes' fake client, and its connector plugin calls the services, which are programs.
//
//	reconciler ▶ plugin ▶ relay (records, checks the contract) ▶ service ▶ upstream (records, holds) ▶ fake vendor
//
// A stage is the last four of these, in a lane: the project that the plugin finds them by.
package flyte2

import (
	"flag"
	"os"
	"testing"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/flyteorg/flyte/v2/flytestdlib/logger"
)

// flyte is the executor that all tests share: its configuration is the process's.
var flyte *executor

func TestMain(m *testing.M) {
	flag.Parse()
	// Tests wait for polls, 5 s apart, most of their time.
	_ = flag.Set("test.parallel", "64")
	_ = logger.SetConfig(&logger.Config{Level: logger.PanicLevel})
	ctrl.SetLogger(logr.Discard())
	if err := writeKey(); err != nil {
		panic(err)
	}
	var err error
	if flyte, err = startExecutor(); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}
