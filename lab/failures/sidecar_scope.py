"""A Sidecar resource that leaves a host out takes its mTLS away, and says nothing."""

from lab import declare as d

HTTPBIN = d.service("httpbin", 8000, target=8080)
ANY = "/anything/{marker}"
OPEN, SECOND = d.Variant("open", of="client"), d.Variant("second", of="client")
LIMITED = {name: d.sidecar_scope(name, "{hosts}") for name in ("client", "second")}


def ask(name: str, source: str, world: str = "posted") -> d.Call:
    """Return a request to httpbin by its name."""
    return d.curl(name, world, HTTPBIN, path=ANY, source=source)


def closed(call: str) -> d.Check:
    """Return the check that nothing is answered, and nothing read."""
    return d.all_of(d.unanswered(call), d.unread(call))


heal = d.remedies("S1", d.readable, d.secured_answer, lambda source: ask("", source))


FAILURE = d.Failure(
    name="sidecar_scope",
    title="A Sidecar resource that limits what a proxy is told of",
    symptom="Less memory, everything works, and calls to a Service that was left out can be read.",
    sources=(
        "https://github.com/istio/istio/issues/41978",
        "https://github.com/istio/istio/issues/15329",
        "https://github.com/istio/istio/issues/17463",
    ),
    worlds=(
        d.posted(
            "the callers' Sidecar names no host of this namespace",
            ("client", SECOND, OPEN, "stranger", "httpbin"),
            (HTTPBIN,),
            "PERMISSIVE",
            objects=d.together(*LIMITED.values()),
        ),
        d.strict(("client", "httpbin"), (HTTPBIN,), same="Sidecar", objects=LIMITED["client"]),
    ),
    calls=(
        ask("open", "open"),
        ask("stranger", "stranger"),
        ask("limited", "client"),
        ask("limited-strict", "client", "strict"),
    ),
    claims=(
        d.claim(
            "S1",
            "a Sidecar resource saves memory, and changes nothing else",
            as_posted=d.answer(
                "Is a Service that it leaves out still called by mTLS?",
                d.secured_answer("limited"),
                instead=d.readable_answer("limited", status=200),
            ),
            today=d.answer(
                "Does the call pass as it is, for the sidecar knows no such Service?",
                d.all_of(
                    d.went_to("limited", cluster="PassthroughCluster"),
                    d.readable("limited"),
                    d.secured("open"),
                ),
                instead=d.secured("limited"),
            ),
            pinned=("not reproduced", "reproduced"),
            because="what is not in scope is unknown traffic, and unknown traffic is passed on",
        ),
        d.claim(
            "S1a",
            "a STRICT server keeps such calls from being read",
            as_posted=d.whether_unread("limited-strict"),
            today=d.whether_refused("limited-strict", d.unanswered),
            pinned=("not reproduced", "reproduced"),
            because="a server refuses what has been sent already",
        ),
    ),
    controls=(
        d.Control("a caller without a Sidecar resource is secured", d.secured_answer("open")),
        d.stranger_is_read("stranger"),
    ),
    remedies=(
        heal(
            "own-namespace",
            "name the hosts of the own namespace too: ./*",
            d.replace_objects(
                "client", LIMITED["client"], d.sidecar_scope("client", "./*", "istio-system/*")
            ),
            price="the proxy is told of all of them",
            pinned=d.pin("heals", because="the Service has a listener and a cluster again"),
        ),
        heal(
            "registry-only",
            "let the Sidecar pass on only what it knows: REGISTRY_ONLY",
            d.replace_objects(
                "second",
                LIMITED["second"],
                d.sidecar_scope("second", "istio-system/*", registry_only=True),
            ),
            healed=closed,
            price="nothing is read, and nothing is answered",
            pinned=d.pin("heals", because="the call ends in the caller's own proxy"),
        ),
    ),
    parameters={
        "hosts": d.parameter("what the Sidecar names", "istio-system/*", "./*"),
    },
    passthrough=True,
    symptoms=d.seen_as(
        "PassthroughCluster, BlackHoleCluster",
        where="the client's proxy's log, of a call to a Service's name",
        tell="kubectl get sidecar -A -o yaml",
        says="egress hosts that leave the Service out",
    ),
)
