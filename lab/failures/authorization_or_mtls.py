"""Policies whose work is taken for mTLS: a method in a DENY closes TCP, a refused caller reads."""

from lab import declare as d

ECHO = d.service("tcp-echo", 9000, "tcp-a")
OTHER = d.service("echo-two", 9000, "tcp-b")
ECHO_TWO = d.Variant("echo-two", of="tcp-echo")
HTTPBIN = d.service("httpbin", 8000, target=8080)
GREETER = d.echo("greeter", 9101, 9100, greets=(9100,))
GREETS = d.service("greeter", 9100, "tcp-greet")
WAITS = d.service("waiter", 9101, "tcp-wait", workload="greeter")
MAGIC = "server-first-protocol"
"""What the server says first (pkg/test/echo/common of Istio)."""
ALLOWED = '{from: [{source: {principals: ["cluster.local/ns/{namespace}/sa/nobody"]}}]}'
NOBODY = d.authorization_policy("nobody", "greeter", "ALLOW", ALLOWED)


def deny(workload: str, operation: str) -> str:
    """Return the policy that denies an operation of a workload to all its callers."""
    rules = f"{{to: [{{operation: {{{operation}}}}}]}}"
    return d.authorization_policy(f"no-post-{workload}", workload, "DENY", rules)


POST, PORT = 'methods: ["POST"]', 'ports: ["9001"]'
DENIED = d.server_logged("tcp", words="rbac_access_denied_matched_policy")

FAILURE = d.Failure(
    name="authorization_or_mtls",
    title="A DENY of a method on TCP, and a greeting that a refused caller reads",
    symptom="A TCP port is dead since a policy for HTTP was applied, and mTLS is blamed.",
    sources=(
        "https://github.com/istio/istio/issues/24845",
        "https://github.com/istio/istio.io/issues/12178",
        "https://github.com/envoyproxy/envoy/issues/9023",
        "https://istio.io/latest/docs/tasks/security/authorization/authz-tcp/",
    ),
    worlds=(
        d.posted(
            "mTLS is demanded, POST is denied, and a server allows nobody",
            ("client", "stranger", "httpbin", "tcp-echo", ECHO_TWO, GREETER),
            (HTTPBIN, ECHO, OTHER, GREETS, WAITS),
            "STRICT",
            objects=d.together(
                deny("httpbin", POST), deny("tcp-echo", "{denied}"), deny("echo-two", POST), NOBODY
            ),
        ),
    ),
    calls=(
        d.curl("get", "posted", HTTPBIN, path="/anything/{marker}"),
        d.curl("post", "posted", HTTPBIN, "-X POST -d marker={marker}", path="/post"),
        d.curl("stranger", "posted", HTTPBIN, path="/anything/{marker}", source="stranger"),
        d.say("tcp", "posted", ECHO),
        d.say("greeting", "posted", GREETS, reads_first=True),
        d.say("waiting", "posted", WAITS),
    ),
    claims=(
        d.claim(
            "N1",
            "a DENY of POST leaves TCP alone",
            as_posted=d.answer(
                "Is a line of TCP answered?",
                d.answered("tcp"),
                instead=d.all_of(d.broken_off("tcp"), DENIED),
            ),
            today=d.answer(
                "Was it the policy, after a handshake that was whole?",
                d.all_of(DENIED, d.secured("tcp"), d.answered("get", status=200)),
                instead=d.answered("tcp"),
                shows="tcp",
            ),
            pinned=("not reproduced", "reproduced"),
            because="TCP has no methods: the field is dropped, and the rest of a DENY denies more",
        ),
        d.claim(
            "N2",
            "who is not allowed gets nothing from the server",
            as_posted=d.answer(
                "Does a refused caller receive nothing?",
                d.broken_off("greeting", "waiting"),
                instead=d.all_of(d.received("greeting", words=MAGIC), d.unanswered("greeting")),
                shows="greeting",
            ),
            today=d.answer(
                "Is only that read which a server says first?",
                d.all_of(
                    d.received("greeting", words=MAGIC),
                    d.unanswered("greeting"),
                    d.broken_off("waiting"),
                ),
                instead=d.broken_off("greeting"),
                shows="greeting",
            ),
            pinned=("not reproduced", "reproduced"),
            because="Envoy decides at the client's first bytes, and has called the server by then",
        ),
    ),
    controls=(
        d.Control("the policy denies the method on HTTP", d.unanswered("post", status=403)),
        d.Control("mTLS works", d.secured_answer("get")),
        d.stranger_is_read("stranger"),
    ),
    remedies=(
        d.remedy(
            "ports",
            "name the port that is meant, beside the method",
            claim="N1",
            call=d.say("", "posted", OTHER),
            broken=d.broken_off,
            healed=d.secured_answer,
            change=d.Change(deny("echo-two", POST), deny("echo-two", f"{POST}, {PORT}")),
            seen_at=("echo-two",),
            price="none: it is what was meant",
            pinned=d.pin("heals", because="the rest of the rule, its port, does not match here"),
        ),
    ),
    parameters={
        "denied": d.Parameter(
            "what is denied to callers of TCP",
            "method",
            ("method", "port"),
            meaning={"method": POST, "port": PORT},
        )
    },
    symptoms=d.seen_as(
        "rbac_access_denied_matched_policy, RBAC, connection closed",
        where="the server's proxy's log",
        tell="kubectl logs SERVER_POD -c istio-proxy | grep rbac_access_denied",
        says="the policy, with a handshake that was whole: both names are in the line",
    ),
)
