"""An audit of worlds on a real mesh: causes found with their objects, and proven by calls."""

from __future__ import annotations

import base64
import datetime
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import audited_meshes
import jsonschema
import pytest
import yaml
from audited_meshes import OWN, WORLDS
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from clusters.embedded.cluster import Embedded
from lab.audit import certificates, edges, findings
from lab.audit.api import ApiInventory
from lab.audit.fetched import Fetched
from lab.audit.folder import PATHS
from lab.audit.rules import rules
from lab.audit.verify import verify
from lab.commands.line import main
from lab.common.errors import CommandFailed
from lab.common.wait import until
from lab.envoy import dump, sends
from lab.model import store
from lab.observe import ends
from lab.predict.cluster import Live
from lab.record import envoy_admin
from lab.record.world import reference

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]
Namespaces = dict[tuple[str, str], str]
REFUSED = """\
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: refused}
spec:
  workloadSelector: {labels: {app: client}}
  configPatches:
  - applyTo: LISTENER
    match: {context: SIDECAR_OUTBOUND, listener: {name: virtualOutbound}}
    patch: {operation: MERGE, value: {listener_filters: [{name: no.such.filter}]}}
"""


@pytest.fixture(scope="module")
def namespaces(cluster: Embedded) -> Iterator[Namespaces]:
    """(failure, world) -> its namespace on the cluster, with everything active."""
    with audited_meshes.deployed(cluster) as made:
        yield made


