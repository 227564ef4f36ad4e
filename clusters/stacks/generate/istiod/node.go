package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/structpb"
	corev1 "k8s.io/api/core/v1"

	"istio.io/istio/pilot/cmd/pilot-agent/config"
	"istio.io/istio/pkg/bootstrap"
	"istio.io/istio/pkg/config/constants"
	"istio.io/istio/pkg/model"
)

const proxy = "istio-proxy"

// nodeOf returns what a proxy tells istiod of itself: as its bootstrap has it, else as pilot-agent would
// make it of the injected pod.
func (i *Istiod) nodeOf(pod *corev1.Pod, known json.RawMessage) (*core.Node, error) {
	node := &core.Node{}
	if len(known) > 0 && string(known) != "null" {
		options := protojson.UnmarshalOptions{DiscardUnknown: true}
		return node, options.Unmarshal(known, node)
	}
	container := containerOf(pod)
	if container == nil {
		return nil, fmt.Errorf("the pod has no container %s", proxy)
	}
	if err := i.mount(pod); err != nil {
		return nil, err
	}
	environment := environmentOf(pod, container)
	settings, err := config.ConstructProxyConfig("", "istio-proxy", environment["PROXY_CONFIG"], 0)
	if err != nil {
		return nil, err
	}
	role := model.SidecarProxy
	for _, word := range container.Args {
		if word == string(model.Router) {
			role = model.Router
		}
	}
	domain := pod.Namespace + ".svc." + constants.DefaultClusterLocalDomain
	id := strings.Join([]string{string(role), pod.Status.PodIP, pod.Name + "." + pod.Namespace, domain}, "~")
	made, err := bootstrap.GetNodeMetaData(bootstrap.MetadataOptions{
		ID:          id,
		Envs:        assignments(environment),
		InstanceIPs: addressesOf(pod),
		ProxyConfig: settings,
	})
	if err != nil {
		return nil, err
	}
	return asNode(made)
}

func asNode(made *model.Node) (*core.Node, error) {
	data, err := json.Marshal(made.Metadata)
	if err != nil {
		return nil, err
	}
	metadata := &structpb.Struct{}
	if err := protojson.Unmarshal(data, metadata); err != nil {
		return nil, err
	}
	for name, value := range made.RawMetadata {
		if _, there := metadata.Fields[name]; there {
			continue
		}
		if told, err := structpb.NewValue(value); err == nil {
			metadata.Fields[name] = told
		}
	}
	return &core.Node{Id: made.ID, Metadata: metadata, Locality: made.Locality}, nil
}

func containerOf(pod *corev1.Pod) *corev1.Container {
	for _, list := range [][]corev1.Container{pod.Spec.Containers, pod.Spec.InitContainers} {
		for n := range list {
			if list[n].Name == proxy {
				return &list[n]
			}
		}
	}
	return nil
}

func addressesOf(pod *corev1.Pod) []string {
	var found []string
	for _, one := range pod.Status.PodIPs {
		found = append(found, one.IP)
	}
	if len(found) == 0 {
		found = []string{pod.Status.PodIP}
	}
	return found
}

// environmentOf returns a container's variables. What is read of Secrets and ConfigMaps is left out.
func environmentOf(pod *corev1.Pod, container *corev1.Container) map[string]string {
	fields := map[string]string{
		"metadata.name":           pod.Name,
		"metadata.namespace":      pod.Namespace,
		"metadata.uid":            string(pod.UID),
		"spec.nodeName":           pod.Spec.NodeName,
		"spec.serviceAccountName": pod.Spec.ServiceAccountName,
		"status.podIP":            pod.Status.PodIP,
		"status.hostIP":           pod.Status.HostIP,
	}
	for name, value := range pod.Annotations {
		fields["metadata.annotations['"+name+"']"] = value
	}
	for name, value := range pod.Labels {
		fields["metadata.labels['"+name+"']"] = value
	}
	found := map[string]string{}
	for _, one := range container.Env {
		if one.ValueFrom == nil {
			found[one.Name] = one.Value
		} else if from := one.ValueFrom.FieldRef; from != nil {
			found[one.Name] = fields[from.FieldPath]
		}
	}
	return found
}

func assignments(environment map[string]string) []string {
	var found []string
	for name, value := range environment {
		found = append(found, name+"="+value)
	}
	return found
}

// mount writes labels and annotations where the downward API has them for the agent.
func (i *Istiod) mount(pod *corev1.Pod) error {
	for path, values := range map[string]map[string]string{
		constants.PodInfoLabelsPath:      pod.Labels,
		constants.PodInfoAnnotationsPath: pod.Annotations,
	} {
		var text strings.Builder
		for name, value := range values {
			fmt.Fprintf(&text, "%s=%q\n", name, value)
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
			return err
		}
	}
	return nil
}
