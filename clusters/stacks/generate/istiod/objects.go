package main

import (
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"istio.io/istio/pkg/config"
	"istio.io/istio/pkg/config/schema/collections"
	"istio.io/istio/pkg/config/schema/gvr"
	"istio.io/istio/pkg/kube"
)

// decode returns the objects of the kinds that istiod reads, in the version that it reads. Name, uid,
// times and status stay as they are.
func decode(raw []json.RawMessage) ([]runtime.Object, error) {
	versions := served()
	found := make([]runtime.Object, 0, len(raw))
	for _, one := range raw {
		var object map[string]any
		if err := json.Unmarshal(one, &object); err != nil {
			return nil, fmt.Errorf("an object is no JSON: %w", err)
		}
		kind := schema.FromAPIVersionAndKind(fmt.Sprint(object["apiVersion"]), fmt.Sprint(object["kind"]))
		if version, known := versions[kind.GroupKind()]; known {
			object["apiVersion"] = schema.GroupVersion{Group: kind.Group, Version: version}.String()
		}
		data, err := json.Marshal(object)
		if err != nil {
			return nil, err
		}
		made, _, err := kube.IstioCodec.UniversalDeserializer().Decode(data, nil, nil)
		if runtime.IsNotRegisteredError(err) {
			continue // istiod does not know the kind either
		}
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", kind.Kind, named(object), err)
		}
		found = append(found, made)
	}
	return found, nil
}

func named(object map[string]any) string {
	meta, _ := object["metadata"].(map[string]any)
	return fmt.Sprintf("%v/%v", meta["namespace"], meta["name"])
}

// served returns the version in which istiod reads each kind. A kind of Istio's has the same fields in all.
func served() map[schema.GroupKind]string {
	versions := map[schema.GroupKind]string{}
	for _, one := range collections.PilotGatewayAPI().All() {
		kind := one.GroupVersionKind()
		versions[schema.GroupKind{Group: kind.Group, Kind: kind.Kind}] = kind.Version
	}
	return versions
}

// definitions returns the CustomResourceDefinitions that istiod waits for: all of Istio's own, and
// those of other groups of which there is an object.
func definitions(objects []runtime.Object) []*metav1.PartialObjectMetadata {
	there := map[string]bool{}
	for _, one := range objects {
		there[one.GetObjectKind().GroupVersionKind().Group] = true
	}
	var found []*metav1.PartialObjectMetadata
	for _, one := range collections.PilotGatewayAPI().All() {
		if !isIstios(one.GroupVersionKind()) && !there[one.Group()] {
			continue
		}
		found = append(found, &metav1.PartialObjectMetadata{
			TypeMeta: metav1.TypeMeta{
				APIVersion: gvr.CustomResourceDefinition.GroupVersion().String(),
				Kind:       "CustomResourceDefinition",
			},
			ObjectMeta: metav1.ObjectMeta{Name: one.Plural() + "." + one.Group()},
		})
	}
	return found
}

func isIstios(kind config.GroupVersionKind) bool {
	switch kind.Group {
	case "networking.istio.io", "security.istio.io", "telemetry.istio.io", "extensions.istio.io":
		return true
	}
	return false
}

func podOf(raw json.RawMessage) (*corev1.Pod, error) {
	pod := &corev1.Pod{}
	if err := json.Unmarshal(raw, pod); err != nil {
		return nil, fmt.Errorf("a pod is none of Kubernetes': %w", err)
	}
	return pod, nil
}
