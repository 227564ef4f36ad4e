package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
)

// kubelet is the part that runs pods. It is asked by HTTP on a Unix socket.
type kubelet struct {
	client *http.Client
	dial   func(context.Context, string, string) (net.Conn, error)
}

// target is a running container, or a pod, as the kubelet describes it.
type target struct {
	kubelet *kubelet
	// Log is the path at which the kubelet serves the container's output.
	Log string `json:"log"`
	// Enter is the command that runs what follows it in the container.
	Enter []string `json:"enter"`
	Env   []string `json:"env"`
	// Pid is a process in the container, of which /proc shows its files.
	Pid int `json:"pid"`
	// UID owns the terminal of a command.
	UID int `json:"uid"`
	// Stdin is where the container reads from; empty where it reads nothing.
	Stdin string `json:"stdin"`
	// CloseStdin is the path at which the kubelet is told that no client will write any more.
	CloseStdin string `json:"closeStdin"`
	StdinOnce  bool   `json:"stdinOnce"`
	TTY        bool   `json:"tty"`
	// Network is the file of the pod's network namespace.
	Network string `json:"network"`
}

func newKubelet(socket string) *kubelet {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var dialer net.Dialer
		return dialer.DialContext(ctx, "unix", socket)
	}
	return &kubelet{&http.Client{Transport: &http.Transport{DialContext: dial}}, dial}
}

// proxy hands a request on as it is.
func (k *kubelet) proxy() http.Handler {
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: "kubelet"})
		},
		Transport:     k.client.Transport,
		FlushInterval: -1,
	}
}

// find describes what a request names, or answers the request with the kubelet's own words.
func (k *kubelet) find(w http.ResponseWriter, r *http.Request, container string) (*target, bool) {
	path := "/target/" + r.PathValue("namespace") + "/" + r.PathValue("pod") + "/" + container
	asked := url.URL{Scheme: "http", Host: "kubelet", Path: path}
	asked.RawQuery = url.Values{"uid": {r.PathValue("uid")}}.Encode()
	request, err := http.NewRequestWithContext(r.Context(), http.MethodGet, asked.String(), nil)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return nil, false
	}
	found := &target{kubelet: k}
	if err := k.ask(request, found); err != nil {
		status := http.StatusInternalServerError
		if refused, ok := err.(*refusal); ok {
			status = refused.status
		}
		http.Error(w, err.Error(), status)
		return nil, false
	}
	return found, true
}

// refusal is an answer of the kubelet that is not 200.
type refusal struct {
	status int
	text   string
}

func (r *refusal) Error() string { return r.text }

func (k *kubelet) ask(request *http.Request, into any) error {
	answer, err := k.client.Do(request)
	if err != nil {
		return fmt.Errorf("the kubelet does not answer: %w", err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(answer.Body, 4096))
		return &refusal{answer.StatusCode, strings.TrimSpace(string(text))}
	}
	if into == nil {
		return nil
	}
	return json.NewDecoder(answer.Body).Decode(into)
}
