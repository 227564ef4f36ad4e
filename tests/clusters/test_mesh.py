"""Which namespace label injects, by the webhooks that Istio's own charts make."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from clusters.kind.images import Programs
from clusters.mesh import label_for

pytestmark = pytest.mark.kind  # istioctl is built for it


def webhooks(tmp_path: Path, *settings: str) -> list[dict[str, Any]]:
    """As `istioctl manifest generate` writes them."""
    istioctl = Programs.ensure("1.31", lambda _step: None).bin("istioctl")
    argv = [str(istioctl), "manifest", "generate", *(f"--set={one}" for one in settings)]
    done = subprocess.run(
        argv, cwd=tmp_path, env={"HOME": str(tmp_path)}, capture_output=True, text=True, check=True
    )
    objects = filter(None, yaml.safe_load_all(done.stdout))
    return [one for one in objects if one["kind"] == "MutatingWebhookConfiguration"]


def test_the_default_revision_injects_by_its_old_label(tmp_path: Path) -> None:
    assert label_for(webhooks(tmp_path)) == {"istio-injection": "enabled"}


def test_another_revision_injects_by_its_name(tmp_path: Path) -> None:
    hooks = webhooks(tmp_path, "revision=canary")
    assert label_for(hooks) == {"istio.io/rev": "canary"}
    assert label_for([*hooks, *webhooks(tmp_path)]) == {"istio-injection": "enabled"}


@pytest.mark.parametrize("selector", ["namespaceSelector", "objectSelector"])
def test_a_revision_without_its_webhook_injects_by_none(tmp_path: Path, selector: str) -> None:
    hooks = webhooks(tmp_path, "revision=canary")
    for hook in hooks:
        for one in hook["webhooks"]:
            one[selector] = {"matchLabels": {"istio.io/deactivated": "never-match"}}
    assert label_for(hooks) == {}
    assert label_for([]) == {}