@pytest.fixture
def audited(
    cluster: Embedded,
    namespaces: Namespaces,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> dict[str, Any]:
    monkeypatch.setenv("LAB_CLUSTER_NAME", cluster.name)
    file = tmp_path / "audit.json"
    words = [word for one in namespaces.values() for word in ("-n", one)]
    code = main(["audit", "--cluster", "embedded", "--json", str(file), *words])
    told = capsys.readouterr()
    assert code == 1, told
    found: dict[str, Any] = json.loads(file.read_text())
    jsonschema.validate(found, json.loads((store.ROOT / "docs" / "audit.schema.json").read_text()))
    return found


def test_each_worlds_cause_is_found_with_its_objects(
    audited: dict[str, Any], namespaces: Namespaces
) -> None:
    posted, numbered, scoped = (namespaces[one] for one in WORLDS)
    found = {(one["rule"], one["about"]): one for one in audited["findings"]}
    excluded = found["tls-to-none", f"excluded.{posted}:8000"]
    assert f'Service {posted}/excluded, port 8000 "http"' in excluded["causes"]
    policy = found["port-number-of-service", f"httpbin.{numbered}:8000"]
    assert policy["causes"][0].endswith("spec.portLevelMtls.8000")
    assert ("plaintext-accepted", f"{numbered}/httpbin") in found
    assert ("passed-through", f"httpbin.{scoped}:8000") in found
    assert audited["not_read"] == []


def test_files_of_the_same_mesh_give_the_same_findings(
    cluster: Embedded,
    audited: dict[str, Any],
    namespaces: Namespaces,
    tmp_path: Path,
) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    for path, kind in PATHS.items():
        objects = [{**one, "kind": kind} for one in cluster.kube.items(path)]
        (folder / f"{kind}.yaml").write_text(yaml.safe_dump({"kind": "List", "items": objects}))
    for pod in cluster.kube.items("/api/v1/pods"):
        if reference(pod).has_sidecar:
            dumped = envoy_admin.config_dump(cluster, reference(pod))
            (folder / f"{pod['metadata']['name']}.json").write_text(json.dumps(dumped))
    file = tmp_path / "offline.json"
    words = [word for one in namespaces.values() for word in ("-n", one)]
    assert main(["audit", str(folder), "--json", str(file), *words]) == 1
    offline = json.loads(file.read_text())
    assert offline["findings"] == audited["findings"]


def test_an_archive_of_istioctl_bug_report_gives_the_same_findings(
    cluster: Embedded, audited: dict[str, Any], namespaces: Namespaces, tmp_path: Path
) -> None:
    file = tmp_path / "archive.json"
    words = [word for one in namespaces.values() for word in ("-n", one)]
    archive = str(audited_meshes.bug_report(cluster, tmp_path))
    assert main(["audit", archive, "--json", str(file), *words]) == 1
    assert json.loads(file.read_text())["findings"] == audited["findings"]


def test_what_is_as_it_should_be_is_no_finding(
    audited: dict[str, Any], namespaces: Namespaces
) -> None:
    kept = f"kept.{namespaces[WORLDS[0]]}:8003"
    severe = [one for one in audited["findings"] if one["severity"] == "high"]
    assert [one["rule"] for one in severe if kept in one["to"]] == []


@pytest.fixture
def audit(
    cluster: Embedded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., dict[str, Any]]:
    """Audit callers of namespaces by the command, and return its JSON."""
    monkeypatch.setenv("LAB_CLUSTER_NAME", cluster.name)
    monkeypatch.setenv("LAB_RUNS", str(tmp_path / "runs"))

    def run(*namespaces: str, words: tuple[str, ...] = ()) -> dict[str, Any]:
        file = tmp_path / "audit.json"
        chosen = [word for one in namespaces for word in ("-n", one)]
        main(["audit", "--cluster", "embedded", "--json", str(file), *chosen, *words])
        told: dict[str, Any] = json.loads(file.read_text())
        schema = json.loads((store.ROOT / "docs" / "audit.schema.json").read_text())
        jsonschema.validate(told, schema)
        return told

    return run


def by_rule(told: dict[str, Any], rule: str) -> dict[str, list[str]]:
    """What a rule found -> the causes."""
    return {one["about"]: one["causes"] for one in told["findings"] if one["rule"] == rule}


def test_each_cause_is_found_with_its_objects_and_nothing_else(
    audit: Callable[..., dict[str, Any]], namespaces: Namespaces
) -> None:
    own, other = namespaces[OWN], namespaces[WORLDS[0]]
    told = audit(own, other)
    rule = f"DestinationRule {own}"
    assert by_rule(told, "credential-without-selector") == {
        f"credential.{own}:8000": [f"{rule}/credential, spec.trafficPolicy.tls.credentialName"]
    }
    assert by_rule(told, "allow-without-identity") == {
        f"allowed.{own}:8000": [f"AuthorizationPolicy {own}/allowed", f"{rule}/allowed"]
    }
    assert by_rule(told, "younger-rule") == {
        f"{rule}/twice-b": [f"{rule}/twice-a, spec.trafficPolicy"]
    }
    nearer = f"DestinationRule {other}/nearer-here, which callers in {other} have"
    assert by_rule(told, "shadowed-rule") == {
        f"{rule}/nearer": [nearer],
        f"{rule}/kept": ["its spec.exportTo"],
    }
    assert by_rule(told, "two-protocols") == {
        f"raw.{own}:8000": [f'Service {own}/httpbin, port 8000 "http"']
    }
    assert by_rule(told, "port-settings-replace") == {
        f"replaced.{own}:8000": [f"{rule}/replaced, spec.trafficPolicy.portLevelSettings[0]"]
    }
    without = by_rule(told, "rule-without-tls")
    assert without[f"subset.{own}:8000"] == [f"{rule}/subset, subset old"]
    assert without[f"twice.{own}:8000"] == [f"{rule}/twice-a"]
    assert without[f"settings.{own}:8000"] == [f"{rule}/settings"]
    left_out = by_rule(told, "past-the-sidecar")[f"{own}/as-proxy"]
    assert left_out == [f"runAsUser or runAsGroup 1337 of {own}/as-proxy"]
    for rule in ("rejected-configuration", "expired-certificate", "another-root"):
        assert by_rule(told, rule) == {}
    severe = {to for one in told["findings"] if one["severity"] == "high" for to in one["to"]}
    assert f"httpbin.{own}:8000" not in severe
    assert f"nearer.{own}:8000" in severe  # called in plaintext from the other namespace
    assert told["not_read"] == []


def test_the_older_service_decides_what_a_sidecar_reads(
    namespaces: Namespaces, cluster: Embedded, in_pod: Callable[..., str]
) -> None:
    client = ends.source(cluster.kube, f"{namespaces[OWN]}/client").name
    told = json.loads(in_pod(namespaces[OWN], client, "say", "raw", "8000", "no HTTP"))
    assert "400 Bad Request" in told["received"]


def test_the_most_serious_findings_are_proven_by_calls(
    audit: Callable[..., dict[str, Any]],
    namespaces: Namespaces,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    xml = tmp_path / "audit.xml"
    told = audit(namespaces[OWN], words=("--verify", "2", "--junit", str(xml)))
    said = " ".join(capsys.readouterr().out.split())
    verified = [one for one in told["findings"] if one["verified"]]
    assert len(verified) == 2
    assert verified == told["findings"][:2]
    for one in verified:
        assert one["verified"]["said"] == "proven on the wire", one
        assert f"proven on the wire: {one['verified']['saw']}, when " in said
    text = " ".join(ElementTree.parse(xml).getroot().itertext())
    assert text.count("proven on the wire") == 2
    assert {path.name for path in (tmp_path / "runs").iterdir()} == {
        Path(one["verified"]["run"]).name for one in verified
    }


def test_every_finding_that_a_pod_can_show_is_seen_on_the_wire(
    audit: Callable[..., dict[str, Any]], namespaces: Namespaces
) -> None:
    told = audit(namespaces[OWN], namespaces[WORLDS[0]], words=("--verify", "99"))
    verified = {
        (one["rule"], one["about"].partition(".")[0]): one["verified"]
        for one in told["findings"]
        if one["verified"]
    }
    for key, one in verified.items():
        assert one["said"] == "proven on the wire", (key, one)
    own = namespaces[OWN]
    assert verified.keys() >= {
        ("allow-without-identity", "allowed"),
        ("credential-without-selector", "credential"),
        ("rule-without-tls", "subset"),
        ("rule-without-tls", "twice"),
        ("rule-without-tls", "nearer"),
        ("tls-to-none", "excluded"),
        ("shadowed-rule", f"DestinationRule {own}/nearer"),
        ("shadowed-rule", f"DestinationRule {own}/kept"),
        ("port-settings-replace", "replaced"),
        ("past-the-sidecar", f"{own}/as-proxy"),
    }


def test_a_call_that_crosses_otherwise_is_told_as_not_seen(
    cluster: Embedded, namespaces: Namespaces, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LAB_RUNS", str(tmp_path))
    inventory = ApiInventory(Live(cluster), [namespaces[OWN]])
    walked = edges.walk_all(inventory).edges
    found = findings.find(walked, inventory.objects(), rules())
    about = f"twice.{namespaces[OWN]}:8000"
    finding = next(
        one for one in found if (one.rule.name, one.about) == ("rule-without-tls", about)
    )
    edge = finding.edges[0]
    assert edge.way.wire is not None
    # As if the caller's application itself had sent TLS.
    hello, _ = sends.sent("tls", edge.to.host, "/")
    turned = replace(edge, way=edge.way._replace(wire=edge.way.wire._replace(sent=hello)))
    told = verify(cluster, [replace(finding, edges=(turned,))], 1, packets=False)
    assert told[finding.key].said == "not seen"
    assert told[finding.key].saw == "plaintext; answered 200"


def test_a_proxy_that_does_not_answer_is_told_of_and_the_others_are_read(
    cluster: Embedded, namespaces: Namespaces
) -> None:
    client = ends.source(cluster.kube, f"{namespaces[OWN]}/client")
    gone = replace(client, name="gone-abcde")
    held = Fetched(cluster, [client, gone])
    assert dump.read(held.of(client)).listeners
    assert [*held.silent] == [f"{gone.namespace}/{gone.name}"]
    with pytest.raises(CommandFailed, match="gone-abcde"):
        held.of(gone)


@pytest.fixture
def refused(cluster: Embedded, namespaces: Namespaces) -> Iterator[str]:
    """The client's pod, whose proxy refuses what it is sent."""
    cluster.kube.apply(REFUSED, namespaces[OWN])
    client = ends.source(cluster.kube, f"{namespaces[OWN]}/client")
    try:
        until(
            lambda: "error_state" in json.dumps(envoy_admin.config_dump(cluster, client)),
            "the client's proxy to refuse its listener",
            timeout=60,
            every=0.5,
        )
        yield client.name
    finally:
        cluster.kube.delete(REFUSED, namespaces[OWN])


def test_a_proxy_that_refuses_what_it_is_sent_is_found_with_its_words(
    audit: Callable[..., dict[str, Any]], namespaces: Namespaces, refused: str
) -> None:
    told = audit(namespaces[OWN])
    found = by_rule(told, "rejected-configuration")
    assert [*found] == [f"{namespaces[OWN]}/client"]
    why, pod = found[f"{namespaces[OWN]}/client"]
    assert "no.such.filter" in why
    assert pod == f"pod {namespaces[OWN]}/{refused}"


def issued(ca: Mapping[str, str], uri: str, until_day: int) -> bytes:
    """A key and a certificate (PEM) of the mesh's own CA, valid until so many days from now."""
    key = serialization.load_pem_private_key(base64.b64decode(ca["ca-key.pem"]), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    root = x509.load_pem_x509_certificate(base64.b64decode(ca["ca-cert.pem"]))
    own, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)])
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(root.subject)
        .public_key(own.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=2))
        .not_valid_after(now + datetime.timedelta(days=until_day))
        .add_extension(names, critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return own.private_bytes(pem, form, serialization.NoEncryption()) + made.public_bytes(pem)


@pytest.mark.parametrize("until_day", [1, -1], ids=["valid", "expired"])
def test_a_certificate_of_the_mesh_that_has_expired_is_refused(
    cluster: Embedded, namespaces: Namespaces, until_day: int
) -> None:
    own = namespaces[OWN]
    path = "/api/v1/namespaces/istio-system/secrets/istio-ca-secret"
    ca = cluster.kube.request("GET", path)["data"]
    pem = issued(ca, f"spiffe://cluster.local/ns/{own}/sa/client", until_day)
    send = f"GET / HTTP/1.1\\r\\nHost: httpbin.{own}\\r\\nConnection: close\\r\\n\\r\\n"
    argv = ["tls-probe", f"httpbin.{own}", "8000", "--alpn", "istio", "--stdin", "--send", send]
    stranger = ends.source(cluster.kube, f"{own}/stranger")
    told = json.loads(cluster.exec(stranger, argv, stdin=pem).stdout)
    if until_day > 0:
        assert "200 OK" in told["received"]
    else:
        assert told["error"] == "SSLV3_ALERT_CERTIFICATE_EXPIRED"


def test_what_the_proxies_hold_leads_to_the_root_that_each_trusts(
    cluster: Embedded, namespaces: Namespaces
) -> None:
    held = []
    for name in ("client", "httpbin"):
        pod = ends.source(cluster.kube, f"{namespaces[OWN]}/{name}")
        held.append(dump.read(envoy_admin.config_dump(cluster, pod)))
    for one in held:
        assert one.updated
        for other in held:
            assert certificates.leads_to(certificates.shown(one), certificates.trusted(other))
    later = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=30)
    assert [one.partition(",")[0] for one in certificates.expired(held[0], later)] == [
        "secret default"
    ]
