"""Beside a kind cluster of built images: the stand-in for Istio's ALPN filter, until it ends."""

from __future__ import annotations

import sys
from pathlib import Path

from clusters.embedded.node.alpn import AlpnStandIn
from clusters.embedded.node.mesh import NAMESPACE
from clusters.kube import Kube
from lab.common.wait import until


def main(kubeconfig: Path) -> None:
    """Keep the EnvoyFilter equal to the Services; end when the cluster's folder has gone."""
    AlpnStandIn(Kube.from_kubeconfig(kubeconfig), NAMESPACE).start()
    until(lambda: not kubeconfig.exists(), "the cluster to end", timeout=float("inf"), every=0.1)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
