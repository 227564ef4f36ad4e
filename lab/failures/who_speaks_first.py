"""A server that speaks first: who hangs is decided by mode, port name and caller together."""

from lab import declare as d


def greeter(name: str, *, sidecar: bool) -> d.Variant:
    """Return a server that greets at ports 9100 to 9104, as MySQL, SMTP and NATS do."""
    ports = (9100, 9101, 9102, 9103, 9104)
    args = tuple(f"--{flag}={port}" for port in ports for flag in ("tcp", "server-first"))
    image = "lab/istio-echo"
    return d.Variant(name, of="tcp-echo", image=image, args=args, ports=ports, sidecar=sidecar)


GREETER, BARE = greeter("greeter", sidecar=True), greeter("bare", sidecar=False)
TCP = d.service("greeter", 9100, "{port_name}")
UNNAMED = d.service("unnamed", 9101, "", workload="greeter")
# For each remedy a Service and a port of its own.
RENAMED = d.service("unnamed-too", 9102, "", workload="greeter")
PLAIN = d.service("plain", 9103, "tcp-greet", workload="greeter")
NUMBERED = d.service("mysql", 3306, "", target=9104, workload="greeter")
UNRELATED = """\
apiVersion: v1
kind: Service
metadata: {name: unrelated, annotations: {networking.istio.io/exportTo: "{namespace}"}}
spec:
  selector: {app: nothing}
  ports: [{name: http, port: 9100}, {name: http-too, port: 9102}]
"""
OWN_SCOPE = """\
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: client}
spec:
  workloadSelector: {labels: {app: client}}
  egress: [{hosts: ["./*"]}]
"""


def hangs(*names: str) -> d.Check:
    """Return the check that a caller waits for a greeting that does not come."""
    return d.came_out(*names, outcomes=("hang",))


def listen(name: str, service: d.Service, source: str = "client") -> d.Call:
    """Return a call that waits for the server's greeting."""
    return d.say(name, "posted", service, reads_first=True, source=source)


def by_address(name: str, port: int, source: str = "client") -> d.Call:
    """Return the same to a server outside the mesh, at its own address."""
    command = "say {ip} {port} {marker} --read-first"
    return d.to_address(name, "neighbour", "bare", port, command, source=source)


heal = d.remedies("F1", hangs, d.secured_answer, lambda own: listen("", own))

