"""What a kubeconfig names, as the official Python client reads it.

That client writes certificates and keys to files, and removes them when Python ends; where it is
killed they would lie in $TMPDIR for good. Here their folder is one that the next run removes.
"""

from __future__ import annotations

import atexit
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.common import scratch

if TYPE_CHECKING:
    from kubernetes import client


def read(path: Path, context: str | None = None, own: Path | None = None) -> client.Configuration:
    """Return server, trust and credentials of a kubeconfig's context.

    context: None: the kubeconfig's current one. own: a folder that goes with the cluster;
    certificates are written there instead.
    """
    from kubernetes import client, config

    configuration = client.Configuration()
    load: Any = config.load_kube_config  # untyped
    load(
        str(path),
        context=context,
        client_configuration=configuration,
        temp_file_path=str(own or _folder()),
    )
    return configuration


@cache
def _folder() -> Path:
    """Return a folder for files of this process alone."""
    life = ExitStack()
    atexit.register(life.close)
    return life.enter_context(scratch.folder())
