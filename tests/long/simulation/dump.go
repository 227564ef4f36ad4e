package main

import (
	"encoding/json"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"istio.io/istio/pilot/pkg/model"
	"istio.io/istio/pilot/test/xds"
)

type object = map[string]any

// dump returns what Istio generates for a proxy in the form of Envoy's config_dump?include_eds.
func dump(t *testing.T, server *xds.FakeDiscoveryServer, node *model.Proxy, of proxy) object {
	listeners := server.Listeners(node)
	active := []object{}
	for _, one := range listeners {
		active = append(active, object{"active_state": object{"listener": text(t, one)}})
	}
	return object{"configs": []object{
		{"bootstrap": object{"node": whose(node, of)}},
		{"dynamic_active_clusters": each(t, "cluster", server.Clusters(node))},
		{"dynamic_endpoint_configs": each(t, "endpoint_config", server.Endpoints(node))},
		{"dynamic_listeners": active},
		{"dynamic_route_configs": each(t, "route_config", server.RoutesFromListeners(node, listeners))},
	}}
}

// whose returns the bootstrap's node, which says whose proxy it is.
func whose(node *model.Proxy, of proxy) object {
	id := strings.Join([]string{string(node.Type), of.Address, node.ID, node.DNSDomain}, "~")
	metadata := object{"SERVICE_ACCOUNT": of.Account, "ANNOTATIONS": of.Annotations}
	return object{"id": id, "metadata": metadata}
}

func each[M proto.Message](t *testing.T, name string, resources []M) []object {
	found := make([]object, 0, len(resources))
	for _, one := range resources {
		found = append(found, object{name: text(t, one)})
	}
	return found
}

// text returns a resource as Envoy writes it: in JSON, with the names of its fields.
func text(t *testing.T, resource proto.Message) json.RawMessage {
	written, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(resource)
	if err != nil {
		t.Fatal(err)
	}
	return written
}
