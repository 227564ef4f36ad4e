"""A sidecar takes every connection: an open port proves nothing, and neither does a TCP probe."""

from lab import declare as d

ANY = "/anything/{marker}"
NOBODY = 9999
"""A port at which nothing listens, in any pod."""
AS_WRITTEN = {"sidecar.istio.io/rewriteAppHTTPProbers": "false"}
DEAF = d.Variant("deaf", of="httpbin", ports=(NOBODY,), annotations=AS_WRITTEN)
BARE = d.echo("bare", 9100, sidecar=False)
HTTPBIN = d.service("httpbin", 8000, target=8080)
TO_NOBODY = d.service("deaf", 8001, target=NOBODY)
AGENT = 15020
"""The port at which the sidecar's agent answers probes that Istio rewrote at injection."""
REWRITTEN = "/app-health/httpbin/readyz?{marker}"
"""What it is asked there; it asks the application inside the pod."""


def knock(name: str, workload: str, source: str = "stranger") -> d.Call:
    """Return a connection to a port of a pod at which nothing listens."""
    return d.say_pod(name, "posted", workload, NOBODY, source=source)


def probe(name: str, port: int = 8080, path: str = ANY) -> d.Call:
    """Return an HTTP probe, made in plaintext from outside of the mesh, as a kubelet makes it."""
    return d.curl_pod(name, "strict", "httpbin", port, path=path, source="stranger")


def taken(*names: str) -> d.Check:
    """Return the check that a connection is made, whatever happens to it afterwards."""
    return d.came_out(*names, outcomes=("closed", "reset", "hang"))


FAILURE = d.Failure(
    name="green_probes",
    title="An open port, and probes under mutual TLS",
    symptom="The pod is Ready, a port scan finds its port open, and nothing listens there.",
    sources=(
        "https://github.com/istio/istio/issues/36540",
        "https://github.com/istio/istio/issues/15178",
        "https://github.com/istio/istio/issues/53786",
        "https://github.com/istio/istio/issues/41010",
    ),
    worlds=(
        d.posted(
            "a pod whose TCP probe is left as it was written, and asks a port of nobody",
            ("client", "stranger", "httpbin", DEAF, BARE),
            (HTTPBIN, TO_NOBODY),
        ),
        d.strict(("stranger", "httpbin"), (HTTPBIN,), "{mode}"),
    ),
    calls=(
        d.curl("healthy", "posted", HTTPBIN, path=ANY),
        d.curl("ready", "posted", TO_NOBODY, path=ANY),
        knock("open", "httpbin"),
        knock("open-from-mesh", "bare", "client"),
        knock("closed", "bare"),
        probe("probe"),
        probe("rewritten", AGENT, REWRITTEN),
    ),
    claims=(
        d.claim(
            "B1",
            "a pod that is Ready by a TCP probe has a server at the probed port",
            as_posted=d.answer(
                "Is the probed port of the pod, which is Ready, answered?",
                d.answered("ready", status=200),
                instead=d.unanswered("ready", status=503),
            ),
            today=d.answer(
                "Does a sidecar take each connection, at the server's side and at the client's?",
                d.all_of(
                    taken("open", "open-from-mesh"), d.came_out("closed", outcomes=("refused",))
                ),
                instead=d.came_out("open", "open-from-mesh", outcomes=("refused",)),
            ),
            pinned=("not reproduced", "reproduced"),
            because="Envoy takes a connection before it knows whether anybody takes its own",
        ),
        d.claim(
            "B2",
            "an HTTP probe fails where mTLS is demanded",
            as_posted=d.answer(
                "Is plaintext to the application's port refused, as a kubelet sends it?",
                d.plaintext_refused("probe"),
                instead=d.answered("probe", status=200),
            ),
            today=d.answer(
                "Is the probe answered as Istio rewrites it, at the agent's port?",
                d.succeeded("rewritten"),
                instead=d.unanswered("rewritten"),
            ),
            pinned=("reproduced", "reproduced"),
            because="a kubelet has no certificate; the agent's port is not behind the proxy",
        ),
    ),
    controls=(
        d.Control("httpbin is reached in the mesh", d.secured_answer("healthy")),
        d.stranger_is_read("open"),
    ),
    remedies=(
        d.remedy(
            "rewrite",
            "let Istio rewrite the probe, as it does by default",
            claim="B2",
            call=probe(""),
            instead=probe("", AGENT, REWRITTEN),
            broken=d.broken_off,
            healed=d.succeeded,
            price="containers that another webhook adds later are not seen",
            pinned=d.pin("heals", because="the agent asks the application inside the pod"),
        ),
    ),
    parameters={
        "mode": d.parameter("PeerAuthentication mode", "STRICT", "PERMISSIVE"),
    },
    passthrough=True,
    symptoms=d.seen_as(
        "Readiness probe failed, connection reset by peer, filter_chain_not_found",
        where="kubectl describe pod; the server's proxy's log",
        tell="kubectl get pod POD -o yaml | grep -A3 app-health",
        says="nothing: the probe was not rewritten",
    )
    + d.seen_as(
        "open, succeeded",
        where="nc, a port scanner, a TCP probe",
        tell="kubectl exec POD -c istio-proxy -- ss -ltn",
        says="no listener at the port: it is the sidecar that takes the connection",
    ),
)
