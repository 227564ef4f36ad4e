"""Verdicts from recorded evidence: as pinned, turned round with the world, never overstated."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import recordings

from lab import failures
from lab.judge.case import Case
from lab.judge.proof import Proof
from lab.judge.verdict import Said, Verdict, judge
from lab.model import store
from lab.model.evidence import CallRecord, Evidence, WorldRecord
from lab.model.failure import CheckResult, Control, Failure

NAMES = failures.names()
TURNED = store.TURNED


def words(verdict: Verdict) -> dict[str, tuple[str, ...]]:
    """Everything that is said: both answers of each claim, and each remedy's word."""
    claims = {claim.id: (claim.as_posted.word, claim.today.word) for claim in verdict.claims}
    return claims | {remedy.name: (remedy.word,) for remedy in verdict.remedies}


def all_words(verdict: Verdict) -> set[str]:
    return {word for said in words(verdict).values() for word in said}


def recorded(name: str) -> tuple[Failure, Evidence, Path]:
    return recordings.parts(recordings.case(name))


def of_world(found: Evidence, name: str, **changes: object) -> Evidence:
    world = dataclasses.replace(found.worlds[name], **changes)
    return dataclasses.replace(found, worlds={**found.worlds, name: world})


def of_call(found: Evidence, name: str, **changes: object) -> Evidence:
    def changed(call: CallRecord) -> CallRecord:
        return dataclasses.replace(call, **changes) if call.name == name else call

    return dataclasses.replace(found, calls=tuple(changed(call) for call in found.calls))


@pytest.mark.parametrize("name", NAMES)
def test_recorded_evidence_is_judged_as_pinned(name: str) -> None:
    verdict = judge(Case(*recorded(name)))
    assert {said.agreement for said in verdict.said} == {"as pinned"}
    assert verdict.exit_code == 0


TURNED_WORDS = {
    "rest_mtls": {
        "C0": ("not reproduced", "not reproduced"),
        "C0a": ("fails otherwise", "not reproduced"),
        "C0b": ("not reproduced", "reproduced"),
        "C0c": ("reproduced", "reproduced"),
    },
    "tcp_mtls": {
        "C2": ("reproduced", "reproduced"),
        "tcp-name": ("does not heal",),
        "no-name": ("does not heal",),
        "app-protocol": ("does not heal",),
    },
    "grpc_h2c": {"C3": ("reproduced", "reproduced"), "C3a": ("not reproduced", "reproduced")},
    "https_in_mtls": {
        "C4": ("not reproduced", "not reproduced"),
        "mesh-strict": ("not needed",),
    },
}
"""mTLS off on both sides; another header; B's port under another name."""
TURNED_WIRE = {"rest_mtls": "plaintext", "tcp_mtls": "plaintext", "grpc_h2c": "none"}


@pytest.mark.parametrize("name", NAMES)
def test_with_the_world_turned_round_verdicts_and_wire_turn_round(name: str) -> None:
    folder = TURNED / f"{name}-turned"
    missing = f"{folder} is not there: run it with a parameter, then istio-lab record --turned"
    assert folder.exists(), missing
    verdict = judge(recordings.turned(name))
    said, before = words(verdict), words(recordings.verdict(name))
    for of, turned in TURNED_WORDS.get(name, {}).items():
        assert said[of] == turned
    changed = {of for of in said if said[of] != before[of] and "inconclusive" not in said[of]}
    assert changed, "the checks look at nothing: no word has turned"
    shown = verdict.claims[0].proof
    assert shown
    assert shown.security == TURNED_WIRE.get(name, shown.security)
    assert {one.agreement for one in verdict.said} == {"new"}
    assert verdict.exit_code == 3


CHANGED = {"green_probes": "strict", "wrong_version_number": "numbered"}
"""The world that a failure's parameter changes, where that is not the posted one."""


