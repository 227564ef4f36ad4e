package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	listers "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
	"k8s.io/endpointslice"
	"k8s.io/endpointslice/util"
	"k8s.io/klog/v2"

	"istio.io/istio/pkg/kube"
)

const (
	controller = "endpointslice-controller.k8s.io" // as kube-controller-manager names it
	most       = 100                               // endpoints of a slice, its default
)

// resliced returns the objects with the EndpointSlices of some Services made anew, as Kubernetes' own
// controller makes them of the pods; and those slices.
func resliced(objects []runtime.Object, services []string) ([]runtime.Object, []*discoveryv1.EndpointSlice, error) {
	var made []*discoveryv1.EndpointSlice
	for _, one := range objects {
		service, ok := one.(*corev1.Service)
		if !ok || !slices.Contains(services, service.Namespace+"/"+service.Name) {
			continue
		}
		if service.Spec.Selector == nil || service.Spec.Type == corev1.ServiceTypeExternalName {
			continue
		}
		own, err := reconciled(objects, service)
		if err != nil {
			return nil, nil, fmt.Errorf("the endpoints of Service %s/%s: %w", service.Namespace, service.Name, err)
		}
		objects = slices.DeleteFunc(objects, func(other runtime.Object) bool { return isOf(other, service) })
		for n := range own {
			made = append(made, &own[n])
			objects = append(objects, &own[n])
		}
	}
	return objects, made, nil
}

func isOf(object runtime.Object, service *corev1.Service) bool {
	slice, ok := object.(*discoveryv1.EndpointSlice)
	return ok && slice.Namespace == service.Namespace &&
		slice.Labels[discoveryv1.LabelServiceName] == service.Name &&
		slice.Labels[discoveryv1.LabelManagedBy] == controller
}

func reconciled(objects []runtime.Object, service *corev1.Service) ([]discoveryv1.EndpointSlice, error) {
	var pods []*corev1.Pod
	var before []*discoveryv1.EndpointSlice
	var kept []runtime.Object
	nodes := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{})
	selector := labels.Set(service.Spec.Selector).AsSelectorPreValidated()
	for _, one := range objects {
		switch found := one.(type) {
		case *corev1.Pod:
			if found.Namespace == service.Namespace && selector.Matches(labels.Set(found.Labels)) {
				pods = append(pods, found)
			}
		case *corev1.Node:
			if err := nodes.Add(found); err != nil {
				return nil, err
			}
		case *discoveryv1.EndpointSlice:
			if isOf(found, service) {
				before, kept = append(before, found), append(kept, found)
			}
		}
	}
	client := kube.NewFakeClient(kept...).Kube()
	reconciler := endpointslice.NewReconciler(client, listers.NewNodeLister(nodes), most,
		util.NewEndpointSliceTracker(), nil, record.NewFakeRecorder(most), controller)
	if err := reconciler.Reconcile(klog.Background(), service, pods, before, time.Now()); err != nil {
		return nil, err
	}
	list, err := client.DiscoveryV1().EndpointSlices(service.Namespace).List(context.Background(), metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	for n := range list.Items {
		list.Items[n].TypeMeta = metav1.TypeMeta{APIVersion: "discovery.k8s.io/v1", Kind: "EndpointSlice"}
	}
	return list.Items, nil
}
