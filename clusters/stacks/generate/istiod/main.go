// Generates proxies' configuration as istiod would, from objects in a file: no cluster is asked, and
// no Envoy is started. It is istiod's own server, on its own fake Kubernetes client.
//
// On stdin: {"objects": [...], "kubernetes": "36", "proxies": [{"pod": {...}, "node": {...}}, ...],
// "services": ["NAMESPACE/NAME", ...], "pods_first": false}, where node is a bootstrap's node, if a live
// dump has one, and services are those whose EndpointSlices Kubernetes' own controller makes anew. On
// stdout: a line of JSON with these, {"slices": [...]}, and one for each proxy,
// {"pod": "NAMESPACE/NAME", "configs": [...]} or {"pod": ..., "error": ...}.
//
// Or, on stdin, {"inject": {"pods": [...], ...}}: then on stdout is a line for each pod, {"pod": {...}},
// with its sidecar, as istiod's webhook would make it.
//
// Istiod's settings come by its environment, as in its Deployment. It is to be started in a folder of its
// own: istiod and its agent read files there, and what the downward API would show of each pod is written
// there.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"istio.io/istio/pkg/log"
)

// Question is what is asked on stdin.
type Question struct {
	Objects    []json.RawMessage `json:"objects"`
	Kubernetes string            `json:"kubernetes"`
	Proxies    []Asked           `json:"proxies"`
	PodsFirst  bool              `json:"pods_first"` // before endpoints that name no pod
	Services   []string          `json:"services"`   // whose EndpointSlices are to be made anew
	Inject     *Injection        `json:"inject"`     // where it is there, nothing else is done
}

// Asked is a proxy: its pod, and the node of its bootstrap if that is known.
type Asked struct {
	Pod  json.RawMessage `json:"pod"`
	Node json.RawMessage `json:"node"`
}

// Answer is one line on stdout.
type Answer struct {
	Pod     string            `json:"pod"`
	Error   string            `json:"error,omitempty"`
	Configs []json.RawMessage `json:"configs,omitempty"`
}

func main() {
	signal.Ignore(syscall.SIGHUP)
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	options := log.DefaultOptions()
	options.OutputPaths = []string{"stderr"}
	options.SetDefaultOutputLevel(log.OverrideScopeName, log.WarnLevel)
	if err := log.Configure(options); err != nil {
		return err
	}
	var asked Question
	if err := json.NewDecoder(bufio.NewReader(os.Stdin)).Decode(&asked); err != nil {
		return fmt.Errorf("what is asked is no JSON: %w", err)
	}
	written := json.NewEncoder(os.Stdout)
	if asked.Inject != nil {
		return injectAll(asked.Inject, written)
	}
	objects, err := decode(asked.Objects)
	if err != nil {
		return err
	}
	objects, made, err := resliced(objects, asked.Services)
	if err != nil {
		return err
	}
	if err := written.Encode(map[string]any{"slices": made}); err != nil {
		return err
	}
	istiod, err := start(objects, asked.Kubernetes, asked.PodsFirst)
	if err != nil {
		return err
	}
	for _, one := range asked.Proxies {
		if err := written.Encode(istiod.answer(one)); err != nil {
			return err
		}
	}
	return nil
}

func injectAll(asked *Injection, written *json.Encoder) error {
	made, err := newInjector(asked)
	if err != nil {
		return err
	}
	for _, one := range asked.Pods {
		if err := written.Encode(made.inject(one)); err != nil {
			return err
		}
	}
	return nil
}

func (i *Istiod) answer(asked Asked) Answer {
	pod, err := podOf(asked.Pod)
	if err != nil {
		return Answer{Error: err.Error()}
	}
	answer := Answer{Pod: pod.Namespace + "/" + pod.Name}
	node, err := i.nodeOf(pod, asked.Node)
	if err == nil {
		answer.Configs, err = i.dump(node)
	}
	if err != nil {
		answer.Error = err.Error()
	}
	return answer
}
