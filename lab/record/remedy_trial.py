"""Applies remedies to a live world, waits until proxies hold them, and takes them back."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from clusters.base import RUN_LABEL, Cluster
from clusters.kube import Obj, documents
from lab.common.errors import TimedOut
from lab.common.wait import until
from lab.model.failure import Remedy
from lab.model.scenario import Call, Change, fill
from lab.planes import config
from lab.record import held, kube_proxy, readiness, views, world
from lab.record.configuration import Configuration
from lab.record.world import LiveWorld

SECONDS = 20.0


class Trial:
    """The changes of several remedies of one world, applied and withdrawn together."""

    def __init__(
        self,
        cluster: Cluster,
        live: LiveWorld,
        remedies: Sequence[Remedy],
        *,
        passthrough: bool = False,
    ) -> None:
        """Take a world and its remedies. passthrough: see `Failure`."""
        self._cluster, self._live, self._passthrough = cluster, live, passthrough
        self._reader = views.ConfigurationReader(cluster, live)
        # With other parameters a change may change nothing: there is nothing to wait for then.
        self._remedies = [r for r in remedies if r.change.after != r.change.before]
        self._targets = {remedy.name: self._target(remedy) for remedy in self._remedies}
        called = [call for r in remedies for call in (r.call, r.instead or r.call)]
        concerned = {name for call in called for name in (call.source, call.to, call.asked[0])}
        self._concerned = sorted(name for name in concerned if live.pods[name].has_sidecar)
        self.configurations: dict[str, Configuration] = {}
        """Workload -> the configuration of its proxy, as last read."""
        self.since = 0.0
        """When the last change was seen active, Unix seconds."""

    def _target(self, remedy: Remedy) -> int:
        """Return the port at which the workload listens that a remedy's call asks."""
        _, service, port = (remedy.instead or remedy.call).asked
        return self._live.services[service].targets[str(port)] if service else port

    def apply(self) -> dict[str, str]:
        """Apply every change; return remedy -> why it cannot be relied on."""
        for remedy in self._remedies:
            self._cluster.kube.apply(self.changes(remedy, self._live), self._live.namespace)
        late = self._wait("active", self._active)
        return {**self._wait_served({r.name: r.instead or r.call for r in self._remedies}), **late}

    @staticmethod
    def changes(remedy: Remedy, live: LiveWorld) -> list[Obj]:
        """Return the objects that a remedy applies.

        Those of a remedy of the whole mesh carry the run's label, since they lie outside of the
        run's namespaces: a killed run's are found and removed by it.
        """
        text = fill(remedy.change.after, live.values)
        changes = live.exported(documents(text))
        for obj in changes if remedy.scope == "mesh" else []:
            obj["metadata"]["labels"] = {RUN_LABEL: live.run}
        return changes

    def withdraw(self) -> dict[str, str]:
        """Take every change back; return remedy -> why it cannot be relied on."""
        for remedy in self._remedies:
            before, after = self._objects(remedy.change)
            gone = [obj for key, obj in after.items() if key not in before]
            self._cluster.kube.delete(gone, self._live.namespace)
            self._cluster.kube.apply(before.values(), self._live.namespace)
        late = self._wait("taken back", lambda remedy, name: not self._changed(remedy, name))
        return {**self._wait_served({r.name: r.call for r in self._remedies}), **late}

    def _wait(self, what: str, done: Callable[[Remedy, str], bool]) -> dict[str, str]:
        waiting = {(r.name, name): r for r in self._remedies for name in r.proxies}

        def look() -> bool:
            for name in {name for _, name in waiting}:
                self.configurations[name] = self._reader.read(name)
            for key in [key for key, remedy in waiting.items() if done(remedy, key[1])]:
                del waiting[key]
            return not waiting

        try:
            until(look, f"changes to be {what}", timeout=SECONDS, every=0.1)
        except TimedOut as late:
            told = f"its change was not seen {what}: {late}"
            return dict.fromkeys({remedy for remedy, _ in waiting}, told)
        finally:
            for name in self._concerned:  # all of one moment, those that do not change too
                self.configurations[name] = views.read(self._cluster, self._live, name)
            self._live.services = world.services(self._cluster, self._live.namespace)
            self.since = time.time()
        return {}

    def _wait_served(self, asked: Mapping[str, Call]) -> dict[str, str]:
        """Wait for nodes where a Service itself was changed: they follow later than proxies do.

        asked: remedy -> what is called next. It matters where the caller's proxy has no endpoints
        for it, and where the call passes through a proxy that has: what none of its filter chains
        takes goes to the ClusterIP. Returns remedy -> why it cannot be relied on.
        """
        routes = {
            remedy.name: readiness.service_route(self._live, asked[remedy.name])
            for remedy in self._remedies
            if any(key.startswith("Service/") for key in self._objects(remedy.change)[0])
            and (self._passthrough or not self._known(remedy, asked[remedy.name].source))
        }
        try:
            kube_proxy.wait(self._cluster, routes.values())
        except TimedOut as late:
            return dict.fromkeys(routes, str(late))
        return {}

    def _known(self, remedy: Remedy, source: str) -> bool:
        """Return whether the caller's proxy has a cluster, and so endpoints, for what is called."""
        seen = self.configurations.get(source)
        return seen is not None and bool(self._part(remedy, seen)["cluster"])

    def _active(self, remedy: Remedy, name: str) -> bool:
        """Return whether a change is active: a cluster without endpoints is not yet."""
        seen = self._part(remedy, self.configurations[name])
        _, service, _ = (remedy.instead or remedy.call).asked
        asked = self._live.services.get(service)
        # What goes to the address that was asked has no endpoints.
        whole = seen["endpoints"] or not seen["cluster"] or not asked or asked.cluster_ip == "None"
        objects = self._objects(remedy.change)[1].values()
        labels, namespace = self._live.labels(name), self._live.namespace
        absent = held.missing(objects, self.configurations[name].dump, labels, namespace)
        return self._changed(remedy, name) and bool(whole) and not absent

    def _changed(self, remedy: Remedy, name: str) -> bool:
        known, seen = self._live.configurations[name], self.configurations[name]
        return self._part(remedy, known) != self._part(remedy, seen)

    def _part(self, remedy: Remedy, configuration: Configuration) -> config.View:
        """Return the part of a configuration that concerns what the remedy's call asks."""
        view = configuration.view
        _, service, port = (remedy.instead or remedy.call).asked
        target = self._targets[remedy.name]
        cluster = f"outbound|{port}||{service}.{self._live.namespace}.svc.cluster.local"
        objects = [*self._objects(remedy.change)[1].values()]
        return {
            "shown": held.shown(objects, configuration.dump, self._live.namespace, port),
            "listeners": {
                name: chains
                for name, chains in view["listeners"].items()
                if name.endswith(f"_{port}")
            },
            "inbound": view["inbound"].get(str(target)),
            "inbound_filters": held.inbound(configuration.dump, target),
            "cluster": view["clusters"].get(cluster),
            "endpoints": view["endpoints"].get(cluster),
        }

    def _objects(self, change: Change) -> tuple[dict[str, Obj], dict[str, Obj]]:
        """Return the objects before and after a change, each by `Kind/name`."""
        before, after = (
            {
                f"{obj['kind']}/{obj['metadata']['name']}": obj
                for obj in self._live.exported(documents(self._text(text)))
            }
            for text in (change.before, change.after)
        )
        return before, after

    def _text(self, manifests: str) -> str:
        return fill(manifests, self._live.values)
