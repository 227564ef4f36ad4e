"""Where the objects of manifests are written."""

from __future__ import annotations

from pathlib import Path

from lab.audit import manifest_lines
from lab.audit.manifest_lines import Line

SEVERAL = """\
# a comment
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
---
apiVersion: v1
kind: List
items:
- kind: Deployment
  metadata:
    name: web
- kind: Secret
---
# nothing
---
- no object
"""


def test_each_object_has_its_file_and_line(tmp_path: Path) -> None:
    file = tmp_path / "web.yaml"
    file.write_text(SEVERAL)
    assert manifest_lines.read([tmp_path]) == {
        ("Service", "shop", "web"): Line(file, 2),
        ("Deployment", "default", "web"): Line(file, 9),
    }
