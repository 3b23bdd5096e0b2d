// Versions prints the releases of Flyte and gRPC that the tests are built with.
package main

import (
	"fmt"
	"runtime/debug"
	"strings"

	// The modules that the tests are built with.
	_ "outrigger.dev/tests/interop/propeller/harness"
)

func main() {
	modules := map[string]string{
		"github.com/flyteorg/flyte/flyteplugins":   "flyteplugins",
		"github.com/flyteorg/flyte/flytepropeller": "flytepropeller",
		"google.golang.org/grpc":                   "grpc-go",
	}
	info, _ := debug.ReadBuildInfo()
	var releases []string
	for _, module := range info.Deps {
		if name, wanted := modules[module.Path]; wanted {
			if module.Replace != nil {
				module = module.Replace
			}
			releases = append(releases, name+" "+module.Version)
		}
	}
	fmt.Println("   ran " + strings.Join(releases, ", "))
}
