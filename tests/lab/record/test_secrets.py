"""Secrets planted wherever evidence comes from, on a real mesh: none reaches a run's text."""

from __future__ import annotations

import gzip
import json
import os
import secrets
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from planted import Secret, planted
from small_notebooks import written

from clusters.embedded.cluster import Embedded
from lab.commands import finish, plan, run_plan
from lab.common.wait import until
from lab.fidelity.record import _keep
from lab.judge import stored
from lab.judge.checks import answered
from lab.model import store
from lab.model.failure import Answer, Claim, Control, Failure
from lab.model.scenario import Call, Port, Service, World
from lab.notebook import execute
from lab.notebook.live import JudgedLiveRun
from lab.record import begin, envoy_admin, views
from lab.record.dumps import Dumps
from lab.record.live_run import LiveRun
from lab.render import explain, tables

SECRETS = planted()
TOKEN, BEARER = SECRETS["service account's token"].text, SECRETS["bearer"].text
COOKIE, KEY = SECRETS["cookie"].text, SECRETS["EC key"].text
CERTIFICATE, URL = SECRETS["certificate"].text, SECRETS["password in a URL"]
PASSWORD = URL.parts[0]
HTTPBIN = Service("httpbin", "httpbin", (Port("http", 8000, 8080),))
SENT = (
    f"curl -sS -H {shlex.quote(BEARER)} -H {shlex.quote(COOKIE)} --data-binary {shlex.quote(KEY)} "
    f"'http://admin:{PASSWORD}@httpbin:8000/anything/{{marker}}?access_token={TOKEN}'"
)
REFUSED = f"""
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {{name: refused}}
spec: {{mtls: {{mode: "{TOKEN}"}}}}
"""
HELD = Answer("Is it answered?", answered("sent"), shows="sent")
FAILURE = Failure(
    name="planted",
    title="A call that carries secrets",
    symptom="They can be read.",
    sources=(),
    worlds=(
        World(
            "plain", "before", "no mTLS", ("client", "httpbin"), (HTTPBIN,), "DISABLE", "DISABLE"
        ),
    ),
    calls=(
        Call("sent", "plain", "client", "httpbin", 8000, SENT, service="httpbin"),
        Call("refused", "plain", "api", "api", 0, "kubectl apply -f", REFUSED),
    ),
    claims=(Claim("P1", "secrets are kept to oneself", HELD, HELD),),
    controls=(Control("it is answered", answered("sent")),),
)
TLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"
FILTER = f"""
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {{name: planted}}
spec:
  configPatches:
  - applyTo: CLUSTER
    patch:
      operation: ADD
      value:
        name: planted
        type: STATIC
        connect_timeout: 1s
        transport_socket:
          name: envoy.transport_sockets.tls
          typed_config:
            "@type": {TLS}
            sni: {TOKEN[:200]}
            common_tls_context:
              validation_context:
                trusted_ca: {{inline_string: {json.dumps(CERTIFICATE)}}}
"""


@pytest.fixture
def run(cluster: Embedded, tmp_path: Path) -> Iterator[LiveRun]:
    """A run whose progress is written as any other's."""
    folder = tmp_path / f"20260101T000000Z-{secrets.token_hex(2)}"
    (folder / FAILURE.name).mkdir(parents=True)
    tell = begin._teller(folder / FAILURE.name / "progress.log", to_terminal=False)
    made = LiveRun(FAILURE, cluster, folder / FAILURE.name, {}, tell)
    try:
        yield made
    finally:
        made.close()


def found(folder: Path, wanted: dict[str, Secret] = SECRETS) -> list[str]:
    """Which secrets are in which of a folder's texts; captures are packets, and stay such."""
    texts = {
        str(path.relative_to(folder)): written_in(path)
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".pcap"
    }
    assert texts
    return sorted(
        f"{name} in {file}"
        for file, text in texts.items()
        for name, secret in wanted.items()
        if secret.found_in(text)
    )


def written_in(path: Path) -> str:
    """A file's text, of a compressed one too."""
    content = path.read_bytes()
    text = gzip.decompress(content) if path.suffix == ".gz" else content
    return text.decode(errors="replace")


