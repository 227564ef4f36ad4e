"""A TCP port that Istio is said to ignore, and one that really goes in plaintext."""

from dataclasses import replace

from lab.declare import strangers
from lab.judge.checks import (
    all_of,
    answered,
    broken_off,
    left_client,
    readable,
    secured_answer,
    secured_hops,
    under,
    went_to,
)
from lab.model.failure import Answer, Claim, Control, Failure, Pin, Remedy
from lab.model.scenario import POLICY, Call, Change, Parameter, Port, Service, World, renamed

ECHO = Service(
    "tcp-echo", "tcp-echo", (Port("tcp-foo", 9000, 9000), Port("{port_name}", 9001, 9001))
)
# For each remedy a Service and a port of its own, that fails as port 9001 does.
NAMED, UNNAMED, DECLARED = (
    Service(f"echo-{name}", "tcp-echo", (Port("udp-foo", number, number),))
    for name, number in (("named", 9002), ("unnamed", 9003), ("declared", 9004))
)
GATEWAY = Service("gateway", "gateway", (Port("tcp", 9000, 9000), Port("tls", 9005, 9005)))
STRICT, PERMISSIVE = (
    f"""\
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {{name: default}}
spec: {{mtls: {{mode: {mode}}}}}
"""
    for mode in ("STRICT", "PERMISSIVE")
)


def _gateway(name: str, server: str, port: int) -> str:
    return f"""\
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: {name}}}
spec:
  selector: {{app: gateway}}
  servers: [{{hosts: ["*"], {server}}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: {name}}}
spec:
  hosts: ["*"]
  gateways: [{name}]
  tcp:
  - match: [{{port: {port}}}]
    route:
    - destination: {{host: tcp-echo.{{namespace}}.svc.cluster.local, port: {{number: 9000}}}}
"""


MUTUAL = _gateway(
    "mutual", "port: {number: 9005, name: tls, protocol: TLS}, tls: {mode: ISTIO_MUTUAL}", 9005
)
# The post's rule covers the gateway too: a server without TLS needs an exception to it.
PLAIN = (
    _gateway("plain", "port: {number: 9000, name: tcp, protocol: TCP}", 9000)
    + """\
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: gateway}
spec:
  host: gateway.{namespace}.svc.cluster.local
  trafficPolicy:
    tls: {mode: ISTIO_MUTUAL}
    portLevelSettings: [{port: {number: 9000}, tls: {mode: DISABLE}}]
"""
)


def _say(name: str, world: str, port: int, source: str = "client") -> Call:
    return Call(name, world, source, "tcp-echo", port, f"say tcp-echo {port} {{marker}}")


def _ask(service: Service) -> Call:
    number = service.ports[0].number
    command = f"say {service.name} {number} {{marker}}"
    return Call("", "posted", "client", "tcp-echo", number, command, service=service.name)


def _through(port: int) -> Call:
    call = Call("", "posted", "client", "tcp-echo", 9000, f"say gateway {port} {{marker}}")
    return replace(call, through=f"gateway:{port}")


