"""Another team's HTTP Service, at the port number of a server outside the mesh, makes it hang."""

from lab import declare as d

BARE = d.echo("bare", 9100, 9101, 9102, greets=(9100, 9101, 9102), sidecar=False)
THEIRS = d.Namespace("theirs", d.service_of_others({"{port_name}": 9100, "http-too": 9102}))


def listen(name: str, port: int, source: str = "client") -> d.Call:
    """Return a call to the server's own address that waits for its greeting."""
    return d.say_pod(name, "posted", "bare", port, reads_first=True, source=source)


FAILURE = d.Failure(
    name="neighbours_port",
    title="A server that speaks first, and another team's HTTP Service with its port number",
    symptom="A port that worked for months hangs, since another team has deployed something.",
    sources=(
        "https://github.com/istio/istio/issues/22150",
        "https://istio.io/latest/docs/ops/deployment/application-requirements/",
    ),
    worlds=(
        d.posted(
            "a server outside the mesh, and another team's Services",
            ("client", "stranger", BARE),
            (),
            others=(THEIRS,),
        ),
    ),
    calls=(listen("alone", 9101), listen("taken", 9100), listen("stranger", 9100, "stranger")),
    claims=(
        d.claim(
            "P1",
            "another team's Services change nothing for this server",
            as_posted=d.answer(
                "Is it read at a port number that others have for HTTP?",
                d.answered("alone", "taken"),
                instead=d.all_of(d.answered("alone", "stranger"), d.hangs("taken")),
                shows="taken",
            ),
            today=d.answer(
                "Does it wait in the caller's own proxy?",
                d.all_of(d.hangs("taken"), d.unsent("taken"), d.answered("stranger")),
                instead=d.answered("taken"),
            ),
            pinned=("not reproduced", "reproduced"),
            because="all HTTP Services of a number share one listener, which looks at first bytes",
        ),
    ),
    controls=(
        d.Control("the server is reached at a number that nobody has", d.answered("alone")),
        d.stranger_is_read("stranger"),
    ),
    remedies=(
        d.remedy(
            "own-scope",
            "tell the caller's proxy of its own namespace alone",
            claim="P1",
            call=listen("", 9102),
            broken=d.hangs,
            healed=d.answered,
            change=d.Change("", d.sidecar_scope("client", "./*")),
            price="Services of other namespaces have to be named",
            pinned=d.pin("heals", because="then their Services are no listeners of this proxy"),
        ),
    ),
    parameters={"port_name": d.parameter("name of the other team's port", "http", "tcp-other")},
    passthrough=True,
    symptoms=d.seen_as(
        "hang, timeout, timed out",
        where="the client, since somebody else has deployed",
        tell="istioctl proxy-config listener CLIENT_POD --port PORT",
        says="0.0.0.0 with an HTTP filter chain, of a Service that is not called",
    ),
)
