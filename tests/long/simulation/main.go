// Command simulation asks Istio's own in-process simulation of Envoy what becomes of calls.
//
// It reads a folder: kubernetes.yaml and istio.yaml have the objects, asked.json the proxies and the
// calls. It writes there what Istio generates for each proxy (NAMESPACE.NAME.json, as a config
// dump), and what the simulation says of each call (answers.json).
package main

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"istio.io/istio/pilot/pkg/config/kube/crd"
	"istio.io/istio/pilot/pkg/model"
	"istio.io/istio/pilot/test/xds"
	"istio.io/istio/pkg/cluster"
	"istio.io/istio/pkg/config/constants"
)

var folder = flag.String("folder", "", "what is asked, and where the answers go")

// asked is what asked.json holds.
type asked struct {
	Version string // of Istio, as each proxy tells it
	Proxies []proxy
	Calls   []call
}

type proxy struct {
	Name, Namespace, Address, Account string
	Labels, Annotations               map[string]string
}

// main runs as a test does: Istio's simulation takes a *testing.T, and reports to it.
func main() {
	everything := func(_, _ string) (bool, error) { return true, nil }
	testing.Main(everything, []testing.InternalTest{{Name: "simulation", F: simulate}}, nil, nil)
}

func simulate(t *testing.T) {
	var in asked
	decode(t, "asked.json", &in)
	server := xds.NewFakeDiscoveryServer(t, objects(t))
	calls := map[string][]call{}
	for _, one := range in.Calls {
		calls[one.Proxy] = append(calls[one.Proxy], one)
	}
	var answers []answer
	for _, one := range in.Proxies {
		node := server.SetupProxy(one.node(in.Version))
		write(t, one.key()+".json", dump(t, server, node, one))
		answers = append(answers, ask(t, server, node, calls[one.key()])...)
	}
	write(t, "answers.json", answers)
}

// objects returns the objects of the folder: Kubernetes' go to an API server, Istio's to a store.
func objects(t *testing.T) xds.FakeOptions {
	istio, _, err := crd.ParseInputs(string(read(t, "istio.yaml")))
	if err != nil {
		t.Fatal(err)
	}
	for one := range istio {
		istio[one].Domain = constants.DefaultClusterLocalDomain // by which short names are resolved
	}
	return xds.FakeOptions{KubernetesObjectString: string(read(t, "kubernetes.yaml")), Configs: istio}
}

func (p proxy) key() string {
	return p.Namespace + "." + p.Name
}

func (p proxy) node(version string) *model.Proxy {
	return &model.Proxy{
		Type:            model.SidecarProxy,
		ID:              p.Name + "." + p.Namespace,
		IPAddresses:     []string{p.Address},
		ConfigNamespace: p.Namespace,
		Labels:          p.Labels,
		Metadata: &model.NodeMetadata{
			IstioVersion:   version,
			ClusterID:      cluster.ID(constants.DefaultClusterName),
			Namespace:      p.Namespace,
			Labels:         p.Labels,
			ServiceAccount: p.Account,
		},
	}
}

func read(t *testing.T, name string) []byte {
	content, err := os.ReadFile(filepath.Join(*folder, name))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func decode(t *testing.T, name string, into any) {
	if err := json.Unmarshal(read(t, name), into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

func write(t *testing.T, name string, content any) {
	encoded, err := json.Marshal(content)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(*folder, name), encoded, 0o644); err != nil {
		t.Fatal(err)
	}
}
