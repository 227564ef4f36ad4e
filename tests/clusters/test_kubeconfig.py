"""Other people's kubeconfigs: only what was named is used, and no program is run for it."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

from clusters import kubeconfig, open_cluster
from lab.common.errors import BadArguments

SERVER = {"name": "there", "cluster": {"server": "https://127.0.0.1:1"}}
PLUGIN = {"apiVersion": "client.authentication.k8s.io/v1", "command": "touch", "args": ["ran"]}


def config(path: Path, users: dict[str, Any], current: str = "") -> Path:
    """A kubeconfig with a context for each of these users, of the same name."""
    whole = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [SERVER],
        "users": [{"name": name, "user": user} for name, user in users.items()],
        "contexts": [
            {"name": name, "context": {"cluster": "there", "user": name}} for name in users
        ],
        "current-context": current,
    }
    path.write_text(yaml.safe_dump(whole))
    return path


@pytest.fixture
def theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """KUBECONFIG with a context that has a token, and one that would run a program."""
    users = {"production": {"token": "t"}, "cloud": {"exec": PLUGIN}}
    path = config(tmp_path / "config", users, current="production")
    monkeypatch.setenv("KUBECONFIG", str(path))
    monkeypatch.delenv(kubeconfig.ALLOW, raising=False)
    monkeypatch.chdir(tmp_path)
    return path


def test_a_context_is_used_when_it_is_named(theirs: Path) -> None:
    before = theirs.read_bytes()
    cluster = open_cluster("context:production")
    assert (cluster.kind, cluster.name) == ("existing", "production")
    assert not cluster.running()
    assert theirs.read_bytes() == before


@pytest.mark.parametrize("name", ["", "producton", "default"])
def test_another_is_not_put_in_its_place(theirs: Path, name: str) -> None:
    with pytest.raises(BadArguments, match="no context") as refused:
        open_cluster(f"context:{name}")
    assert "there is: production, cloud" in str(refused.value)
    assert ("did you mean production?" in str(refused.value)) == (name == "producton")


@pytest.mark.parametrize("user", [{"exec": PLUGIN}, {"auth-provider": {"name": "touch ran"}}])
def test_a_program_for_credentials_is_refused_by_name(theirs: Path, user: dict[str, Any]) -> None:
    config(theirs, {"cloud": user})
    with pytest.raises(BadArguments, match="touch ran") as refused:
        open_cluster("context:cloud")
    assert "LAB_ALLOW_EXEC_PLUGIN=1" in str(refused.value)
    assert not Path("ran").exists()


def test_a_program_is_run_where_it_is_allowed(
    theirs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(kubeconfig.ALLOW, "1")
    assert not open_cluster("context:cloud").running()
    assert Path("ran").exists()


def test_of_several_files_the_first_to_name_something_counts(
    theirs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = config(tmp_path / "other", {"cloud": {"token": "t"}, "third": {"token": "t"}})
    missing = tmp_path / "missing"
    monkeypatch.setenv("KUBECONFIG", os.pathsep.join(map(str, (missing, theirs, other))))
    assert open_cluster("context:third").name == "third"
    with pytest.raises(BadArguments, match="would run a program"):
        open_cluster("context:cloud")
    monkeypatch.setenv("KUBECONFIG", os.pathsep.join(map(str, (other, theirs))))
    assert open_cluster("context:cloud").name == "cloud"


def test_what_is_no_kubeconfig_is_said_to_be_none(theirs: Path) -> None:
    theirs.write_text("- a list\n")
    with pytest.raises(BadArguments, match="is not a kubeconfig"):
        open_cluster("context:production")


def test_plain_kubectl_is_given_the_named_context_and_no_copy_of_credentials(
    theirs: Path,
) -> None:
    theirs.write_text(
        theirs.read_text().replace("current-context: production", "current-context: cloud")
    )
    first, second = str(open_cluster("context:production").kubeconfig).split(os.pathsep)
    assert second == str(theirs)
    chosen = yaml.safe_load(Path(first).read_text())
    assert chosen == {"apiVersion": "v1", "kind": "Config", "current-context": "production"}


def test_the_file_that_chooses_a_context_is_whole_whoever_else_asks_for_it(
    theirs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(theirs.parent))
    monkeypatch.setattr("tempfile.tempdir", None)
    chosen = str(open_cluster("context:production").kubeconfig).split(os.pathsep)[0]

    def ask(_number: int) -> str:
        assert open_cluster("context:production").kubeconfig
        return Path(chosen).read_text()

    with ThreadPoolExecutor(8) as pool:
        seen = set(pool.map(ask, range(400)))
    assert len(seen) == 1
