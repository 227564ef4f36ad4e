"""Cases 1, 6, 8 and 17 of reports in public, written as failures. Nothing here runs."""

from __future__ import annotations

import yaml

from lab import declare as d
from lab.model.scenario import fill
from lab.workloads.manifests import WORKLOADS, Setting
from lab.workloads.variants import manifests

PATH = "/anything/{marker}"
READ_FIRST = (
    "timeout 5 bash -c 'exec 3<>/dev/tcp/{ip}/{port}; "
    "head -n1 <&3; echo {marker} >&3; head -n9 <&3'"
)
ECHO = {"of": "tcp-echo", "image": "lab/istio-echo", "sidecar": False}


def failure(
    name: str,
    worlds: tuple[d.World, ...],
    calls: tuple[d.Call, ...],
    claim: d.Claim,
    *more: d.Remedy,
) -> d.Failure:
    made = d.Failure(
        name,
        "a report",
        "what a person sees",
        ("https://github.com/istio/istio/issues",),
        worlds,
        calls,
        (claim,),
        (d.Control("it is answered", d.answered(calls[0].name)),),
        tuple(more),
    )
    d.refuse_wrong(made)
    return made


def pod(workload: d.Variant) -> dict:
    objects = manifests(workload, Setting())
    found: dict = next(one for one in objects if one["kind"] == "Deployment")
    return found["spec"]["template"]


def test_case_1_an_http_1_0_client() -> None:
    httpbin = d.service("httpbin", 8000, "http", target=8080)
    served = d.Variant(
        "httpbin", annotations={"proxy.istio.io/config": 'proxyMetadata: {ISTIO_META_HTTP10: "1"}'}
    )
    case = failure(
        "http_1_0",
        (
            d.world("posted", "during", "Istio's defaults", ("client", "httpbin"), (httpbin,)),
            d.world("strict", "after", "STRICT", ("client", "httpbin"), (httpbin,), "STRICT"),
            d.world("served", "after", "the server takes 1.0", ("client", served), (httpbin,)),
        ),
        (
            d.curl("http11", "posted", httpbin, path=PATH),
            d.curl("http10", "posted", httpbin, "-0", path=PATH, shows="-sSi"),
            d.curl("http10-strict", "strict", httpbin, "-0", path=PATH),
            d.curl("http10-served", "served", httpbin, "-0", path=PATH),
        ),
        d.claim(
            "H1",
            "426 is a matter of versions only",
            as_posted=d.answer("Is it answered 426?", d.unanswered("http10")),
            today=d.answer(
                "Has the request left in plaintext?",
                d.all_of(
                    d.readable("http10"),
                    d.went_to("http10", cluster="PassthroughCluster"),
                    d.readable("http10-strict"),
                ),
                instead=d.secured("http10"),
            ),
        ),
    )
    typed = case.all_calls["http10"].command
    assert typed == "curl -sSi -0 http://httpbin:8000/anything/{marker}"
    annotations = pod(case.world("served").variants[0])["metadata"]["annotations"]
    assert "ISTIO_META_HTTP10" in annotations["proxy.istio.io/config"]
    assert case.world("served").workloads == ("client", "httpbin")


def test_case_6_a_headless_service_and_a_port_without_mtls() -> None:
    headless = d.headless("httpbin-h", 8080, workload="httpbin")
    ordinary = d.service("httpbin-c", 8080, "http", workload="httpbin")
    world = d.world(
        "posted",
        "during",
        "STRICT, and one port excepted",
        ("client", "httpbin"),
        (headless, ordinary),
        objects=d.port_mtls("httpbin", 8080, "DISABLE", mode="STRICT"),
    )
    heal = d.remedies(
        "H6", d.unanswered, d.answered, lambda own: d.curl("", "posted", own, path=PATH)
    )
    case = failure(
        "headless",
        (world,),
        (
            d.curl("by-cluster-ip", "posted", ordinary, path=PATH),
            d.curl("by-headless", "posted", headless, path=PATH),
        ),
        d.claim(
            "H6",
            "the headless name fails",
            as_posted=d.answer("Does it fail?", d.unanswered("by-headless")),
            today=d.answer("Does the other name work?", d.answered("by-cluster-ip", status=200)),
        ),
        heal("rule", "say it", d.applies(headless, d.without_tls("httpbin-h")), price="a rule"),
    )
    services = [yaml.safe_load(service.manifest)["spec"] for service in world.services]
    assert [spec.get("clusterIP") for spec in services] == ["None", None]
    assert services[0]["selector"] == services[1]["selector"] == {"app": "httpbin"}
    policy = yaml.safe_load(case.world("posted").objects)["spec"]
    assert policy == {
        "selector": {"matchLabels": {"app": "httpbin"}},
        "mtls": {"mode": "STRICT"},
        "portLevelMtls": {8080: {"mode": "DISABLE"}},
    }
    assert case.all_calls["rule:broken"].asked == ("httpbin", "httpbin-h", 8080)


