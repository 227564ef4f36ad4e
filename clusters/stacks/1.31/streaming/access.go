package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"

	authorization "k8s.io/api/authorization/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	client "k8s.io/client-go/kubernetes/typed/authorization/v1"
	"k8s.io/client-go/tools/clientcmd"
)

// access lets in whom a kubelet lets in: who has a client certificate of the cluster's authority,
// and whom the API server allows what is asked of this node. Nobody is anonymous.
type access struct {
	node    string
	clients *x509.CertPool
	reviews client.SubjectAccessReviewInterface
}

func newAccess(node, kubeconfig, ca string) (*access, error) {
	certificates, err := os.ReadFile(ca)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(certificates) {
		return nil, fmt.Errorf("%s holds no certificate", ca)
	}
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, err
	}
	// A review is asked for at every request: what has been allowed may not be any more.
	config.QPS = -1
	api, err := client.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	return &access{node, pool, api.SubjectAccessReviews()}, nil
}

// tls asks for a certificate and takes a caller without one: it is told 401, in words, instead of
// an alert.
func (a *access) tls() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, ClientAuth: tls.RequestClientCert}
}

func (a *access) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		caller, err := a.caller(r)
		if err != nil {
			http.Error(w, "Unauthorized", http.StatusUnauthorized)
			return
		}
		review := a.review(caller, r)
		answer, err := a.reviews.Create(r.Context(), review, meta.CreateOptions{})
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		if !answer.Status.Allowed {
			asked := review.Spec.ResourceAttributes
			text := fmt.Sprintf("Forbidden (user=%s, verb=%s, resource=%s, subresource=%s)",
				caller.Subject.CommonName, asked.Verb, asked.Resource, asked.Subresource)
			http.Error(w, text, http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// caller returns the verified certificate of a request.
func (a *access) caller(r *http.Request) (*x509.Certificate, error) {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return nil, fmt.Errorf("no client certificate")
	}
	shown := r.TLS.PeerCertificates
	between := x509.NewCertPool()
	for _, one := range shown[1:] {
		between.AddCert(one)
	}
	_, err := shown[0].Verify(x509.VerifyOptions{
		Roots:         a.clients,
		Intermediates: between,
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	return shown[0], err
}

// review asks what a kubelet asks: is this verb allowed on the node's proxy?
func (a *access) review(caller *x509.Certificate, r *http.Request) *authorization.SubjectAccessReview {
	verbs := map[string]string{
		http.MethodPost: "create", http.MethodGet: "get", http.MethodPut: "update",
		http.MethodPatch: "patch", http.MethodDelete: "delete",
	}
	return &authorization.SubjectAccessReview{
		Spec: authorization.SubjectAccessReviewSpec{
			User:   caller.Subject.CommonName,
			Groups: append([]string{"system:authenticated"}, caller.Subject.Organization...),
			ResourceAttributes: &authorization.ResourceAttributes{
				Verb: verbs[r.Method], Version: "v1", Resource: "nodes", Subresource: "proxy", Name: a.node,
			},
		},
	}
}
