"""Remedies with their pins: a port is renamed, a manifest applied, a gateway put in front."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from lab.declare.validate import named_calls
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
    """Return a remedy.

    claim: the name of the claim that it is said to heal. price: what it costs whoever uses it.
    call: what fails. broken, healed: the checks of that call without the change and with it, not
    made yet: `readable`, or `lambda call: unanswered(call, status=502)`. change: what is applied;
    instead: the call that is made with it, where that is another. seen_at: workloads whose proxies
    must have the change before the call is made. scope: `mesh` for a change of the whole mesh.
    pinned: its word; see `pin`.
    """
    for check in (broken, healed):
        if [*named_calls(check)]:
            raise TypeError("a remedy takes checks without a call: d.readable, not d.readable(...)")
    pins = (pinned,) if isinstance(pinned, Pin) else pinned
    return Remedy(
        name, claim, says, price, call, broken, healed, change, instead, seen_at, scope, pins
    )


Own = Any
"""What a remedy has for itself alone: a Service, or a port of a pod that is called by address."""


@dataclass(frozen=True)
class Trial:
    """What is a remedy's own, and what the remedy changes for it."""

    own: Own
    change: Change = NO_CHANGE
    price: str = ""


def rename(service: Service, to: str, app_protocol: str = "") -> Trial:
    """Return the trial of another name for the Service's first port.

    app_protocol: the port's appProtocol, which Istio prefers to the name.
    """
    return Trial(service, renamed(service, to, app_protocol))


def retarget(service: Service, target: int) -> Trial:
    """Return the trial of another target port of the Service's port."""
    ports = (replace(service.ports[0], target=target), *service.ports[1:])
    return Trial(service, Change(service.manifest, replace(service, ports=ports).manifest))


def apply(own: Own, manifest: str) -> Trial:
    """Return the trial of a manifest; taken back, its objects are deleted."""
    return Trial(own, Change("", manifest))


def replace_objects(own: Own, before: str, after: str) -> Trial:
    """Return the trial of other objects in the place of those that the world has."""
    return Trial(own, Change(before, after))


def put_in_front(service: Service, gateway: str) -> Trial:
    """Return the trial of a gateway's manifest, with its price in objects."""
    price = f"{gateway.count('kind:')} objects for each service, a pod, and a second hop"
    return Trial(service, Change("", gateway), price)


def remedies(
    claim: str, broken: CheckOf, healed: CheckOf, call: Callable[[Own], Call], **alike: Any
) -> Callable[..., Remedy]:
    """Return a function that makes remedies of one claim, each tried on what is its own.

    broken, healed: as `remedy` takes them. call: makes the call that fails, to a trial's Service
    or port. alike: what they share, as `remedy` takes it. The function takes a name, what the
    remedy says, a trial (`rename`, `retarget`, `apply`, `replace_objects`, `put_in_front`), and
    whatever is not alike.
    """

    def make(name: str, says: str, trial: Trial, **rest: Any) -> Remedy:
        own = {"call": call(trial.own), "change": trial.change, "price": trial.price}
        shared = {"claim": claim, "broken": broken, "healed": healed, **alike}
        return remedy(name, says, **{**own, **shared, **rest})

    return make
