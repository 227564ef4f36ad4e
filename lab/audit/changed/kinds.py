"""Which objects istiod reads, and where a cluster lists them."""

from __future__ import annotations

from collections.abc import Mapping

_NETWORKING, _SECURITY = "/apis/networking.istio.io", "/apis/security.istio.io/v1"
_GATEWAY = "/apis/gateway.networking.k8s.io"
KUBERNETES: Mapping[str, str] = {
    "/api/v1/namespaces": "Namespace",
    "/api/v1/nodes": "Node",
    "/api/v1/serviceaccounts": "ServiceAccount",
    "/api/v1/services": "Service",
    "/api/v1/pods": "Pod",
    "/apis/discovery.k8s.io/v1/endpointslices": "EndpointSlice",
    "/apis/networking.k8s.io/v1/ingresses": "Ingress",
    "/apis/networking.k8s.io/v1/ingressclasses": "IngressClass",
}
ISTIO: Mapping[str, str] = {
    f"{_NETWORKING}/v1/destinationrules": "DestinationRule",
    f"{_NETWORKING}/v1/gateways": "Gateway",
    f"{_NETWORKING}/v1/serviceentries": "ServiceEntry",
    f"{_NETWORKING}/v1/sidecars": "Sidecar",
    f"{_NETWORKING}/v1/virtualservices": "VirtualService",
    f"{_NETWORKING}/v1/workloadentries": "WorkloadEntry",
    f"{_NETWORKING}/v1/workloadgroups": "WorkloadGroup",
    f"{_NETWORKING}/v1alpha3/envoyfilters": "EnvoyFilter",
    f"{_NETWORKING}/v1beta1/proxyconfigs": "ProxyConfig",
    f"{_SECURITY}/authorizationpolicies": "AuthorizationPolicy",
    f"{_SECURITY}/peerauthentications": "PeerAuthentication",
    f"{_SECURITY}/requestauthentications": "RequestAuthentication",
    "/apis/telemetry.istio.io/v1/telemetries": "Telemetry",
    "/apis/extensions.istio.io/v1alpha1/trafficextensions": "TrafficExtension",
    "/apis/extensions.istio.io/v1alpha1/wasmplugins": "WasmPlugin",
}
GATEWAY_API: Mapping[str, str] = {
    f"{_GATEWAY}/v1/backendtlspolicies": "BackendTLSPolicy",
    f"{_GATEWAY}/v1/gatewayclasses": "GatewayClass",
    f"{_GATEWAY}/v1/gateways": "Gateway",
    f"{_GATEWAY}/v1/grpcroutes": "GRPCRoute",
    f"{_GATEWAY}/v1/httproutes": "HTTPRoute",
    f"{_GATEWAY}/v1/listenersets": "ListenerSet",
    f"{_GATEWAY}/v1/tcproutes": "TCPRoute",
    f"{_GATEWAY}/v1/tlsroutes": "TLSRoute",
    f"{_GATEWAY}/v1beta1/referencegrants": "ReferenceGrant",
}
CONTROL_PLANE: Mapping[str, str] = {
    "/api/v1/namespaces/istio-system/configmaps": "ConfigMap",
    "/apis/apps/v1/namespaces/istio-system/deployments": "Deployment",
}
"""The mesh's configuration, and istiod's own settings."""
EVERY = {**KUBERNETES, **ISTIO, **GATEWAY_API, **CONTROL_PLANE}
CLUSTER_WIDE = frozenset({"Namespace", "Node", "IngressClass", "GatewayClass"})
"""Kinds whose objects are in no namespace."""
_GROUPS = {path.split("/")[2]: None for path in (*ISTIO, *GATEWAY_API)}
_OF_KUBERNETES = frozenset(
    {
        "Namespace",
        "Service",
        "EndpointSlice",
        "ServiceAccount",
        "ConfigMap",
        "Ingress",
        "IngressClass",
    }
)
RUNS_PODS = frozenset(
    {"Pod", "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob"}
)
"""Kinds of which pods come. Pods stay as they are: nothing is injected, scheduled or started."""


def version(path: str) -> str:
    """Return the apiVersion of what a path lists: `apps/v1`."""
    _, root, *rest = path.split("/")
    return rest[0] if root == "api" else "/".join(rest[:2])


def group(api_version: str) -> str:
    """Return the group of an apiVersion; empty for Kubernetes' core."""
    return api_version.rpartition("/")[0]


def can_be_applied(api_version: str, kind: str) -> bool:
    """Return whether a change of such an object is one that istiod reads, and pods need not."""
    return group(api_version) in _GROUPS or kind in _OF_KUBERNETES
