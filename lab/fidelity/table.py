"""Why lines differ between the embedded cluster and kind: everything that is known of it."""

EXPLAINED: tuple[tuple[str, str, str], ...] = (  # part ("" for any), regular expression, why
    (
        "",
        r"istiod-revision-tag-default",
        "istioctl makes a Service for the revision tag; the embedded cluster has no tags",
    ),
    (
        "clusters",
        r"^dynamic_active_clusters\[outbound\|\d+\|\|(istiod\.istio|kube-dns\.kube)-system\."
        r".*default_validation_context( =|\.match_subject_alt_names)",
        "istiod and CoreDNS are pods on kind, with service accounts that a proxy may expect; "
        "embedded, they are processes of the node",
    ),
    (
        "endpoints",
        r"\|\|(istiod\.istio-system|kube-dns\.kube-system|kubernetes\.default)\.svc"
        r".*(address = |istio\.workload = |lb_endpoints( in order|\[1\])|balancing_weight)",
        "the control plane's addresses: of pods and of kind's node; embedded, of the node alone "
        "(two pods of CoreDNS on kind)",
    ),
    (
        "",
        r"outbound\|9153\||kube-dns>_9153|kube-dns.kube-system.svc.cluster.local:9153",
        "kubeadm's kube-dns has a port for metrics, which the embedded one does not serve",
    ),
    (
        "pod",
        r"^spec\.initContainers\[istio-(init|proxy)\]\.resources\.requests\.(cpu|memory) = ",
        "requests are lowered on kind, where the scheduler would find no room for thirty sidecars",
    ),
    ("pod", r"^spec\.nodeName = ", "the node's name"),
    ("bootstrap", r"metadata\.NODE_NAME = ", "the node's name"),
    (
        "bootstrap",
        r"ANNOTATIONS\.kubernetes\.io/config\.(seen|source) = ",
        "kind's kubelet adds where it had the pod from, as every real one does, "
        "to the annotations that a proxy reads from a volume",
    ),
)
