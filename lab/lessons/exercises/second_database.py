"""A ServiceEntry of TCP without an address, which takes its port from everybody."""

from __future__ import annotations

from collections.abc import Iterator

from lab import declare as d
from lab.lessons.lesson import Asked, Cause, Lesson, Repair, Steps, Wrong, patch
from lab.lessons.now import Now

ONE, TWO = (d.echo(name, 9101, sidecar=False) for name in ("one", "two"))
ENTRY = """\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: database-one}
spec:
  hosts: [one.example]
  exportTo: ["."]
  location: MESH_EXTERNAL
  resolution: STATIC
  ports: [{number: 9101, name: tcp-db, protocol: TCP}]
  endpoints: [{address: "{ip:one}"}]
"""


def entry(change: str) -> str:
    """Return the command that changes the entry."""
    return patch("serviceentry", "database-one", f"{{spec: {change}}}")


def hints(now: Now) -> Iterator[Steps]:
    """Yield which listener takes the call."""
    one = now.get("ServiceEntry", "database-one")
    if one and not one["spec"].get("addresses") and one["spec"].get("resolution") != "NONE":
        yield (
            "Ask the client's sidecar which listener takes the call: "
            "istioctl proxy-config listener deploy/client --port 9101",
            "One for 0.0.0.0, and not for one's address: the ServiceEntry database-one has no "
            "addresses, so that whatever is for port 9101 goes to its endpoint.",
            "Give the entry the address of its server; or resolution NONE, so that a call goes "
            "where it was going.",
        )


LESSON = Lesson(
    name="second_database",
    title="The wrong database answers",
    minutes=12,
    learned="find out which end a sidecar really asked",
    report="client asks the database two by its address, and gets data of the database one: the "
    "answer says Hostname=one-... Two itself has seen no connection. one is asked by others too, "
    "and is fine.",
    failure="hijacked_port",
    recorded="two",
    world=d.world(
        "lesson",
        "during",
        "an entry for the server one, without an address",
        ("client", ONE, TWO),
        (),
        objects=ENTRY,
    ),
    asked=(
        Asked(
            "two",
            "client",
            "{ip:two}:9101",
            "say {ip:two} 9101 {marker}",
            "answered",
            words="Hostname=two-",
        ),
        Asked(
            "one",
            "client",
            "{ip:one}:9101",
            "say {ip:one} 9101 {marker}",
            "answered",
            words="Hostname=one-",
        ),
    ),
    causes=(
        Cause(
            "the entry has no address, and its listener takes the port of every destination",
            "istioctl proxy-config listener shows it at 0.0.0.0:9101.",
        ),
        Cause(
            "both databases have the same address",
            "kubectl get pods -o wide shows two.",
        ),
        Cause(
            "DNS resolves both names to one server",
            "The client asks an address, and no name.",
        ),
        Cause(
            "the client keeps an old connection to one",
            "Each call opens a new one.",
        ),
    ),
    look=(
        "kubectl get serviceentry -o yaml",
        "kubectl get pods -o wide",
        "kubectl exec deploy/client -c client -- say $(kubectl get pod -l app=two "
        '-o jsonpath="{.items[0].status.podIP}") 9101 hello',
        "istioctl proxy-config listener deploy/client --port 9101",
    ),
    hints=hints,
    solution=Repair("give the entry its server's address", entry('{addresses: ["{ip:one}"]}')),
    others=(
        Repair(
            "let the entry send each call where it was going",
            entry("{resolution: NONE, endpoints: null}"),
        ),
        Repair("remove the entry", "kubectl delete serviceentry database-one"),
    ),
    wrong=(
        Wrong(
            "say that it is in the mesh",
            entry("{location: MESH_INTERNAL}"),
            hint="has no addresses",
        ),
        Wrong(
            "rename its port",
            entry("{ports: [{number: 9101, name: tcp-one, protocol: TCP}]}"),
            hint="has no addresses",
        ),
        Wrong(
            "give it a more exact host", entry("{hosts: [db.one.example]}"), hint="has no addresses"
        ),
    ),
    remember="A listener for TCP knows addresses and ports, and no names. An entry without an "
    "address is an entry for all of them.",
)