ENTRY = """\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: db}
spec:
  hosts: [db.example]
  location: MESH_EXTERNAL
  resolution: STATIC
  ports: [{number: 9101, name: tcp-db, protocol: TCP}]
  endpoints: [{address: {ip:one}}]
"""


def test_case_8_a_service_entry_that_takes_a_port() -> None:
    one = d.Variant("one", **ECHO, args=("--tcp=9101",), ports=(9101,))
    two = d.Variant("two", **ECHO, args=("--tcp=9101",), ports=(9101,))
    say = "say {ip} {port} {marker}"
    case = failure(
        "service_entry",
        (
            d.world(
                *("posted", "during", "an entry without an address"),
                ("client", "stranger", one, two),
                (),
                objects=ENTRY,
            ),
        ),
        (
            d.to_address("by-stranger", "posted", "two", 9101, say, source="stranger"),
            d.to_address("by-client", "posted", "two", 9101, say),
        ),
        d.claim(
            "H8",
            "the second server answers as the first",
            as_posted=d.answer(
                "Did it go to the entry's server?",
                d.went_to("by-client", cluster="outbound|9101||db.example"),
            ),
            today=d.answer("Does the second answer others?", d.answered("by-stranger")),
        ),
    )
    call = case.all_calls["by-client"]
    assert call.asked == ("two", "", 9101)
    assert fill(call.command, {"ip:two": "10.0.0.2"}) == "say 10.0.0.2 9101 {marker}"
    entry = fill(case.world("posted").objects, {"ip:one": "10.0.0.1"})
    assert yaml.safe_load(entry)["spec"]["endpoints"] == [{"address": "10.0.0.1"}]
    template = pod(two)
    container = template["spec"]["containers"][0]
    assert template["metadata"]["labels"] == {"app": "two", "sidecar.istio.io/inject": "false"}
    assert (container["name"], container["args"]) == ("two", ["--tcp=9101"])
    assert container["image"].endswith("istio-echo:1")


def test_case_17_somebody_elses_service_in_another_namespace() -> None:
    greeter = d.Variant(
        "greeter-plain",
        **ECHO,
        args=("--tcp=9100", "--tcp=9101", "--server-first=9100"),
        ports=(9100, 9101),
    )
    unrelated = d.service("unrelated", 9100, "http", workload="nothing")
    other = d.Namespace("theirs", unrelated.manifest)
    who = ("client", "stranger", greeter)
    alone = d.world("alone", "before", "nobody else has the port", who, ())
    case = failure(
        "server_first",
        (alone, d.world("posted", "during", "somebody has", who, (), others=(other,))),
        (
            d.to_address("before", "alone", "greeter-plain", 9100, READ_FIRST),
            d.to_address("reads-first", "posted", "greeter-plain", 9100, READ_FIRST),
            d.to_address(
                "sends-first", "posted", "greeter-plain", 9101, "say {ip} {port} {marker}"
            ),
        ),
        d.claim(
            "H17",
            "it hangs from the day that another team makes a Service",
            as_posted=d.answer("Does it hang?", d.came_out("reads-first", outcomes=("hang",))),
            today=d.answer("Does what sends first pass?", d.answered("sends-first")),
        ),
    )
    there = case.world("posted").others[0]
    assert yaml.safe_load(there.objects)["spec"]["ports"][0]["name"] == "http"
    typed = fill(case.all_calls["reads-first"].command, {"ip:greeter-plain": "10.0.0.3"})
    assert "/dev/tcp/10.0.0.3/9100;" in typed
    assert "{marker}" in typed


def test_a_pods_annotations_are_added_to_its_own() -> None:
    excluded = {"traffic.sidecar.istio.io/excludeInboundPorts": "8080"}
    annotations = pod(d.Variant("httpbin", annotations=excluded))["metadata"]["annotations"]
    assert annotations["traffic.sidecar.istio.io/excludeInboundPorts"] == "8080"
    assert "proxy.istio.io/config" in annotations
    again = WORKLOADS["httpbin"](Setting())[1]["spec"]["template"]["metadata"]["annotations"]
    assert "traffic.sidecar.istio.io/excludeInboundPorts" not in again
