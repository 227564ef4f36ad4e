"""What is kept of a config dump as evidence."""

from __future__ import annotations

import copy
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from lab.common.errors import BadEvidence
from lab.envoy import dump, kept, node
from lab.record.dumps import Dumps

DATA = Path(__file__).with_name("data")


@pytest.fixture(scope="module")
def client() -> Any:
    told = json.loads(gzip.decompress((DATA / "client.json.gz").read_bytes()))
    for part in told["configs"]:
        if "bootstrap" in part:
            annotations = part["bootstrap"]["node"]["metadata"].setdefault("ANNOTATIONS", {})
            annotations |= {
                "traffic.sidecar.istio.io/excludeInboundPorts": "9000",
                "somebody.example/token": "a secret",
            }
    return told


def test_all_that_a_walk_reads_is_kept(client: Any) -> None:
    stored = json.loads(kept.text(client))
    kept_proxy, whole = dump.read(stored), dump.read(client)
    assert (kept_proxy.listeners, kept_proxy.routes) == (whole.listeners, whole.routes)
    assert kept_proxy.clusters == whole.clusters
    left_out = whole.endpoints.keys() - kept_proxy.endpoints.keys()
    assert {whole.clusters[name]["type"] for name in left_out} <= {"ORIGINAL_DST"}
    before, after = (node.workload(one, dump.read(one)) for one in (client, stored))
    assert (after.name, after.address, after.identity) == (
        before.name,
        before.address,
        before.identity,
    )
    assert after.interception == before.interception
    assert after.interception
    assert not after.interception.takes_in(9000)


def test_nothing_of_the_machine_and_no_secret_is_kept(client: Any) -> None:
    told = copy.deepcopy(client)
    kind = "type.googleapis.com/envoy.admin.v3.SecretsConfigDump"
    told["configs"].append({"@type": kind, "dynamic_active_secrets": [{"name": "private"}]})
    text = kept.text(told)
    assert "a secret" not in text
    assert "private" not in text
    assert "admin" not in json.loads(text)["configs"][0].get("bootstrap", {})


def test_what_a_proxy_is_given_in_its_configuration_is_redacted_and_a_format_stays(
    client: Any,
) -> None:
    told = copy.deepcopy(client)
    clusters = next(one["dynamic_active_clusters"] for one in told["configs"]
                    if "dynamic_active_clusters" in one)  # fmt: skip
    held = {"inline_string": "-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgIUQ2hlY2s=\n"}
    shown = {"text_format_source": {"inline_string": "%CEL(xds.cluster_name)%"}}
    clusters[0]["cluster"]["metadata"] = {"ca": held, "state": shown}
    stored = json.loads(kept.text(told))
    kept_cluster = next(iter(dump.read(stored).clusters.values()))
    every = json.dumps(stored)
    assert "MIIBszCCAVmgAwIBAgIUQ2hlY2s" not in every
    assert "%CEL(xds.cluster_name)%" in every
    assert kept_cluster


def test_the_same_configuration_at_another_time_is_the_same_text(client: Any) -> None:
    later = copy.deepcopy(client)
    for part in later["configs"]:
        for entries in (one for one in part.values() if isinstance(one, list)):
            for entry in entries:
                entry["last_updated"] = "2026-01-02T03:04:05Z"
                entry.get("active_state", {})["version_info"] = "another"
    assert kept.text(later) == kept.text(client)


def test_what_is_no_dump_is_told_in_a_sentence() -> None:
    with pytest.raises(BadEvidence, match="a config dump is not such as Envoy's"):
        kept.text({"configs": [{"no": "type"}]})


def test_proxies_that_hold_the_same_share_a_file(client: Any, tmp_path: Path) -> None:
    dumps = Dumps(tmp_path)
    dumps.keep("today-client.json", client)
    dumps.keep("today-client-remedies-changed.json", client)
    assert {*dumps.names.values()} == {"config/today-client.json.gz"}
    assert [one.name for one in (tmp_path / "config").iterdir()] == ["today-client.json.gz"]
