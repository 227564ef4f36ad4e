package main

import (
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	meshconfig "istio.io/api/mesh/v1alpha1"
	"istio.io/istio/manifests"
	"istio.io/istio/pkg/config/mesh"
	"istio.io/istio/pkg/kube/inject"
)

// Injection is what is to be injected: pods as they are written, and what the webhook is set to.
type Injection struct {
	Pods     []json.RawMessage `json:"pods"`
	Mesh     string            `json:"mesh"` // the mesh's configuration, as its ConfigMap has it
	Revision string            `json:"revision"`
	Tag      string            `json:"tag"` // of the proxy's image
}

// Injected is one pod with its sidecar; without, where a label or an annotation of its own says so.
type Injected struct {
	Pod   *corev1.Pod `json:"pod,omitempty"`
	Error string      `json:"error,omitempty"`
}

const chart = "charts/istio-control/istio-discovery/"

var templates = map[string]string{
	"sidecar": "injection-template.yaml",
	"gateway": "gateway-injection-template.yaml",
}

// injector injects as istiod's webhook does, with the templates and values of Istio's own chart.
type injector struct {
	templates inject.Templates
	values    inject.ValuesConfig
	mesh      *meshconfig.MeshConfig
	revision  string
}

func newInjector(asked *Injection) (*injector, error) {
	made := &injector{revision: asked.Revision}
	raw := inject.RawTemplates{}
	for name, file := range templates {
		text, err := manifests.FS.ReadFile(chart + "files/" + file)
		if err != nil {
			return nil, err
		}
		raw[name] = string(text)
	}
	var err error
	if made.templates, err = inject.ParseTemplates(raw); err != nil {
		return nil, err
	}
	if made.values, err = valuesOf(asked.Tag); err != nil {
		return nil, err
	}
	if made.mesh, err = mesh.ApplyMeshConfigDefaults(asked.Mesh); err != nil {
		return nil, fmt.Errorf("the mesh's configuration: %w", err)
	}
	return made, nil
}

// valuesOf returns the chart's values that its ConfigMap hands to the webhook.
func valuesOf(tag string) (inject.ValuesConfig, error) {
	text, err := manifests.FS.ReadFile(chart + "values.yaml")
	if err != nil {
		return inject.ValuesConfig{}, err
	}
	var file struct {
		Defaults map[string]any `json:"_internal_defaults_do_not_set"`
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		return inject.ValuesConfig{}, err
	}
	all := file.Defaults
	if global, ok := all["global"].(map[string]any); ok {
		global["tag"] = tag
	}
	kept := map[string]any{"pilot": map[string]any{"cni": all["cni"], "env": all["env"]}}
	for _, name := range []string{"global", "sidecarInjectorWebhook", "revision", "gateways"} {
		kept[name] = all[name]
	}
	made, err := json.Marshal(kept)
	if err != nil {
		return inject.ValuesConfig{}, err
	}
	return inject.NewValuesConfig(string(made))
}

func (i *injector) inject(raw json.RawMessage) Injected {
	pod, err := podOf(raw)
	if err != nil {
		return Injected{Error: err.Error()}
	}
	made, err := inject.IntoObject(nil, i.templates, i.values, i.revision, i.mesh, pod, func(string) {})
	if err != nil {
		return Injected{Error: err.Error()}
	}
	found, ok := made.(*corev1.Pod)
	if !ok {
		return Injected{Error: fmt.Sprintf("a %T was injected, and no pod", made)}
	}
	return Injected{Pod: found}
}