@pytest.mark.parametrize("name", NAMES)
def test_one_world_exchanged_for_its_opposite_differs_from_the_pin(
    name: str, tmp_path: Path
) -> None:
    """As if a new Istio turned one world round while all else stayed."""
    failure, found, folder = recorded(name)
    changed = CHANGED.get(name, "posted")
    turned = TURNED / f"{name}-turned"
    other = recordings.turned(name).evidence
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    for path in tmp_path.rglob(f"{changed}-*"):
        path.unlink()
    for path in turned.rglob(f"{changed}-*"):
        shutil.copy(path, tmp_path / path.parent.name / path.name)
    calls = tuple(c for c in found.calls if c.world != changed) + tuple(
        c for c in other.calls if c.world == changed
    )
    worlds = {**found.worlds, changed: other.worlds[changed]}
    mixed = dataclasses.replace(found, worlds=worlds, calls=calls)
    verdict = judge(Case(failure, mixed, tmp_path))
    assert "differs" in {one.agreement for one in verdict.said}
    assert verdict.exit_code == 1


def tries(name: str) -> list[str]:
    return [remedy.name for remedy in failures.load(name).remedies]


REMEDIES = [(name, remedy) for name in NAMES for remedy in tries(name)]


def exchanged(found: Evidence, remedy: str, one: str, other: str) -> Evidence:
    """The evidence with two steps of a remedy's trial taken for each other."""
    names = {f"{remedy}:{one}": f"{remedy}:{other}", f"{remedy}:{other}": f"{remedy}:{one}"}
    calls = tuple(
        dataclasses.replace(call, name=names.get(call.name, call.name)) for call in found.calls
    )
    return dataclasses.replace(found, calls=calls)


@pytest.mark.parametrize(("name", "remedy"), REMEDIES)
def test_a_remedy_heals_only_what_is_broken_before_and_broken_after(name: str, remedy: str) -> None:
    failure, found, folder = recorded(name)
    word = words(recordings.verdict(name))[remedy]
    if word == ("heals",):
        early = exchanged(found, remedy, "broken", "changed")
        late = exchanged(found, remedy, "restored", "changed")
        for turned in (early, late):
            assert words(judge(Case(failure, turned, folder)))[remedy] != ("heals",)
    for step in ("broken", "changed", "restored"):
        without = dataclasses.replace(
            found, calls=tuple(c for c in found.calls if c.name != f"{remedy}:{step}")
        )
        assert words(judge(Case(failure, without, folder)))[remedy] == ("inconclusive",)


def test_a_remedy_whose_change_was_not_seen_active_is_inconclusive() -> None:
    failure, found, folder = recorded("tcp_mtls")
    late = dataclasses.replace(found, untried={"tcp-name": "its change was not seen active"})
    verdict = judge(Case(failure, late, folder))
    assert words(verdict)["tcp-name"] == ("inconclusive",)
    assert words(verdict)["no-name"] == ("heals",)
    assert verdict.exit_code == 3


def test_a_connection_older_than_the_change_is_no_evidence_of_it() -> None:
    failure, found, folder = recorded("tcp_mtls")
    call = found.call("tcp-name:changed")
    assert call
    later = of_call(found, "tcp-name:changed", since=call.ended + 1)
    assert words(judge(Case(failure, later, folder)))["tcp-name"] == ("inconclusive",)


def lost_calls(found: Evidence) -> Iterator[tuple[str, Evidence]]:
    for call in found.calls:
        yield f"call {call.name} lost", of_call(found, call.name, lost="no answer came back")


def lossy_captures(found: Evidence) -> Iterator[tuple[str, Evidence]]:
    for world in found.worlds.values():
        for number, capture in enumerate(world.captures):
            captures = list(world.captures)
            captures[number] = dataclasses.replace(capture, dropped=1)
            yield capture.file, of_world(found, world.name, captures=tuple(captures))


def missing_captures(found: Evidence) -> Iterator[tuple[str, Evidence]]:
    for world in found.worlds.values():
        for capture in world.captures:
            rest = tuple(c for c in world.captures if c != capture)
            yield capture.file, of_world(found, world.name, captures=rest)


