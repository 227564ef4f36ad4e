"""The lab without root: all of a run, or every reason why that cannot be here."""

from __future__ import annotations

import pytest
from person import Person

from clusters.stacks import assembly
from lab.common.wait import until

pytestmark = pytest.mark.cluster


def test_an_ordinary_user_reproduces_a_failure_or_is_told_why_that_cannot_be(
    person: Person,
) -> None:
    assembly.wanted("1.31").ensure(lambda _line: None)
    _, told = person.lab("doctor")
    if "MISSING  user namespace" in told:
        assert "AppArmor's kernel.apparmor_restrict_unprivileged_userns is 1" in told
        return
    code, said = person.lab("run", "rest_mtls")
    assert code == 0, said
    assert "every verdict is as pinned" in said
    made = (person.top / "runs" / "latest").resolve()
    assert made.stat().st_uid == person.uid
    until(
        lambda: not person.processes(),
        "his processes to end",
        timeout=10,
        last_seen=lambda: str(person.processes()),
    )
    assert [path.name for path in person.tmp.rglob("*")] == [f"istio-failure-lab-{person.uid}"]
