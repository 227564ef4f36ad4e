// Command apiserver is Kubernetes' API server. It collects little garbage while it has work, which
// took two thirds of its time, and gives memory back to the system when it has none.
package main

import (
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
)

const (
	garbage  = 250 // percent of the live heap that may become garbage; Go's default is 100
	interval = 5 * time.Second
	atRest   = 20 << 20 // bytes that are allocated in an interval, at most, when there is no work
)

func main() {
	debug.SetGCPercent(garbage)
	go spareMemory()
	os.Exit(cli.Run(app.NewAPIServerCommand()))
}

// spareMemory gives memory back once each time that there is no work.
func spareMemory() {
	allocated := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	last, spared := uint64(0), false
	for range time.Tick(interval) {
		metrics.Read(allocated)
		now := allocated[0].Value.Uint64()
		resting := now-last < atRest
		if resting && !spared {
			debug.FreeOSMemory()
		}
		last, spared = now, resting
	}
}