@pytest.mark.slow  # a run is judged as often as it has calls and captures
@pytest.mark.parametrize("spoil", [lost_calls, lossy_captures, missing_captures])
@pytest.mark.parametrize("name", NAMES)
def test_spoilt_evidence_never_makes_another_verdict_only_none(
    name: str, spoil: Callable[[Evidence], Iterator[tuple[str, Evidence]]]
) -> None:
    failure, found, folder = recorded(name)
    sound = words(recordings.verdict(name))
    inconclusive = 0
    for what, spoilt in spoil(found):
        for of, answers in words(judge(Case(failure, spoilt, folder))).items():
            for word, before in zip(answers, sound[of], strict=True):
                assert word in (before, "inconclusive"), f"{what} made {of} {word}"
                inconclusive += word == "inconclusive"
    assert inconclusive, "nothing that was spoilt mattered"


BY_ANSWERS = ("headless_one_socket", "hijacked_port", "neighbours_port")
"""Failures whose first claim falls by what callers are answered; no log is needed for that."""


@pytest.mark.parametrize("name", NAMES)
def test_without_the_proxies_logs_nothing_is_called_mutual(name: str, tmp_path: Path) -> None:
    failure, found, folder = recorded(name)
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    for path in (tmp_path / "logs").iterdir():
        path.unlink()
    without = judge(Case(failure, found, tmp_path)).claims
    whole = recordings.verdict(name).claims[0].as_posted.word
    assert without[0].as_posted.word == (whole if name in BY_ANSWERS else "inconclusive")
    proofs = [claim.proof for claim in without if claim.proof]
    assert "mutual_tls" not in {proof.security for proof in proofs}


def rejected(world: WorldRecord) -> WorldRecord:
    pods = {
        name: dataclasses.replace(pod, rejected=1) if pod.sidecar else pod
        for name, pod in world.pods.items()
    }
    return dataclasses.replace(world, pods=pods)


def test_a_proxy_that_refused_its_configuration_makes_all_inconclusive() -> None:
    failure, found, folder = recorded("tcp_mtls")
    worlds = {**found.worlds, "posted": rejected(found.worlds["posted"])}
    verdict = judge(Case(failure, dataclasses.replace(found, worlds=worlds), folder))
    assert all_words(verdict) == {"inconclusive"}
    assert "did not take its configuration" in verdict.claims[0].today.why
    assert verdict.exit_code == 3


def test_a_control_that_fails_is_named_and_nothing_is_concluded() -> None:
    failure, found, folder = recorded("tcp_mtls")
    never = Control("the sun shines", lambda _case: CheckResult(False, "it rained"))
    verdict = judge(Case(dataclasses.replace(failure, controls=(never,)), found, folder))
    assert all_words(verdict) == {"inconclusive"}
    assert "the sun shines: it rained" in verdict.claims[0].as_posted.why


def test_a_check_of_ours_that_crashes_is_no_finding_and_says_where() -> None:
    failure, found, folder = recorded("tcp_mtls")

    def crash(_case: object) -> CheckResult:
        raise KeyError("nonesuch")

    claim = failure.claims[0]
    answer = dataclasses.replace(claim.today, reproduced=crash)
    broken = dataclasses.replace(failure, claims=(dataclasses.replace(claim, today=answer),))
    today = judge(Case(broken, found, folder)).claims[0].today
    assert today.word == "inconclusive"
    assert "test_verdict.py" in today.why


def test_a_capture_that_was_altered_is_noticed(tmp_path: Path) -> None:
    failure, found, folder = recorded("tcp_mtls")
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    path = tmp_path / "captures" / "posted-client-eth0.pcap"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    verdict = judge(Case(failure, found, tmp_path))
    assert all_words(verdict) == {"inconclusive"}
    assert "sha256 differs" in verdict.claims[0].today.why