FAILURE = Failure(
    name="tcp_mtls",
    title="A TCP Service port named tcp-foo, and one named udp-foo",
    symptom="The graph shows a lock for httpbin and none for tcp-echo.",
    sources=(
        "https://github.com/istio/istio/issues/17110",
        "https://github.com/kiali/kiali/issues/1709",
        "https://istio.io/latest/docs/ops/configuration/traffic-management/protocol-selection/",
    ),
    worlds=(
        World(
            "plain",
            "before",
            "no mTLS on either side",
            ("client", "tcp-echo"),
            (ECHO,),
            "DISABLE",
            "DISABLE",
        ),
        World(
            "posted",
            "during",
            "the post's two rules, in today's API",
            ("client", "stranger", "member", "tcp-echo", "gateway"),
            (ECHO, NAMED, UNNAMED, DECLARED, GATEWAY),
            "{mtls}",
            "{rule}",
        ),
        World(
            "permissive",
            "after",
            "the post's rule, and a server that accepts both",
            ("client", "stranger", "tcp-echo"),
            (ECHO,),
            "PERMISSIVE",
            "ISTIO_MUTUAL",
        ),
    ),
    calls=(
        _say("plain", "plain", 9000),
        _say("tcp-foo", "posted", 9000, "{client}"),
        _say("udp-foo-strict", "posted", 9001),
        *strangers.calls("posted", "tcp-echo", 9000, "say tcp-echo 9000 {marker}", r"{marker}\n"),
        _say("tcp-foo-permissive", "permissive", 9000),
        _say("udp-foo", "permissive", 9001),
        _say("permissive-stranger", "permissive", 9000, "stranger"),
    ),
    claims=(
        Claim(
            "C2",
            "a port named tcp-foo is ignored by Istio and not secured",
            as_posted=Answer(
                "Can the text sent to tcp-foo be read on the wire?",
                readable("tcp-foo"),
                instead=all_of(
                    left_client("tcp-foo"),
                    secured_answer("tcp-foo", "tcp-foo-permissive"),
                    strangers.refused,
                ),
                shows="tcp-foo",
            ),
            today=Answer(
                "Does a TCP port named udp-foo go in plaintext, in spite of the rule?",
                all_of(
                    answered("udp-foo"),
                    readable("udp-foo"),
                    went_to("udp-foo", cluster="PassthroughCluster"),
                    readable("udp-foo-strict"),
                    under("STRICT", "posted", broken_off("udp-foo-strict")),
                ),
                instead=secured_answer("udp-foo"),
                shows="udp-foo",
            ),
            missing_lock=True,
        ),
        Claim(
            "C2a",
            "tcp-foo needs a gateway and a virtual service in front",
            as_posted=Answer(
                "Is tcp-foo in plaintext without them?",
                readable("tcp-foo"),
                instead=secured_answer("tcp-foo"),
                shows="tcp-foo",
            ),
            today=Answer(
                "Does one secure, on both hops, what goes in plaintext today?",
                secured_hops("gateway-mutual:changed"),
                instead=readable("gateway-mutual:changed"),
                shows="gateway-mutual:changed",
            ),
        ),
    ),
    controls=(
        Control("tcp-echo answers without mTLS", answered("plain")),
        Control("without mTLS the marker is read on the wire", readable("plain"), plane="wire"),
        Control("tcp-echo answers where both are accepted", answered("tcp-foo-permissive")),
        Control(
            "the plaintext stranger gets through where it may", answered("permissive-stranger")
        ),
    ),
    remedies=(
        Remedy(
            "tcp-name",
            "C2",
            "name the port tcp-...",
            "none: one word in the Service",
            _ask(NAMED),
            readable,
            secured_answer,
            renamed(NAMED, "tcp-foo"),
        ),
        Remedy(
            "no-name",
            "C2",
            "give the port no name",
            "Istio then looks at the first bytes to find the protocol",
            _ask(UNNAMED),
            readable,
            secured_answer,
            renamed(UNNAMED, ""),
        ),
        Remedy(
            "app-protocol",
            "C2",
            "set appProtocol: tcp, and leave the name",
            "none: one line in the Service",
            _ask(DECLARED),
            readable,
            secured_answer,
            renamed(DECLARED, "udp-foo", "tcp"),
        ),
        Remedy(
            "strict",
            "C2",
            "make the server STRICT",
            "the call fails, and is read all the same: refused is not unread",
            _say("", "permissive", 9001),
            readable,
            secured_answer,
            Change(PERMISSIVE, STRICT),
            seen_at=("tcp-echo",),
        ),
        Remedy(
            "gateway-plain",
            "C2a",
            "put a gateway in front whose server has no TLS",
            f"{PLAIN.count('kind:')} objects for each service, a pod, and a second hop",
            _ask(NAMED),
            readable,
            secured_hops,
            Change("", PLAIN),
            instead=_through(9000),
            seen_at=("client", "gateway"),
        ),
        Remedy(
            "gateway-mutual",
            "C2a",
            "put a gateway in front whose server is ISTIO_MUTUAL",
            f"{MUTUAL.count('kind:')} objects for each service, a pod, and a second hop",
            _ask(NAMED),
            readable,
            secured_hops,
            Change("", MUTUAL),
            instead=_through(9005),
            seen_at=("gateway",),
        ),
    ),
    pins=(
        Pin(
            "C2",
            ("not reproduced", "reproduced"),
            "mTLS covers TCP, as it did in 1.2; a port taken for UDP passes through",
        ),
        Pin(
            "C2a",
            ("not reproduced", "reproduced"),
            "nothing has to be in front of tcp-foo; both hops are secured where both are told to",
        ),
        Pin("tcp-name", ("heals",), "a known protocol gets a listener and a cluster"),
        Pin("no-name", ("heals",), "a port without a name is detected, and gets both"),
        Pin("app-protocol", ("heals",), "appProtocol goes before the name"),
        Pin("strict", ("does not heal",), "a server cannot unsend what a client has sent"),
        Pin("gateway-plain", ("does not heal",), "the hop to the gateway is in plaintext"),
        Pin("gateway-mutual", ("heals",), "a Gateway server of mode ISTIO_MUTUAL asks for mTLS"),
    ),
    parameters={
        **POLICY,
        "port_name": Parameter(
            "name of tcp-echo's second port", "udp-foo", ("udp-foo", "tcp-bar", "bar", "http-bar")
        ),
        "client": Parameter(
            "who calls tcp-foo, with a sidecar or without", "client", ("client", "stranger")
        ),
    },
    passthrough=True,
    try_next=(
        "make reproduce FAILURE=tcp_mtls PARAMS='mtls=DISABLE rule=DISABLE'",
        "make reproduce FAILURE=tcp_mtls PARAMS=port_name=tcp-bar",
    ),
)
