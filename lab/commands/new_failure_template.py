"""A port whose name says another protocol than it speaks."""

from lab import declare as d

HTTPBIN = d.service("httpbin", 8000, "http", target=8080)
# It has a target port of its own: a sidecar has one inbound chain for each port of its workload.
MISNAMED = d.service("misnamed", 8001, "{port_name}", target=8081, workload="httpbin")
ANY = "/anything/{marker}"

heal = d.remedies(
    "M1",
    d.readable,  # how it fails without the remedy, and again once it is taken back
    d.secured_answer,  # how it is with the remedy
    lambda own: d.curl("", "posted", own, path=ANY),  # the call that is made three times
)

FAILURE = d.Failure(
    name="my_failure",
    title="A Service port with a misleading name",
    symptom="Everything works, and one port can be read by everybody.",
    sources=(
        "https://istio.io/latest/docs/ops/configuration/traffic-management/protocol-selection/",
    ),
    worlds=(
        d.plain(("client", "httpbin"), (HTTPBIN,)),
        d.posted(
            "mTLS is wanted, not demanded",
            ("client", "httpbin"),
            (HTTPBIN, MISNAMED),
            mtls="PERMISSIVE",
            rule="ISTIO_MUTUAL",
        ),
    ),
    calls=(
        d.curl("plain", "plain", HTTPBIN, path=ANY),
        d.curl("named", "posted", HTTPBIN, path=ANY),
        d.curl("misnamed", "posted", MISNAMED, path=ANY),
    ),
    claims=(
        d.claim(
            "M1",
            "all services of the namespace are secured",
            as_posted=d.answer("Is the well named port secured?", d.secured_answer("named")),
            today=d.answer(
                "Is the other one in plaintext?",
                d.all_of(d.answered("misnamed"), d.readable("misnamed")),
                instead=d.secured_answer("misnamed"),
            ),
            # When you have seen the words: pinned=("reproduced", "reproduced"), because="why",
        ),
    ),
    controls=(
        d.Control("httpbin answers without mTLS", d.answered("plain", status=200)),
        d.marker_is_read("plain"),
    ),
    remedies=(
        heal(
            "http-name",
            "name the port http-...",
            d.rename(MISNAMED, "http-web"),
            price="none",
            # When you have seen the word: pinned=d.pin("heals", because="why"),
        ),
    ),
    parameters={
        "port_name": d.parameter("name of the second port", "udp-web", "http-web"),
    },
    passthrough=True,  # it rests on a mesh that lets pass what is for no Service
    symptoms=d.seen_as(
        "PassthroughCluster",
        where="the client's proxy's log",
        tell="kubectl get service SERVICE -o yaml | grep -A3 ports",
        says="a name of another protocol than the port speaks",
    ),
)
