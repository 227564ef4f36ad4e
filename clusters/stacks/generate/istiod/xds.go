package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"slices"

	admin "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	v3 "istio.io/istio/pilot/pkg/xds/v3"
)

type stream = discovery.AggregatedDiscoveryService_StreamAggregatedResourcesClient

// proxyStream asks istiod as one proxy.
type proxyStream struct {
	stream
	node *core.Node
}

// dump returns all that istiod tells a proxy, as Envoy's /config_dump?include_eds has it.
func (i *Istiod) dump(node *core.Node) ([]json.RawMessage, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	link, err := grpc.NewClient("passthrough:///istiod",
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) { return i.listener.Dial() }),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(1<<30)))
	if err != nil {
		return nil, err
	}
	defer link.Close()
	opened, err := discovery.NewAggregatedDiscoveryServiceClient(link).StreamAggregatedResources(ctx)
	if err != nil {
		return nil, err
	}
	return (&proxyStream{opened, node}).configs()
}

func (p *proxyStream) configs() ([]json.RawMessage, error) {
	clusters, err := p.ask(v3.ClusterType, nil)
	if err != nil {
		return nil, err
	}
	endpoints, err := p.ask(v3.EndpointType, serviceNames(clusters))
	if err != nil {
		return nil, err
	}
	listeners, err := p.ask(v3.ListenerType, nil)
	if err != nil {
		return nil, err
	}
	routes, err := p.ask(v3.RouteType, routeNames(listeners))
	if err != nil {
		return nil, err
	}
	return written(clustersDump(clusters), endpointsDump(endpoints), listenersDump(listeners), routesDump(routes))
}

// ask returns the resources of a type; names: which, where istiod does not decide that.
func (p *proxyStream) ask(kind string, names []string) ([]*anypb.Any, error) {
	wildcard := kind == v3.ClusterType || kind == v3.ListenerType
	if len(names) == 0 && !wildcard {
		return nil, nil
	}
	request := &discovery.DiscoveryRequest{Node: p.node, TypeUrl: kind, ResourceNames: names}
	if err := p.Send(request); err != nil {
		return nil, err
	}
	for {
		answer, err := p.Recv()
		if err != nil {
			return nil, fmt.Errorf("istiod does not answer: %w", err)
		}
		if answer.TypeUrl != kind {
			continue // a push of something that was asked for before
		}
		request.VersionInfo, request.ResponseNonce, request.Node = answer.VersionInfo, answer.Nonce, nil
		return answer.Resources, p.Send(request)
	}
}

func serviceNames(clusters []*anypb.Any) []string {
	var names []string
	for _, one := range clusters {
		told := &cluster.Cluster{}
		if one.UnmarshalTo(told) != nil || told.GetType() != cluster.Cluster_EDS {
			continue
		}
		name := told.GetEdsClusterConfig().GetServiceName()
		if name == "" {
			name = told.Name
		}
		names = append(names, name)
	}
	return names
}

func routeNames(listeners []*anypb.Any) []string {
	var names []string
	for _, one := range listeners {
		told := &listener.Listener{}
		if one.UnmarshalTo(told) != nil {
			continue
		}
		for _, chain := range append(told.FilterChains, told.DefaultFilterChain) {
			for _, filter := range chain.GetFilters() {
				manager := &hcm.HttpConnectionManager{}
				if filter.GetTypedConfig().UnmarshalTo(manager) != nil {
					continue
				}
				if name := manager.GetRds().GetRouteConfigName(); name != "" && !slices.Contains(names, name) {
					names = append(names, name)
				}
			}
		}
	}
	return names
}

func clustersDump(found []*anypb.Any) proto.Message {
	dump := &admin.ClustersConfigDump{}
	for _, one := range found {
		dump.DynamicActiveClusters = append(dump.DynamicActiveClusters, &admin.ClustersConfigDump_DynamicCluster{Cluster: one})
	}
	return dump
}

func endpointsDump(found []*anypb.Any) proto.Message {
	dump := &admin.EndpointsConfigDump{}
	for _, one := range found {
		dump.DynamicEndpointConfigs = append(dump.DynamicEndpointConfigs,
			&admin.EndpointsConfigDump_DynamicEndpointConfig{EndpointConfig: one})
	}
	return dump
}

func listenersDump(found []*anypb.Any) proto.Message {
	dump := &admin.ListenersConfigDump{}
	for _, one := range found {
		told := &listener.Listener{}
		if one.UnmarshalTo(told) != nil {
			continue
		}
		dump.DynamicListeners = append(dump.DynamicListeners, &admin.ListenersConfigDump_DynamicListener{
			Name:        told.Name,
			ActiveState: &admin.ListenersConfigDump_DynamicListenerState{Listener: one},
		})
	}
	return dump
}

func routesDump(found []*anypb.Any) proto.Message {
	dump := &admin.RoutesConfigDump{}
	for _, one := range found {
		dump.DynamicRouteConfigs = append(dump.DynamicRouteConfigs, &admin.RoutesConfigDump_DynamicRouteConfig{RouteConfig: one})
	}
	return dump
}

func written(parts ...proto.Message) ([]json.RawMessage, error) {
	options := protojson.MarshalOptions{UseProtoNames: true}
	var found []json.RawMessage
	for _, part := range parts {
		whole, err := anypb.New(part)
		if err != nil {
			return nil, err
		}
		data, err := options.Marshal(whole)
		if err != nil {
			return nil, err
		}
		found = append(found, data)
	}
	return found, nil
}
