"""What the kernel refuses is found by doing it, and named with its way out: really broken here."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from person import Person

from clusters.doctor import kernel, machine
from clusters.doctor.requirement import Requirement
from clusters.embedded import requirements
from clusters.stacks import assembly
from lab.model import store

pytestmark = pytest.mark.slow  # each test copies the lab for another user

SUPPORT = store.ROOT / "tests" / "support"
NEEDS_ROOT = pytest.mark.skipif(os.getuid() != 0, reason="only root can make another user")


def missing(told: str) -> list[str]:
    return re.findall(r"^MISSING  (.+?)  ", told, re.MULTILINE)


def as_root(*words: str, before: str = "true", around: tuple[str, ...] = ()) -> tuple[int, str]:
    """`istio-lab doctor` by root, or by who is root of namespaces of the test's own."""
    own = ["unshare", "--mount"]
    own += ["--user", "--map-root-user", "--map-auto"] if os.getuid() else []
    start = shlex.join([*around, sys.executable, "-m", "lab", *words])
    argv = [*own, "sh", "-c", f"{before} && exec {start}"]
    done = subprocess.run(argv, cwd=store.ROOT, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def test_where_all_is_well_each_step_was_tried() -> None:
    tried = [step.what for step in kernel.examine(machine.SYSTEM_PATH)]
    own = ["user namespace", "subordinate ids"] if os.getuid() else []
    assert tried == [*own, "namespaces", "mounts", "veth pair", "nat rule", "private root"]


@NEEDS_ROOT
def test_a_user_without_subordinate_ids_is_told_the_command_that_gives_them(person: Person) -> None:
    code, told = person.lab("doctor", before=["umount /etc/subuid"])
    assert (code, missing(told)) == (1, ["subordinate ids"])
    given = re.search(r"sudo usermod --add-subuids (\d+)-(\d+) --add-subgids (\S+) labtester", told)
    assert given
    assert int(given[2]) - int(given[1]) == 65535
    assert "embedded      no: subordinate ids" in told
    assert "recorded      yes" in told


@NEEDS_ROOT
def test_a_user_without_newuidmap_is_told_its_package_and_not_that_ids_are_missing(
    person: Person,
) -> None:
    gone = [f"mount --bind /dev/null /usr/bin/{name}" for name in ("newuidmap", "newgidmap")]
    code, told = person.lab("doctor", before=gone)
    assert (code, missing(told)) == (1, ["newuidmap", "newgidmap"])
    assert "sudo apt-get install -y --no-install-recommends uidmap" in told
    assert "usermod" not in told, "he has the ids"


@NEEDS_ROOT
@pytest.mark.cluster
@pytest.mark.parametrize("words", [["up"], ["run", "tcp_mtls"]])
def test_what_the_doctor_finds_is_what_a_start_that_failed_says(
    words: list[str], person: Person
) -> None:
    assembly.wanted("1.31").ensure(lambda _line: None)
    code, told = person.lab(*words, before=["umount /etc/subuid"])
    assert code == 255
    assert "Traceback" not in told
    said = told[told.index("lab: ") :].splitlines()
    assert said[0].startswith("lab: the embedded cluster cannot run here: subordinate ids: ")
    assert "usermod --add-subuids" in said[-1]
    assert not person.processes()
    assert [path.name for path in person.tmp.rglob("*")] == [f"istio-failure-lab-{person.uid}"]


@NEEDS_ROOT
def test_a_user_who_may_have_no_user_namespace_is_told_which_switch_forbids_it(
    person: Person,
) -> None:
    """The limit is one of a user namespace of the test's own: the machine's stays as it is."""
    limit = "echo 0 > /proc/sys/user/max_user_namespaces"
    drop = 'exec setpriv --reuid=1000 --regid=1000 --clear-groups -- "$@"'
    own = ["unshare", "--user", "--map-root-user", "--map-auto", "sh", "-c"]
    code, told = person.lab("doctor", around=[*own, f"{limit}; {drop}", "sh"])
    assert (code, missing(told)) == (1, ["user namespace"])
    assert "No space left on device" in told, "the kernel's own words, which mislead"
    assert "sudo sysctl -w user.max_user_namespaces=15000; or run as root" in told


@NEEDS_ROOT
def test_a_user_whose_system_calls_are_filtered_is_told_so(person: Person) -> None:
    script = person.top / "without_namespaces.py"
    script.write_text((SUPPORT / script.name).read_text())
    code, told = person.lab("doctor", around=[sys.executable, str(script)])
    assert (code, missing(told)) == (1, ["user namespace"])
    assert "Operation not permitted" in told
    assert "--security-opt seccomp=unconfined" in told


def test_root_in_a_container_is_told_which_capability_it_lacks() -> None:
    around = ("setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin")
    code, told = as_root("doctor", around=around)
    assert (code, missing(told)) == (1, ["namespaces"])
    assert "This root lacks CAP_SYS_ADMIN, as in a container: docker run --privileged" in told


def test_steps_inside_fail_each_by_itself_and_all_are_named() -> None:
    extensions = next(Path("/usr/lib").glob("*/xtables"))
    around = ("setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin")
    code, told = as_root("doctor", before=f"mount -t tmpfs tmpfs {extensions}", around=around)
    assert (code, missing(told)) == (1, ["veth pair", "nat rule"])
    assert "modprobe veth" in told
    assert "xt_owner" in told


def test_a_program_that_is_missing_is_told_with_its_package_and_not_as_the_kernels_fault() -> None:
    code, told = as_root("doctor", before="mount --bind /dev/null /usr/bin/bwrap")
    assert (code, missing(told)) == (1, ["bwrap"])
    assert "apt-get install -y --no-install-recommends bubblewrap" in told
    assert "private root" not in told


def test_apparmors_rule_is_named_with_its_three_ways_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No Ubuntu 24.04 is here: its switch is a file as the kernel shows it."""
    monkeypatch.setattr("os.getuid", lambda: 1000)
    (tmp_path / "self").mkdir()
    (tmp_path / "self" / "status").write_text("CapEff:\t0000000000000000\nSeccomp:\t0\n")
    assert "No setting of this kernel explains it" in kernel.why_not(tmp_path)[0]
    switches = tmp_path / "sys" / "kernel"
    switches.mkdir(parents=True)
    (switches / "unprivileged_userns_clone").write_text("0\n")
    (switches / "apparmor_restrict_unprivileged_userns").write_text("1\n")
    told = "\n".join(kernel.why_not(tmp_path))
    assert "kernel.apparmor_restrict_unprivileged_userns is 1 (Ubuntu 24.04)" in told
    for way in ("sudo make", "userns=0", "/etc/apparmor.d/unshare", "{ userns, }"):
        assert way in told
    assert "sudo sysctl -w kernel.unprivileged_userns_clone=1" in told
    (switches / "apparmor_restrict_unprivileged_userns").write_text("0\n")
    assert "AppArmor" not in "\n".join(kernel.why_not(tmp_path))


@pytest.mark.parametrize("system", ["Windows", "Darwin"])
def test_a_system_that_is_no_linux_is_told_what_runs_there(system: str) -> None:
    """A stand-in for such a system: its name, and on Windows what its Python lacks."""
    lacks = "for name in ('fcntl', 'pwd', 'grp'): sys.modules[name] = None\n"
    lacks += "del os.getuid, os.uname\nos.name = 'nt'\n"
    code = (
        "import os, platform, shutil, subprocess, sys\n"
        f"{lacks if system == 'Windows' else ''}"
        f"named = platform.uname()._replace(system={system!r})\n"
        f"platform.uname, platform.system = lambda: named, lambda: {system!r}\n"
        "from lab.__main__ import main\nsys.exit(main(['doctor']))\n"
    )
    argv = [sys.executable, "-S", "-c", code]
    done = subprocess.run(argv, cwd=store.ROOT, capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    assert "the embedded cluster needs Linux" in done.stdout
    assert missing(done.stdout) == ["system"]
    assert "embedded      no: system" in done.stdout
    assert re.search(
        r"kind +no: .*WSL 2" if system == "Windows" else "kind +(untried|no)", done.stdout
    )
    assert "recorded      yes, always" in done.stdout


def test_what_is_refused_before_a_start_is_told_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from lab.common.errors import NeedsUnmet

    refused = Requirement("nat rule", False, "no such match", ways=("modprobe it",))
    monkeypatch.setattr(kernel, "examine", lambda _path: [refused])
    requirements.require(try_kernel=False)
    with pytest.raises(NeedsUnmet) as told:
        requirements.require(try_kernel=True)
    assert str(told.value) == (
        "the embedded cluster cannot run here: nat rule: no such match\n  -> modprobe it"
    )
