"""A TCP port that Istio is said to ignore, and one that really goes in plaintext."""

from lab import declare as d

ECHO = d.service("tcp-echo", 9000, "tcp-foo", more=(d.Port("{port_name}", 9001, 9001),))
# For each remedy a Service and a port of its own, that fails as port 9001 does.
NAMED = d.service("echo-named", 9002, "udp-foo", workload="tcp-echo")
UNNAMED = d.service("echo-unnamed", 9003, "udp-foo", workload="tcp-echo")
DECLARED = d.service("echo-declared", 9004, "udp-foo", workload="tcp-echo")
GATEWAY = d.service("gateway", 9000, "tcp", more=(d.Port("tls", 9005, 9005),))
SERVICES = (ECHO, NAMED, UNNAMED, DECLARED, GATEWAY)

STRICT, PERMISSIVE = d.peer_authentication("STRICT"), d.peer_authentication("PERMISSIVE")
MUTUAL = d.tcp_gateway("mutual", 9005, ECHO, tls="ISTIO_MUTUAL")
# The post's rule covers the gateway too: a server without TLS needs an exception to it.
PLAIN = d.together(d.tcp_gateway("plain", 9000, ECHO), d.without_tls("gateway", port=9000))

TCP_FOO_IS_SECURED = d.all_of(
    d.left_client("tcp-foo"), d.secured_answer("tcp-foo", "tcp-foo-permissive"), d.strangers.refused
)
UDP_FOO_IS_PLAINTEXT = d.all_of(
    d.answered("udp-foo"),
    d.readable("udp-foo"),
    d.went_to("udp-foo", cluster="PassthroughCluster"),
    d.readable("udp-foo-strict"),
    d.under("STRICT", "posted", d.broken_off("udp-foo-strict")),
)
on_port = d.remedies("C2", d.readable, d.secured_answer, lambda own: d.say("", "posted", own))
in_front = d.remedies("C2a", d.readable, d.secured_hops, lambda own: d.say("", "posted", own))

FAILURE = d.Failure(
    name="tcp_mtls",
    title="A TCP Service port named tcp-foo, and one named udp-foo",
    symptom="The graph shows a lock for httpbin and none for tcp-echo.",
    sources=(
        "https://github.com/istio/istio/issues/17110",
        "https://github.com/kiali/kiali/issues/1709",
        "https://istio.io/latest/docs/ops/configuration/traffic-management/protocol-selection/",
    ),
    worlds=(
        d.plain(("client", "tcp-echo"), (ECHO,)),
        d.under_policy(("client", "stranger", "member", "tcp-echo", "gateway"), SERVICES),
        d.permissive("after", ("client", "stranger", "tcp-echo"), (ECHO,), "ISTIO_MUTUAL"),
    ),
    calls=(
        d.say("plain", "plain", ECHO),
        d.say("tcp-foo", "posted", ECHO, source="{client}"),
        d.say("udp-foo-strict", "posted", ECHO, port=9001),
        *d.strangers.by_tcp("posted", ECHO),
        d.say("tcp-foo-permissive", "permissive", ECHO),
        d.say("udp-foo", "permissive", ECHO, port=9001),
        d.say("permissive-stranger", "permissive", ECHO, source="stranger"),
    ),
    claims=(
        d.claim(
            "C2",
            "a port named tcp-foo is ignored by Istio and not secured",
            as_posted=d.answer(
                "Can the text sent to tcp-foo be read on the wire?",
                d.readable("tcp-foo"),
                instead=TCP_FOO_IS_SECURED,
            ),
            today=d.answer(
                "Does a TCP port named udp-foo go in plaintext, in spite of the rule?",
                UDP_FOO_IS_PLAINTEXT,
                instead=d.secured_answer("udp-foo"),
            ),
            missing_lock=True,
            pinned=("not reproduced", "reproduced"),
            because="mTLS covers TCP, as it did in 1.2; a port taken for UDP passes through",
        ),
        d.claim(
            "C2a",
            "tcp-foo needs a gateway and a virtual service in front",
            as_posted=d.answer(
                "Is tcp-foo in plaintext without them?",
                d.readable("tcp-foo"),
                instead=d.secured_answer("tcp-foo"),
            ),
            today=d.answer(
                "Does one secure, on both hops, what goes in plaintext today?",
                d.secured_hops("gateway-mutual:changed"),
                instead=d.readable("gateway-mutual:changed"),
            ),
            pinned=("not reproduced", "reproduced"),
            because="nothing has to be in front of tcp-foo; "
            "both hops are secured where both are told to",
        ),
    ),
    controls=(
        d.Control("tcp-echo answers without mTLS", d.answered("plain")),
        d.marker_is_read("plain"),
        d.Control("tcp-echo answers where both are accepted", d.answered("tcp-foo-permissive")),
        d.stranger_gets_through(d.answered("permissive-stranger")),
    ),
    remedies=(
        on_port(
            "tcp-name",
            "name the port tcp-...",
            d.rename(NAMED, "tcp-foo"),
            price="none: one word in the Service",
            pinned=d.pin("heals", because="a known protocol gets a listener and a cluster"),
        ),
        on_port(
            "no-name",
            "give the port no name",
            d.rename(UNNAMED, ""),
            price="Istio then looks at the first bytes to find the protocol",
            pinned=d.pin("heals", because="a port without a name is detected, and gets both"),
        ),
        on_port(
            "app-protocol",
            "set appProtocol: tcp, and leave the name",
            d.rename(DECLARED, "udp-foo", app_protocol="tcp"),
            price="none: one line in the Service",
            pinned=d.pin("heals", because="appProtocol goes before the name"),
        ),
        on_port(
            "strict",
            "make the server STRICT",
            d.Trial(ECHO, d.Change(PERMISSIVE, STRICT)),
            price="the call fails, and is read all the same: refused is not unread",
            call=d.say("", "permissive", ECHO, port=9001),
            seen_at=("tcp-echo",),
            pinned=d.pin("does not heal", because="a server cannot unsend what a client has sent"),
        ),
        in_front(
            "gateway-plain",
            "put a gateway in front whose server has no TLS",
            d.put_in_front(NAMED, PLAIN),
            instead=d.say("", "posted", ECHO, gateway=9000),
            seen_at=("client", "gateway"),
            pinned=d.pin("does not heal", because="the hop to the gateway is in plaintext"),
        ),
        in_front(
            "gateway-mutual",
            "put a gateway in front whose server is ISTIO_MUTUAL",
            d.put_in_front(NAMED, MUTUAL),
            instead=d.say("", "posted", ECHO, gateway=9005),
            seen_at=("gateway",),
            pinned=d.pin("heals", because="a Gateway server of mode ISTIO_MUTUAL asks for mTLS"),
        ),
    ),
    parameters={
        **d.POLICY,
        "port_name": d.Parameter(
            "name of tcp-echo's second port", "udp-foo", ("udp-foo", "tcp-bar", "bar", "http-bar")
        ),
        "client": d.Parameter(
            "who calls tcp-foo, with a sidecar or without", "client", ("client", "stranger")
        ),
    },
    passthrough=True,
    symptoms=d.seen_as(
        "PassthroughCluster, no lock",
        where="the client's proxy's log; a graph",
        tell="kubectl get service SERVICE -o yaml | grep -A3 ports",
        says="a name that begins with udp, for a TCP port",
    ),
)
