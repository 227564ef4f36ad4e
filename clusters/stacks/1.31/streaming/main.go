// Command kubelet-streaming is the HTTPS server of the embedded cluster's kubelet. It answers exec,
// attach and port-forward itself, with Kubernetes' own library for them, and hands every other
// request on to the kubelet, which listens on a Unix socket.
//
// Paths and parameters are those that an API server asks a kubelet for:
//
//	/exec/NAMESPACE/POD[/UID]/CONTAINER?command=...&input=1&output=1&error=1&tty=1
//	/attach/NAMESPACE/POD[/UID]/CONTAINER?input=1&output=1&error=1&tty=1
//	/portForward/NAMESPACE/POD[/UID]
package main

import (
	"flag"
	"log"
	"net"
	"net/http"
	"time"

	"k8s.io/cri-streaming/pkg/streaming/portforward"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
)

// A kubelet's own default for connections on which nothing happens.
const idleTimeout = 4 * time.Hour

func main() {
	listen := flag.String("listen", "", "address and port that the API server asks")
	socket := flag.String("kubelet", "", "the kubelet's Unix socket")
	node := flag.String("node", "", "the node's name")
	kubeconfig := flag.String("kubeconfig", "", "how to ask the API server who may do what")
	ca := flag.String("client-ca-file", "", "who signs client certificates")
	certificate := flag.String("tls-cert-file", "", "the server's certificate")
	key := flag.String("tls-private-key-file", "", "its key")
	flag.Parse()

	access, err := newAccess(*node, *kubeconfig, *ca)
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{
		Handler:     access.guard(routes(newKubelet(*socket))),
		TLSConfig:   access.tls(),
		ConnContext: connContext,
		// Upgrades to SPDY need HTTP/1.1, which a kubelet's clients ask for.
		Protocols: http1(),
	}
	log.Fatal(server.ServeTLS(watched{listener}, *certificate, *key))
}

func http1() *http.Protocols {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	return &protocols
}

func routes(kubelet *kubelet) http.Handler {
	mux := http.NewServeMux()
	for _, path := range []string{
		"/exec/{namespace}/{pod}/{container}", "/exec/{namespace}/{pod}/{uid}/{container}",
	} {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) { serveExec(kubelet, w, r) })
	}
	for _, path := range []string{
		"/attach/{namespace}/{pod}/{container}", "/attach/{namespace}/{pod}/{uid}/{container}",
	} {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) { serveAttach(kubelet, w, r) })
	}
	for _, path := range []string{
		"/portForward/{namespace}/{pod}", "/portForward/{namespace}/{pod}/{uid}",
	} {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) { servePortForward(kubelet, w, r) })
	}
	mux.Handle("/", kubelet.proxy())
	return mux
}

// asked is a request for the streams of a container that runs.
type asked struct {
	*target
	request        *http.Request
	options        *remotecommand.Options
	pod, uid, name string
}

// streams finds what a request is for, and serves it until its client has gone.
func streams(kubelet *kubelet, w http.ResponseWriter, r *http.Request, serve func(asked)) {
	options, err := remotecommand.NewOptions(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	name := r.PathValue("container")
	found, ok := kubelet.find(w, r, name)
	if !ok {
		return
	}
	ctx, cancel := untilGone(r.Context())
	defer cancel()
	serve(asked{found, r.WithContext(ctx), options, r.PathValue("pod"), r.PathValue("uid"), name})
}

func serveExec(kubelet *kubelet, w http.ResponseWriter, r *http.Request) {
	streams(kubelet, w, r, func(a asked) {
		remotecommand.ServeExec(w, a.request, a.target, a.pod, a.uid, a.name,
			r.URL.Query()["command"], a.options, idleTimeout,
			remotecommand.DefaultStreamCreationTimeout, remotecommand.SupportedStreamingProtocols)
	})
}

func serveAttach(kubelet *kubelet, w http.ResponseWriter, r *http.Request) {
	streams(kubelet, w, r, func(a asked) {
		// A terminal is the container's own, whatever is asked for.
		a.options.TTY = a.target.TTY
		remotecommand.ServeAttach(w, a.request, a.target, a.pod, a.uid, a.name, a.options,
			idleTimeout, remotecommand.DefaultStreamCreationTimeout,
			remotecommand.SupportedStreamingProtocols)
	})
}

func servePortForward(kubelet *kubelet, w http.ResponseWriter, r *http.Request) {
	options, err := portforward.NewV4Options(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	found, ok := kubelet.find(w, r, "")
	if !ok {
		return
	}
	ctx, cancel := untilGone(r.Context())
	defer cancel()
	portforward.ServePortForward(w, r.WithContext(ctx), forwarder{found, ctx}, r.PathValue("pod"),
		r.PathValue("uid"), options, idleTimeout,
		remotecommand.DefaultStreamCreationTimeout, portforward.SupportedProtocols)
}
