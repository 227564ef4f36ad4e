"""A mesh read from config dumps alone: no cluster is asked."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from lab.common import untrusted
from lab.common.errors import BadArguments, BadEvidence
from lab.common.suggest import meant
from lab.envoy import dump, node, services
from lab.envoy.mesh import Mesh, Workload
from lab.predict.question import OUTSIDE, STRANGER, address_in


class Dumps:
    """Proxies' configurations in files, one for each proxy."""

    def __init__(self, contents: Mapping[Any, Any]) -> None:
        """Take what is in each file, by its name. Raises BadEvidence for what is no config dump.

        A proxy's configuration is taken anew where it is asked for: many do not fit in memory.
        """
        self._workloads = [_workload(name, contents) for name in contents]

    @classmethod
    def read(cls, paths: Iterable[Path]) -> Dumps:
        """Read the files. Raises BadArguments and BadEvidence, each naming the file."""
        return cls({path: _read(path) for path in paths})

    def mesh(self) -> Mesh:
        """Return the pods that the dumps are of, and the Services that their proxies know."""
        known = {}
        for one in self._workloads:
            assert one.read_proxy is not None
            known.update(services.endpoints(one.read_proxy()))
        return Mesh({one.address: one for one in self._workloads}, known)

    def caller(self, typed: str) -> Workload:
        """Return the pod whose name is typed. Raises BadArguments with those there are."""
        if typed == OUTSIDE:
            return STRANGER
        return self._named(typed)

    def _named(self, typed: str) -> Workload:
        names = {one.name: one for one in self._workloads}
        exact = [one for one in self._workloads if _is_named(one, typed)]
        fits = exact or [one for one in self._workloads if _is_of(one, typed)]
        if len(fits) == 1:
            return fits[0]
        if fits:
            which = ", ".join(sorted(one.name for one in fits))
            raise BadArguments(
                f"{typed!r} could mean the pod of any of these dumps: {which}",
                hint="name a pod, and give one dump of each",
            )
        there = ", ".join(sorted(names))
        raise BadArguments(
            f"no dump is of the pod {typed!r}: {meant(typed, [*names])}there is {there}"
        )

    def addresses(self, host: str, port: int, caller: Workload) -> list[str]:
        """Return a host's addresses, as the caller's proxy knows them.

        Of a gateway whose dump is there, the pod's name is enough: it binds its ports itself.
        """
        pods = [one for one in self._workloads if one.is_gateway and _is_named(one, host)]
        if len(pods) == 1:
            return [pods[0].address]
        return address_in(caller, host, port)


def _is_named(pod: Workload, typed: str) -> bool:
    return typed in (pod.name, pod.name.partition("/")[2])


def _is_of(pod: Workload, typed: str) -> bool:
    """Return whether what is typed is the name of the pod's Deployment."""
    namespace, _, name = pod.name.partition("/")
    return any(one.startswith(f"{typed}-") for one in (name, f"{namespace}/{name}"))


def _workload(name: Any, contents: Mapping[Any, Any]) -> Workload:
    content = contents[name]
    try:
        made = node.workload(content, dump.read(content))
    except BadEvidence as wrong:
        raise BadEvidence(f"{name}: {wrong}") from None
    return replace(made, read_proxy=lambda: dump.read(contents[name]))


def _read(path: Path) -> Any:
    try:
        data = path.read_bytes()
        if data.startswith(untrusted.GZIP_MAGIC):
            data = untrusted.gunzip(data)
        return json.loads(data)
    except OSError as wrong:
        raise BadArguments(f"{path} cannot be read: {wrong.strerror or wrong}") from None
    except (ValueError, RecursionError):
        raise BadEvidence(
            f"{path} is not a whole config dump in JSON",
            hint="istioctl proxy-config all POD -o json > FILE",
        ) from None
