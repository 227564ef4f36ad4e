"""What is kept of logs, and that what could not be kept is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from clusters.base import PodRef
from lab.common.errors import ClusterGone
from lab.model.scenario import World
from lab.record import logs
from lab.record.world import LiveWorld

OURS = '{"start_time": "2026-01-01T00:00:0%d.000Z", "downstream_peer_uri_san": null}'


class Writing:
    """A cluster whose containers have written this."""

    def __init__(self, **texts: str) -> None:
        self._texts = texts

    def logs(self, _pod: PodRef, container: str) -> str:
        if container not in self._texts:
            raise ClusterGone(f"no answer for {container}")
        return self._texts[container]


def live(*containers: str) -> LiveWorld:
    pod = PodRef("here", "web-1", "10.0.0.1", containers)
    return LiveWorld(World("posted", "during", "", ("web",), ()), "here", pods={"web": pod})


def test_lines_of_json_are_kept_and_a_log_that_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    cluster: Any = Writing(web='hello\n{"port": 1}\n', **{"istio-proxy": f"{OURS % 1}\nx\n"})
    assert logs.keep(cluster, live("web", "istio-proxy"), tmp_path) == []
    assert (tmp_path / "posted-web.app.jsonl").read_text() == '{"port": 1}\n'
    assert (tmp_path / "posted-web.jsonl").read_text() == f"{OURS % 1}\n"
    silent: Any = Writing(web="")
    told = logs.keep(silent, live("web", "istio-proxy"), tmp_path)
    assert told == ["log posted-web.jsonl: no answer for istio-proxy"]


def test_of_somebodys_pod_only_the_proxys_lines_since_the_call_are_kept(tmp_path: Path) -> None:
    text = "\n".join([OURS % 1, '{"secret": "of somebody"}', OURS % 5, "plain", OURS % 7])
    cluster: Any = Writing(**{"istio-proxy": text})
    logs.keep_since(cluster, live("web", "istio-proxy"), "web", tmp_path, "2026-01-01T00:00:05.000")
    assert (tmp_path / "posted-web.jsonl").read_text() == f"{OURS % 5}\n{OURS % 7}\n"
    assert not (tmp_path / "posted-web.app.jsonl").exists()


def test_where_no_line_comes_nothing_is_kept(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(logs, "PATIENCE", 0.1)
    cluster: Any = Writing(**{"istio-proxy": OURS % 1})
    logs.keep_since(cluster, live("web", "istio-proxy"), "web", tmp_path, "2026-01-01T00:00:05.000")
    assert [*tmp_path.iterdir()] == []
