"""Remedies with their pins: a port is renamed, a manifest applied, a gateway put in front."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from lab.model.failure import CheckOf, Remedy
from lab.model.pins import Pin
from lab.model.scenario import NO_CHANGE, Call, Change, Scope, Service, renamed


def remedy(
    name: str,
    says: str,
    *,
    claim: str,
    price: str,
    call: Call,
    broken: CheckOf,
    healed: CheckOf,
    change: Change = NO_CHANGE,
    instead: Call | None = None,
    seen_at: tuple[str, ...] = (),
    scope: Scope = "namespace",
    pinned: Pin | tuple[Pin, ...] = (),
) -> Remedy:
    """Return a remedy. pinned: its word; see `pin`."""
    pins = (pinned,) if isinstance(pinned, Pin) else pinned
    return Remedy(
        name, claim, says, price, call, broken, healed, change, instead, seen_at, scope, pins
    )


@dataclass(frozen=True)
class Trial:
    """A Service of a remedy's own, and what the remedy changes for it."""

    service: Service
    change: Change = NO_CHANGE
    price: str = ""


def rename(service: Service, to: str, app_protocol: str = "") -> Trial:
    """Return the trial of another name for the Service's port, or of an appProtocol."""
    return Trial(service, renamed(service, to, app_protocol))


def retarget(service: Service, target: int) -> Trial:
    """Return the trial of another target port of the Service's port."""
    ports = (replace(service.ports[0], target=target), *service.ports[1:])
    return Trial(service, Change(service.manifest, replace(service, ports=ports).manifest))


def apply(service: Service, manifest: str) -> Trial:
    """Return the trial of a manifest; taken back, its objects are deleted."""
    return Trial(service, Change("", manifest))


def put_in_front(service: Service, gateway: str) -> Trial:
    """Return the trial of a gateway's manifest, with its price in objects."""
    price = f"{gateway.count('kind:')} objects for each service, a pod, and a second hop"
    return Trial(service, Change("", gateway), price)


def remedies(
    claim: str, broken: CheckOf, healed: CheckOf, call: Callable[[Service], Call], **alike: Any
) -> Callable[..., Remedy]:
    """Return a function that makes remedies of one claim, each tried on a Service of its own.

    call: the call that fails, to that Service. alike: what they share, as `remedy` takes it. The
    function takes a name, what the remedy says, a trial, and whatever is not alike.
    """

    def make(name: str, says: str, trial: Trial, **rest: Any) -> Remedy:
        own = {"call": call(trial.service), "change": trial.change, "price": trial.price}
        shared = {"claim": claim, "broken": broken, "healed": healed, **alike}
        return remedy(name, says, **{**own, **shared, **rest})

    return make
