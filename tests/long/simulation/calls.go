package main

import (
	"slices"
	"testing"

	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"

	"istio.io/istio/pilot/pkg/model"
	"istio.io/istio/pilot/pkg/simulation"
	"istio.io/istio/pilot/test/xds"
)

// call is one connection at one proxy, in the words of Istio's simulation.
type call struct {
	ID, Proxy     string              // the proxy: NAMESPACE.NAME
	Mode          simulation.CallMode // inbound or outbound
	Address, Host string
	Port          int
	Protocol      simulation.Protocol // http, http2 or tcp
	TLS           simulation.TLSMode  // plaintext, tls or mtls
	ALPN, SNI     string
}

// answer is what the simulation says of a call.
type answer struct {
	ID          string `json:"id"`
	Error       string `json:"error"`
	Listener    string `json:"listener"`
	Chain       string `json:"chain"`
	Index       int    `json:"index"` // of the chain; -1: it is the default, or not told
	VirtualHost string `json:"virtual_host"`
	Route       string `json:"route"`
	Cluster     string `json:"cluster"`
}

func ask(t *testing.T, server *xds.FakeDiscoveryServer, node *model.Proxy, calls []call) []answer {
	own := simulation.NewSimulation(t, server, node)
	answers := make([]answer, 0, len(calls))
	for _, one := range calls {
		answers = append(answers, one.run(own))
	}
	return answers
}

func (c call) run(own *simulation.Simulation) answer {
	var taken *listener.FilterChain
	found := own.Run(simulation.Call{
		Address:    c.Address,
		Port:       c.Port,
		Protocol:   c.Protocol,
		TLS:        c.TLS,
		Alpn:       c.ALPN,
		HostHeader: c.Host,
		Sni:        c.SNI,
		CallMode:   c.Mode,
		// Called with the chain that takes the connection; chains share names.
		CustomListenerValidations: []simulation.CustomFilterChainValidation{
			func(chain *listener.FilterChain) error { taken = chain; return nil },
		},
	})
	told := answer{
		ID:          c.ID,
		Listener:    found.ListenerMatched,
		Chain:       found.FilterChainMatched,
		Index:       index(own.Listeners, found.ListenerMatched, taken),
		VirtualHost: found.VirtualHostMatched,
		Route:       found.RouteMatched,
		Cluster:     found.ClusterMatched,
	}
	if found.Error != nil {
		told.Error = found.Error.Error()
	}
	return told
}

func index(listeners []*listener.Listener, name string, chain *listener.FilterChain) int {
	for _, one := range listeners {
		if one.Name == name && chain != nil {
			return slices.Index(one.FilterChains, chain)
		}
	}
	return -1
}
