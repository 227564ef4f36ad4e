"""A server that speaks first: who hangs is decided by mode, port name and caller together."""

from lab import declare as d

PORTS = (9100, 9101, 9102, 9103, 9104)
GREETER = d.echo("greeter", *PORTS, greets=PORTS)
TCP = d.service("greeter", 9100, "tcp-greet")
UNNAMED = d.service("unnamed", 9101, "{port_name}", workload="greeter")
# For each remedy a Service and a port of its own.
RENAMED = d.service("unnamed-too", 9102, "", workload="greeter")
PLAIN = d.service("plain", 9103, "tcp-greet", workload="greeter")
NUMBERED = d.service("mysql", 3306, "", target=9104, workload="greeter")


def listen(name: str, service: d.Service, source: str = "client") -> d.Call:
    """Return a call that waits for the server's greeting."""
    return d.say(name, "posted", service, reads_first=True, source=source)


heal = d.remedies("F1", d.hangs, d.secured_answer, lambda own: listen("", own))

FAILURE = d.Failure(
    name="who_speaks_first",
    title="A server that speaks first",
    symptom="The client connects, waits for the greeting, and waits for ever.",
    sources=(
        "https://github.com/istio/istio/issues/35232",
        "https://github.com/istio/istio/issues/38284",
        "https://istio.io/latest/docs/ops/deployment/application-requirements/",
    ),
    worlds=(
        d.posted(
            "both plaintext and mTLS are accepted",
            ("client", "stranger", GREETER),
            (TCP, UNNAMED, RENAMED, PLAIN, NUMBERED),
            "PERMISSIVE",
        ),
    ),
    calls=(
        listen("tcp", TCP),
        listen("unnamed", UNNAMED),
        d.say("unnamed-sends", "posted", UNNAMED),
        listen("stranger", TCP, "stranger"),
        d.say("stranger-sends", "posted", TCP, source="stranger"),
    ),
    claims=(
        d.claim(
            "F1",
            "a port without a name works for any protocol",
            as_posted=d.answer(
                "Is the greeting read at a port without a name?",
                d.answered("unnamed"),
                instead=d.all_of(d.hangs("unnamed"), d.answered("tcp", "unnamed-sends")),
            ),
            today=d.answer(
                "Does it wait in the caller's own proxy, so that nothing crosses?",
                d.all_of(d.hangs("unnamed"), d.unsent("unnamed"), d.secured_answer("tcp")),
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
                instead=d.all_of(d.answered("tcp"), d.hangs("stranger")),
                shows="stranger",
            ),
            today=d.answer(
                "Is it the server's proxy that waits, to tell TLS from plaintext?",
                d.all_of(d.hangs("stranger"), d.unread("stranger"), d.answered("tcp")),
                instead=d.answered("stranger"),
                shows="stranger",
            ),
            pinned=("not reproduced", "reproduced"),
            because="a server that accepts both looks at the first bytes of whoever comes",
        ),
    ),
    controls=(
        d.Control("the server greets by mTLS", d.secured_answer("tcp")),
        d.stranger_is_read("stranger-sends"),
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
            broken=d.hangs,
            healed=d.answered,
            change=d.Change("", d.port_mtls("greeter", 9103, "DISABLE")),
            seen_at=("greeter",),
            price="it is in plaintext for everybody",
            pinned=d.pin("heals", because="a proxy that expects no TLS need not look for it"),
        ),
    ),
    parameters={"port_name": d.parameter("name of the port", "", "greet", "tcp-greet")},
    symptoms=d.seen_as(
        "hang, timeout, timed out, downstream_pre_cx_active",
        where="the client; nothing is in any log",
        tell="istioctl proxy-config listener CLIENT_POD --port PORT -o json | grep inspector",
        says="inspectors: they wait for the client's first bytes",
    ),
)