@pytest.mark.parametrize(
    ("cluster", "part", "version", "agreement"),
    [
        ("embedded", "istio", "1.29.9", "new"),
        ("embedded", "istio", "1.30", "as pinned"),
        ("kind", "istio", "1.30.3", "new"),
        ("kind", "istio", "1.31.7", "as pinned"),
        ("embedded", "istio", "1.32.0", "new"),
        ("embedded", "envoy", "1.35.9", "new"),
        ("embedded", "envoy", "1.36.2", "as pinned"),
        ("embedded", "envoy", "1.36.2.post1", "new"),
        ("embedded", "envoy", "1.40.0", "as pinned"),
        ("embedded", "envoy", "1.41.0", "new"),
        ("embedded", "envoy", "", "new"),
    ],
)
@pytest.mark.parametrize("name", failures.names())
def test_a_stack_that_no_pin_speaks_of_is_new_and_not_green(
    name: str, cluster: str, part: str, version: str, agreement: str
) -> None:
    failure, found, folder = recorded(name)
    stack = {**found.stack, part: version}
    verdict = judge(Case(failure, dataclasses.replace(found, cluster=cluster, stack=stack), folder))
    assert {one.agreement for one in verdict.said} == {agreement}
    assert verdict.exit_code == (3 if agreement == "new" else 0)


def test_what_was_read_off_a_missing_lock_is_told_of_the_wire_and_of_the_graphs() -> None:
    verdict = judge(Case(*recorded("tcp_mtls")))
    told = verdict.claims[0].as_posted.graph
    assert told.startswith(
        "not reproduced on the wire; reproduced in a Kiali graph of 2019 (Kiali before 1.6), "
    )
    assert "; lock in Kiali 1.6 and Kiali 2.30: " in told
    proof = verdict.claims[0].as_posted.proof
    assert proof
    assert [one.drawn for one in proof.graphs] == ["no lock", "lock", "lock"]
    assert [one.name for one in proof.disagreements] == ["telemetry blind to TCP"]
    others = [claim for each in recordings.verdicts() for claim in each.claims][1:]
    assert not any(said.graph for claim in others for _, said in claim.answers if claim.id != "C2")


def test_with_mtls_off_the_wire_and_every_graph_are_told_to_agree() -> None:
    verdict = judge(recordings.turned("tcp_mtls"))
    told = verdict.claims[0].as_posted.graph
    assert told.startswith("reproduced on the wire; reproduced in a Kiali graph of 2019")
    assert "no lock in Kiali 1.6 and Kiali 2.30: " in told


def test_where_nothing_can_be_concluded_no_graph_is_told_either() -> None:
    failure, found, folder = recorded("tcp_mtls")
    verdict = judge(Case(failure, dataclasses.replace(found, trouble="a node died"), folder))
    assert verdict.claims[0].as_posted.graph == ""


def test_where_telemetry_was_not_recorded_the_wire_alone_is_told() -> None:
    failure, found, folder = recorded("tcp_mtls")
    pods = found.worlds["posted"].pods
    theirs = {name: dataclasses.replace(pod, flavour="istio") for name, pod in pods.items()}
    posted = dataclasses.replace(found.worlds["posted"], pods=theirs)
    official = dataclasses.replace(found, worlds={**found.worlds, "posted": posted})
    verdict = judge(Case(failure, official, folder))
    assert words(verdict)["C2"] == ("not reproduced", "reproduced")
    assert "unknown in any graph" in verdict.claims[0].as_posted.graph


def test_a_crash_beside_a_proof_leaves_the_proof_and_the_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def crash(*_: object) -> None:
        raise ZeroDivisionError

    before = words(recordings.verdict("tcp_mtls"))
    monkeypatch.setattr("lab.judge.proof.observe_edge", crash)
    verdict = judge(Case(*recorded("tcp_mtls")))
    assert words(verdict) == before
    proof = verdict.claims[0].as_posted.proof
    assert proof
    assert (proof.security, proof.graphs, proof.disagreements) == ("mutual_tls", (), ())


def test_a_verdict_of_before_graphs_were_told_is_still_one() -> None:
    said = judge(Case(*recorded("tcp_mtls"))).claims[0].as_posted
    assert said.proof
    fields = {field.name for field in dataclasses.fields(said.proof)}
    older = {name: getattr(said.proof, name) for name in fields - {"graphs", "disagreements"}}
    proof = Proof(**older)
    assert (proof.graphs, proof.disagreements) == ((), ())
    assert Said(said.word, said.why, proof).graph == ""