FAILURE = d.Failure(
    name="who_speaks_first",
    title="A server that speaks first",
    symptom="The client connects, waits for the greeting, and waits for ever.",
    sources=(
        "https://github.com/istio/istio/issues/35232",
        "https://github.com/istio/istio/issues/38284",
        "https://github.com/istio/istio/issues/22150",
        "https://istio.io/latest/docs/ops/deployment/application-requirements/",
    ),
    worlds=(
        d.world(
            *("posted", "during", "both plaintext and mTLS are accepted"),
            ("client", "stranger", GREETER),
            (TCP, UNNAMED, RENAMED, PLAIN, NUMBERED),
            "PERMISSIVE",
        ),
        d.world(
            *("neighbour", "during", "a server outside the mesh, and another team's Services"),
            ("client", "stranger", BARE),
            (),
            others=(d.Namespace("theirs", UNRELATED),),
        ),
    ),
    calls=(
        listen("tcp", TCP),
        listen("unnamed", UNNAMED),
        d.say("unnamed-sends", "posted", UNNAMED),
        listen("stranger", TCP, "stranger"),
        by_address("alone", 9101),
        by_address("taken", 9100),
        by_address("taken-stranger", 9100, "stranger"),
    ),
    claims=(
        d.claim(
            "F1",
            "a port without a name works for any protocol",
            as_posted=d.answer(
                "Is the greeting read at a port without a name?",
                d.answered("unnamed"),
                instead=d.all_of(hangs("unnamed"), d.answered("tcp", "unnamed-sends")),
            ),
            today=d.answer(
                "Does it wait in the caller's own proxy, so that nothing crosses?",
                d.all_of(hangs("unnamed"), d.unsent("unnamed"), d.secured_answer("tcp")),
                instead=d.answered("unnamed"),
            ),
            pinned=("not reproduced", "reproduced"),
            because="the caller's proxy looks at its first bytes, and has no time-out for them",
        ),
        d.claim(
            "F2",
            "a name that begins with tcp- is enough",
            as_posted=d.answer(
                "Is it, for a caller without a sidecar too?",
                d.answered("tcp", "stranger"),
                instead=d.all_of(d.answered("tcp"), hangs("stranger")),
                shows="stranger",
            ),
            today=d.answer(
                "Is it the server's proxy that waits, to tell TLS from plaintext?",
                d.all_of(hangs("stranger"), d.unread("stranger"), d.answered("tcp")),
                instead=d.answered("stranger"),
                shows="stranger",
            ),
            pinned=("not reproduced", "reproduced"),
            because="a server that accepts both looks at the first bytes of whoever comes",
        ),
        d.claim(
            "F3",
            "another team's Services change nothing for this one",
            as_posted=d.answer(
                "Is the same server read at a port number that others have for HTTP?",
                d.answered("alone", "taken"),
                instead=d.all_of(d.answered("alone", "taken-stranger"), hangs("taken")),
                shows="taken",
            ),
            today=d.answer(
                "Does it wait in the caller's own proxy?",
                d.all_of(hangs("taken"), d.unsent("taken"), d.answered("taken-stranger")),
                instead=d.answered("taken"),
            ),
            pinned=("not reproduced", "reproduced"),
            because="all HTTP Services of a number share one listener, which looks at first bytes",
        ),
    ),
    controls=(
        d.Control("the server greets by mTLS", d.secured_answer("tcp")),
        d.marker_is_read("taken-stranger", says="what a stranger sends is read on the wire"),
    ),
    remedies=(
        heal(
            "tcp-name",
            "name the port tcp-...",
            d.rename(RENAMED, "tcp-greet"),
            price="none: it is TCP",
            pinned=d.pin("heals", because="then the caller's proxy connects at once"),
        ),
        heal(
            "known-number",
            "give the Service a number that Istio knows: 3306",
            d.Trial(UNNAMED),
            instead=listen("", NUMBERED),
            price="four numbers only: 25, 53, 3306, 27017",
            pinned=d.pin("heals", because="these numbers are TCP, whatever their ports are called"),
        ),
        d.remedy(
            "port-disable",
            "turn mTLS off for the port",
            claim="F2",
            call=listen("", PLAIN, "stranger"),
            broken=hangs,
            healed=d.answered,
            change=d.Change("", d.port_mtls("greeter", 9103, "DISABLE")),
            seen_at=("greeter",),
            price="it is in plaintext for everybody",
            pinned=d.pin("heals", because="a proxy that expects no TLS need not look for it"),
        ),
        d.remedy(
            "own-scope",
            "tell the caller's proxy of its own namespace alone",
            claim="F3",
            call=by_address("", 9102),
            broken=hangs,
            healed=d.answered,
            change=d.Change("", OWN_SCOPE),
            price="Services of other namespaces have to be named",
            pinned=d.pin("heals", because="then their Services are no listeners of this proxy"),
        ),
    ),
    parameters={
        "port_name": d.Parameter("name of the port", "tcp-greet", ("tcp-greet", "greet")),
    },
    passthrough=True,
    symptoms=(
        d.symptom(
            "hang",
            "timeout",
            "timed out",
            "downstream_pre_cx_active",
            where="the client; nothing is in any log",
            tell="istioctl proxy-config listener CLIENT_POD --port PORT -o json | grep inspector",
            says="inspectors: they wait for the client's first bytes",
        ),
    ),
    try_next=("make reproduce FAILURE=who_speaks_first PARAMS=port_name=greet",),
)
