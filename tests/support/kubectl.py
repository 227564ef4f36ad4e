"""Plain kubectl on the tests' cluster."""

from __future__ import annotations

import subprocess

from clusters.base import OwnCluster
from lab.common.wait import until


class Kubectl:
    """Plain kubectl, from the host, as a person has it."""

    def __init__(self, cluster: OwnCluster) -> None:
        self._argv = [str(cluster.bin / "kubectl"), f"--kubeconfig={cluster.kubeconfig}"]

    def run(self, *words: str, stdin: str = "", timeout: float = 75) -> tuple[int, str]:
        """Code, and what was printed to either stream. Above any --timeout given to kubectl."""
        done = subprocess.run(
            [*self._argv, *words], input=stdin, capture_output=True, text=True, timeout=timeout
        )
        return done.returncode, done.stdout + done.stderr

    def __call__(self, *words: str, stdin: str = "") -> str:
        code, said = self.run(*words, stdin=stdin)
        assert code == 0, f"kubectl {' '.join(words)}: {said}"
        return said

    def eventually(self, wanted: str, *words: str, timeout: float = 30) -> str:
        """Repeat until the output holds `wanted`."""
        seen: list[str] = []

        def look() -> bool:
            seen.append(self.run(*words)[1])
            return wanted in seen[-1]

        until(
            look,
            f"{wanted!r} from kubectl {' '.join(words)}",
            timeout=timeout,
            every=0.2,
            last_seen=lambda: seen[-1],
        )
        return seen[-1]