@pytest.mark.cluster
def test_nothing_that_a_run_keeps_holds_a_secret_that_it_met(
    cluster: Embedded, run: LiveRun, capsys: pytest.CaptureFixture[str]
) -> None:
    run.open()
    run.before()
    sent, refused = (run.evidence.call(name) for name in ("sent", "refused"))
    assert sent
    assert refused
    # They were met: the application said them back, the API server in its complaint.
    assert TOKEN in sent.received
    assert SECRETS["bearer"].parts[0] in sent.received
    assert TOKEN in refused.received
    run.record.problems.append(f"the API server said: {refused.received}")
    folder = run.folder.parent
    JudgedLiveRun(run).judge()
    log = run_plan._Log(folder / "run.log", 0.0)
    log(f"$ {sent.typed}")
    finish.finish(plan.Plan((FAILURE,), {}, "embedded", False, "make"), folder, 1.0)
    for name in ("logs/plain-httpbin.jsonl", "evidence.json", "verdict.json"):
        assert "[redacted]" in (run.folder / name).read_text(), name
    for name in ("summary.md", "junit.xml", "run.log", "planted/progress.log"):
        assert "[redacted]" in (folder / name).read_text(), name
    assert found(folder) == []
    verdicts, missing = stored.judge_all([FAILURE], folder)
    shown = [
        *explain.lines(verdicts[0], run.folder),
        tables.terminal(verdicts, 100),
        *capsys.readouterr(),
    ]
    assert [n for n, secret in SECRETS.items() if secret.found_in("\n".join(shown))] == []
    assert not missing


@pytest.mark.cluster
def test_what_is_recorded_of_a_pod_and_its_proxys_configuration_holds_no_secret(
    cluster: Embedded, run: LiveRun, tmp_path: Path
) -> None:
    run.open()
    here = run._worlds["plain"]
    pod = here.pods["client"]
    path = f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}"
    note = {"metadata": {"annotations": {"planted": KEY, "more": BEARER}}}
    cluster.kube.request("PATCH", path, note, content_type="application/merge-patch+json")
    cluster.kube.apply(FILTER, pod.namespace)
    until(
        lambda: '"planted"' in envoy_admin.ask(cluster, pod, "config_dump"),
        "the planted cluster to be active",
        timeout=20,
    )
    assert SECRETS["certificate"].found_in(envoy_admin.ask(cluster, pod, "config_dump"))
    _keep(cluster, pod, tmp_path / "kept")
    Dumps(tmp_path / "kept").keep("whole.json", views.read(cluster, here, "client").dump)
    whole = written_in(tmp_path / "kept" / "config" / "whole.json.gz")
    assert '"planted"' in whole
    assert "[redacted]" in whole
    assert "[redacted]" in (tmp_path / "kept" / "config.json").read_text()
    assert "[redacted]" in (tmp_path / "kept" / "pod.json").read_text()
    assert found(tmp_path / "kept") == []


STARTED = "import os, sys\nprint(os.environ['PLANTED'], file=sys.stderr)\n"


@pytest.mark.slow
def test_what_python_itself_writes_beside_a_notebook_is_redacted_when_it_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each Python that is started says the secret, as one with a broken package would."""
    text = "\n".join(secret.text for secret in SECRETS.values())
    (tmp_path / "path").mkdir()
    (tmp_path / "path" / "sitecustomize.py").write_text(STARTED)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "path"), str(store.ROOT)]))
    monkeypatch.setenv("PLANTED", text)
    monkeypatch.setenv("LAB_RUNS", str(tmp_path / "runs"))
    folder, code = run_plan.run_plan(plan.plan(["rest_mtls"], {}, "recorded", False))
    assert code == 0
    assert "[redacted]" in (folder / "rest_mtls" / "notebook.log").read_text()
    assert found(folder) == []


def test_an_executed_notebook_keeps_no_secret_of_its_outputs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import papermill

    text = "\n".join(secret.text for secret in SECRETS.values())
    monkeypatch.setenv("PLANTED", text)
    cells = ("import os\nprint(os.environ['PLANTED'])", "raise ValueError(os.environ['PLANTED'])")
    written(tmp_path, *cells)
    monkeypatch.setattr(execute, "NOTEBOOKS", tmp_path)
    (tmp_path / "out").mkdir()
    with pytest.raises(papermill.PapermillExecutionError):
        execute.execute("one", tmp_path / "out", tmp_path, {})
    assert "[redacted]" in (tmp_path / "out" / "notebook.ipynb").read_text()
    assert found(tmp_path / "out") == []
