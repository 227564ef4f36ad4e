package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"reflect"
	"time"
	"unsafe"

	"google.golang.org/grpc"
	"google.golang.org/grpc/test/bufconn"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	metadatafake "k8s.io/client-go/metadata/fake"

	"istio.io/istio/pilot/pkg/bootstrap"
	"istio.io/istio/pilot/pkg/features"
	"istio.io/istio/pilot/pkg/serviceregistry/provider"
	"istio.io/istio/pkg/cluster"
	"istio.io/istio/pkg/config/constants"
	"istio.io/istio/pkg/config/schema/gvr"
	"istio.io/istio/pkg/kube"
)

// Istiod is istiod's own server, that has read all objects.
type Istiod struct {
	server   *bootstrap.Server
	listener *bufconn.Listener
}

const (
	patience = 2 * time.Minute
	// tick and quiet are how often it is looked, and how many times in a row nothing may have come, before
	// what istiod holds is all: it waits 100 ms for more. Not a time: a process that the machine keeps
	// waiting would find it passed, and have read nothing meanwhile.
	tick   = 10 * time.Millisecond
	quiet  = 50
	buffer = 1 << 20
)

// start returns an istiod that has read the objects. It answers in this process only.
func start(objects []runtime.Object, kubernetes string, podsFirst bool) (*Istiod, error) {
	first, pods, endpoints := stages(objects, podsFirst)
	client := kube.NewFakeClientWithVersion(kubernetes, first...)
	if err := define(client, objects); err != nil {
		return nil, err
	}
	server, err := bootstrap.NewServer(arguments(), func(s *bootstrap.Server) { setClient(s, client) })
	if err != nil {
		return nil, fmt.Errorf("istiod does not start: %w", err)
	}
	if err := server.Start(make(chan struct{})); err != nil {
		return nil, fmt.Errorf("istiod does not start: %w", err)
	}
	made := &Istiod{server: server, listener: bufconn.Listen(buffer)}
	made.serve()
	if err := made.settle(); err != nil {
		return nil, err
	}
	for _, one := range pods {
		if _, err := client.Kube().CoreV1().Pods(one.Namespace).Create(context.Background(), one, metav1.CreateOptions{}); err != nil {
			return nil, err
		}
	}
	if err := made.settle(); err != nil {
		return nil, err
	}
	for _, one := range endpoints {
		slices := client.Kube().DiscoveryV1().EndpointSlices(one.Namespace)
		if _, err := slices.Create(context.Background(), one, metav1.CreateOptions{}); err != nil {
			return nil, err
		}
	}
	return made, made.settle()
}

// stages returns the objects in the order in which istiod is to read them: all others, pods, endpoints.
// Of an endpoint that names no pod, istiod looks for one with its address when it reads it, and never
// again: in a cluster, either may come first. An endpoint that names its pod comes after it.
func stages(objects []runtime.Object, podsFirst bool) (others []runtime.Object, pods []*corev1.Pod, endpoints []*discoveryv1.EndpointSlice) {
	for _, one := range objects {
		switch found := one.(type) {
		case *corev1.Pod:
			pods = append(pods, found)
		case *discoveryv1.EndpointSlice:
			if podsFirst || namesPods(found) {
				endpoints = append(endpoints, found)
			} else {
				others = append(others, found)
			}
		default:
			others = append(others, one)
		}
	}
	return others, pods, endpoints
}

func namesPods(slice *discoveryv1.EndpointSlice) bool {
	for _, one := range slice.Endpoints {
		if one.TargetRef != nil {
			return true
		}
	}
	return false
}

func arguments() *bootstrap.PilotArgs {
	return bootstrap.NewPilotArgs(func(args *bootstrap.PilotArgs) {
		args.ServerOptions = bootstrap.DiscoveryServerOptions{
			HTTPAddr:       "127.0.0.1:0",
			MonitoringAddr: "127.0.0.1:0",
		}
		args.RegistryOptions.Registries = []string{string(provider.Kubernetes)}
		args.RegistryOptions.KubeOptions.DomainSuffix = constants.DefaultClusterLocalDomain
		args.RegistryOptions.KubeOptions.ClusterID = cluster.ID(features.ClusterName)
	})
}

// setClient gives istiod its client. The field is set so by Istio's own tests, which lie in its package.
func setClient(server *bootstrap.Server, client kube.Client) {
	field := reflect.ValueOf(server).Elem().FieldByName("kubeClient")
	reflect.NewAt(field.Type(), unsafe.Pointer(field.UnsafeAddr())).Elem().Set(reflect.ValueOf(client))
}

// define tells the client which kinds there are.
func define(client kube.Client, objects []runtime.Object) error {
	fake, ok := client.Metadata().(*metadatafake.FakeMetadataClient)
	if !ok {
		return fmt.Errorf("the client is not istiod's fake one, but %T", client.Metadata())
	}
	kinds, ok := fake.Resource(gvr.CustomResourceDefinition).(metadatafake.MetadataClient)
	if !ok {
		return fmt.Errorf("the fake client takes no CustomResourceDefinition")
	}
	for _, one := range definitions(objects) {
		if _, err := kinds.CreateFake(one, metav1.CreateOptions{}); err != nil {
			return err
		}
	}
	return nil
}

func (i *Istiod) serve() {
	served := grpc.NewServer()
	i.server.XDSServer.Register(served)
	go func() {
		if err := served.Serve(i.listener); err != nil && err != net.ErrClosed {
			fmt.Fprintln(os.Stderr, err)
		}
	}()
}

// settle waits until all that came is in what istiod pushes, and nothing more comes.
func (i *Istiod) settle() error {
	xds, end := i.server.XDSServer, time.Now().Add(patience)
	last, since := xds.InboundUpdates.Load(), 0
	for time.Now().Before(end) {
		time.Sleep(tick)
		since++
		if now := xds.InboundUpdates.Load(); now != last || xds.CommittedUpdates.Load() < now {
			last, since = now, 0
		}
		if since >= quiet {
			return nil
		}
	}
	return fmt.Errorf("istiod is still reading the objects after %s", patience)
}
