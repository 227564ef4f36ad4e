"""A ServiceEntry for TCP without an address takes its port from everybody."""

from lab import declare as d

ONE, TWO = (d.echo(name, 9101, 9102, 9103, sidecar=False) for name in ("one", "two"))
ENTRY = """\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: db-NUMBER}
spec:
  hosts: [db-NUMBER.example]
  exportTo: ["."]
  location: MESH_EXTERNAL
  resolution: STATIC
  ports: [{number: NUMBER, name: PROTOCOL-db, protocol: PROTOCOL}]
  endpoints: [{address: {ip:one}}]
"""
ENDPOINTS = "  endpoints: [{address: {ip:one}}]\n"
ADDRESS = '  addresses: ["{ip:one}"]\n'


def entry(number: int, protocol: str = "TCP") -> str:
    """Return the ServiceEntry of the server *one*, at one port."""
    return ENTRY.replace("NUMBER", str(number)).replace("PROTOCOL", protocol)


UNRESOLVED = entry(9103).replace("STATIC", "NONE").replace(ENDPOINTS, "")


def ask(name: str, server: str, port: int, source: str = "client") -> d.Call:
    """Return a line that is sent to a server's own address."""
    return d.say_pod(name, "posted", server, port, source=source)


def hostname(server: str) -> d.CheckOf:
    """Return the check that this server answered."""
    return lambda call: d.received(call, words=f"Hostname={server}-")


heal = d.remedies(
    "E1", hostname("one"), hostname("two"), lambda port: ask("", "two", port), seen_at=("client",)
)

FAILURE = d.Failure(
    name="hijacked_port",
    title="A ServiceEntry for one database, and a second database on the same port",
    symptom="The second database says that the password is wrong: it is the first one.",
    sources=(
        "https://github.com/istio/istio/issues/34585",
        "https://github.com/istio/istio/issues/11741",
        "https://github.com/istio/istio/issues/24937",
    ),
    worlds=(
        d.posted(
            "an entry for the server one, without an address",
            ("client", "stranger", ONE, TWO),
            (),
            objects=d.together(entry(9101, "{protocol}"), entry(9102), entry(9103)),
        ),
    ),
    calls=(
        ask("one", "one", 9101),
        ask("two-stranger", "two", 9101, source="stranger"),
        ask("two", "two", 9101),
    ),
    claims=(
        d.claim(
            "E1",
            "an entry describes one server, and changes nothing for others",
            as_posted=d.answer(
                "Does the second server answer who asks its address?",
                hostname("two")("two"),
                instead=d.all_of(hostname("one")("two"), hostname("two")("two-stranger")),
                shows="two",
            ),
            today=d.answer(
                "Does the caller's sidecar send whatever is for this port to the first?",
                d.all_of(
                    d.went_to("two", cluster="outbound|9101||db-9101.example"), d.readable("two")
                ),
                instead=d.went_to("two", cluster="PassthroughCluster"),
                shows="two",
            ),
            pinned=("not reproduced", "reproduced"),
            because="without addresses the listener is bound to 0.0.0.0: it takes all addresses",
        ),
    ),
    controls=(
        d.Control("the first server answers", hostname("one")("one")),
        d.Control("the second answers a stranger", hostname("two")("two-stranger")),
        d.stranger_is_read("two-stranger"),
    ),
    remedies=(
        heal(
            "own-address",
            "give the entry its server's own address",
            d.replace_objects(9102, entry(9102), entry(9102) + ADDRESS),
            price="it has to be changed when the server moves",
            pinned=d.pin(
                "heals", because="the listener is bound to that address, and takes no other"
            ),
        ),
        heal(
            "no-resolution",
            "let the entry send each call where it was going (resolution: NONE)",
            d.replace_objects(9103, entry(9103), UNRESOLVED),
            price="the entry stands for every server at this port",
            pinned=d.pin("heals", because="the call goes on to the address that was asked"),
        ),
    ),
    parameters={"protocol": d.parameter("protocol of the entry's port", "TCP", "HTTP")},
    passthrough=True,
    symptoms=d.seen_as(
        "wrong password, unknown database",
        where="the answer of another server than was asked",
        tell="istioctl proxy-config listener CLIENT_POD --port PORT",
        says="a TCP listener for 0.0.0.0, of a ServiceEntry",
    ),
)
