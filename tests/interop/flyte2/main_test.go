// Package flyte2 tests our services with the real executor of Flyte 2: its reconciler processes TaskActions of
// Kubernetes' fake client, and its connector plugin calls the services, which run as programs.
//
//	reconciler ▶ plugin ▶ relay (records, checks the contract) ▶ service ▶ upstream (records, holds) ▶ fake vendor
//
// A stage is the last four of these. Its lane is the project by which the plugin finds them.
package flyte2

import (
	"flag"
	"os"
	"testing"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/flyteorg/flyte/v2/flytestdlib/logger"
)

// flyte is the executor that all tests share, because its configuration is global to the process.
var flyte *executor

func TestMain(m *testing.M) {
	flag.Parse()
	// Tests spend most of their time waiting for polls, which are 5 s apart.
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
