"""Refuses a failure whose parts do not fit together, with the file and line of the part."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, get_args

from lab.common.errors import BadFailure
from lab.common.suggest import meant
from lab.judge.observation import FINAL_HOP
from lab.model.declared import Declared
from lab.model.failure import Answer, Check, Claim, Failure, Remedy, RemedyWord, Word
from lab.model.scenario import PHASES, PLACEHOLDER, STEPS, Call, Service, World

PORT_NAME = re.compile(r"(?:[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)?")
"""A port of a Service, which needs no name if it is alone (RFC 1123, as the API server has it)."""
LONGEST = 46
"""Letters of a failure's and a world's names together: their namespace's name has at most 63."""
FILLED = ("marker", "namespace")
OF_MANIFESTS = ("rule", "image:client")
"""What is filled in too in a manifest that a call gives to the API server."""
"""What the lab itself fills in, beside a failure's parameters."""


def refuse_wrong(failure: Failure) -> None:
    """Raise BadFailure with the first part that is wrong, what is wrong, and what there is."""
    for part, wrong in _wrong(failure):
        raise BadFailure(f"{place(part)}: {wrong}")


def without_pins(failure: Failure) -> list[str]:
    """Return the claims and remedies that have no pin, each as a sentence with its line."""
    form = {Claim: 'pinned=("...", "...")', Remedy: 'pinned=d.pin("...")'}
    parts: list[Claim | Remedy] = [*failure.claims, *failure.remedies]
    return [
        f"{place(part)}: {_name(part)} has no pin: write the words that a run shows as "
        f"{form[type(part)]}, and because=..."
        for part in parts
        if not part.pins
    ]


def _wrong(failure: Failure) -> Iterator[tuple[Declared, str]]:
    yield from _twice(failure)
    for world in failure.worlds:
        yield from _world(world)
        if (letters := len(failure.name + world.name)) > LONGEST:
            told = f"{failure.name} and {world.name} have {letters} letters together"
            yield world, f"{told}, and a namespace's name has room for {LONGEST}"
    for call in _calls(failure):
        yield from _call(failure, call)
    for part in (*failure.worlds, *_calls(failure), *failure.remedies):
        yield from _placeholders(failure, part)
    for claim in failure.claims:
        yield from _claim(failure, claim)
    for control in failure.controls:
        wrongs = _check(failure, control.check, f"control {control.says!r}")
        yield from ((control, wrong) for wrong in wrongs)
    for name, parameter in failure.parameters.items():
        if parameter.default not in parameter.allowed:
            there = ", ".join(parameter.allowed)
            wrong = f"its default {parameter.default!r} is not among its values: {there}"
            yield parameter, f"parameter {name!r}: {wrong}"
    for remedy in failure.remedies:
        yield from _remedy(failure, remedy)
    if not failure.controls:
        yield failure, f"{failure.name} has no control: nothing could be concluded"


def _twice(failure: Failure) -> Iterator[tuple[Declared, str]]:
    """Find names that are used twice."""
    verdicts: list[Claim | Remedy] = [*failure.claims, *failure.remedies]
    groups: tuple[tuple[str, Iterable[Any]], ...] = (
        ("world", failure.worlds),
        ("call", failure.calls),
        ("claim or remedy", verdicts),
        *((f"Service of world {world.name}", world.services) for world in failure.worlds),
    )
    for what, parts in groups:
        seen: dict[str, Declared] = {}
        for part in parts:
            name = _name(part)
            if name in seen:
                yield part, f"{what} {name!r} is there twice, first at {place(seen[name])}"
            seen[name] = part


def _world(world: World) -> Iterator[tuple[Declared, str]]:
    from lab.workloads.manifests import WORKLOADS

    known = dict.fromkeys((*WORKLOADS, *(variant.name for variant in world.variants)))
    yield from ((world, wrong) for wrong in _unknown("phase", world.phase, PHASES))
    for name in world.workloads:
        yield from ((world, wrong) for wrong in _unknown("workload", name, known))
    for variant in world.variants:
        made_of = variant.of or variant.name
        yield from ((world, wrong) for wrong in _unknown("workload", made_of, WORKLOADS))
    for service in world.services:
        wrongs = _unknown("workload", service.workload, world.workloads, f"world {world.name} has ")
        yield from ((service, wrong) for wrong in wrongs)
        for port in service.ports:
            if not PORT_NAME.fullmatch(PLACEHOLDER.sub("a", port.name)):
                yield (
                    service,
                    f"Kubernetes takes no port with the name {port.name!r}: a-z, 0-9 and -",
                )


def _calls(failure: Failure) -> tuple[Call, ...]:
    """Return all calls as the file writes them, those of remedies too."""
    tried = ((remedy.call, remedy.instead) for remedy in failure.remedies)
    return (*failure.calls, *(call for pair in tried for call in pair if call))


def _call(failure: Failure, call: Call) -> Iterator[tuple[Declared, str]]:
    """Find a world, a workload, a Service or a port that is not there."""
    worlds = {world.name: world for world in failure.worlds}
    told = f"call {call.name!r}: " if call.name else ""
    if call.world not in worlds:
        yield from ((call, told + wrong) for wrong in _unknown("world", call.world, worlds))
        return
    if call.source == "api":
        return
    world = worlds[call.world]
    has = f"world {world.name} has "
    asked, service, port = call.asked
    for workload in dict.fromkeys((call.source, call.to, asked)):
        if not PLACEHOLDER.search(workload):
            for wrong in _unknown("workload", workload, world.workloads, told + has):
                yield call, wrong
    if not call.to_address:
        services = {one.name: one for one in world.services}
        for wrong in _unknown("Service", service, services, told + has):
            yield call, wrong
        if service in services:
            yield from ((call, told + wrong) for wrong in _port(services[service], port))


def _port(service: Service, port: int) -> Iterator[str]:
    ports = [one.number for one in service.ports]
    if port not in ports:
        there = ", ".join(map(str, ports))
        yield f"Service {service.name} has no port {port}; there is {there}"


def _placeholders(failure: Failure, part: Declared) -> Iterator[tuple[Declared, str]]:
    """Find a `{parameter}`, an `{ip:WORKLOAD}` or a `{namespace:NAME}` that is not there."""
    called = getattr(part, "call", part)
    worlds = [one for one in failure.worlds if one.name == getattr(called, "world", one.name)]
    if isinstance(part, World):
        worlds = [part]
    known = [
        *failure.parameters,
        *FILLED,
        *(OF_MANIFESTS if getattr(part, "source", "") == "api" else ()),
        *(f"ip:{name}" for world in worlds for name in world.workloads),
        *(f"namespace:{other.name}" for world in worlds for other in world.others),
    ]
    for text in _texts(part):
        for name in PLACEHOLDER.findall(text):
            if name not in known:
                there = ", ".join(f"{{{one}}}" for one in known)
                near = meant(name, known)
                yield part, f"nothing fills in {{{name}}}: {near}there is {there}"


def _texts(value: Any) -> Iterator[str]:
    """Yield all text in a value, however deep it lies."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, tuple):
        for one in value:
            yield from _texts(one)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            yield from _texts(getattr(value, field.name))


def _claim(failure: Failure, claim: Claim) -> Iterator[tuple[Declared, str]]:
    for answer, form in ((claim.as_posted, "as posted"), (claim.today, "today's form")):
        wrongs = _answer(failure, answer, f"{claim.id}, {form}")
        yield from ((answer, wrong) for wrong in wrongs)
    yield from _pins(claim, ("as posted", "in today's form"), get_args(Word))


def _answer(failure: Failure, answer: Answer, told: str) -> Iterator[str]:
    for check in (answer.reproduced, answer.instead, answer.otherwise):
        if check:
            yield from _check(failure, check, told)
    yield from _unknown("call", answer.shows, failure.all_calls, f"{told}, `shows`: ")


def _remedy(failure: Failure, remedy: Remedy) -> Iterator[tuple[Declared, str]]:
    claims = [claim.id for claim in failure.claims]
    yield from ((remedy, wrong) for wrong in _unknown("claim", remedy.claim, claims))
    workloads = failure.world(remedy.call.world).workloads
    for name in remedy.seen_at:
        yield from ((remedy, wrong) for wrong in _unknown("workload", name, workloads, "seen_at: "))
    yield from _pins(remedy, ("whether it heals",), get_args(RemedyWord))


def _pins(
    part: Claim | Remedy, needed: tuple[str, ...], words: tuple[str, ...]
) -> Iterator[tuple[Declared, str]]:
    """Find a pin with too few or too many words, with a word that is none, or without a reason."""
    for pin in part.pins:
        told = f"{_name(part)} is pinned with {' / '.join(pin.words)}"
        if len(pin.words) != len(needed):
            yield part, f"{told}: it needs {len(needed)}: {' and '.join(needed)}"
        for word in pin.words:
            yield from ((part, wrong) for wrong in _unknown("word", word, words, f"{told}: "))
        if not pin.why:
            yield part, f"{told}, without a reason: write because=..."


def _check(failure: Failure, check: Check, told: str) -> Iterator[str]:
    """Find the calls that a check names and that are not there.

    A check is a function that keeps the names it was made with: they are read from there.
    """
    for name in named_calls(check):
        yield from _unknown("call", name.removesuffix(FINAL_HOP), failure.all_calls, f"{told}: ")


def named_calls(check: Callable[..., object]) -> Iterator[str]:
    """Yield the names of the calls that a check was made with (lab/judge/checks.py)."""
    code, cells = getattr(check, "__code__", None), getattr(check, "__closure__", None)
    for variable, cell in zip(code.co_freevars if code else (), cells or (), strict=False):
        kept = cell.cell_contents
        if variable == "names":
            yield from kept
        elif variable in ("checks", "check"):
            for one in kept if isinstance(kept, tuple) else (kept,):
                yield from named_calls(one)


def _unknown(what: str, name: str, known: Iterable[str], where: str = "") -> Iterator[str]:
    """Yield one sentence where a name is not known, with all that are."""
    known = [*known]
    if name not in known:
        there = ", ".join(known) or "none"
        if any(f":{STEPS[0]}" in one for one in known):
            there += f" (NAME:{', NAME:'.join(STEPS)} are the calls of the remedy NAME)"
        yield f"{where}no {what} {name!r}: {meant(name, known)}there is {there}"


def _name(part: Any) -> str:
    return str(getattr(part, "id", "") or part.name)


def place(part: Declared) -> str:
    """Return `lab/failures/my_failure.py:12`, as short as it can be from here."""
    file, _, line = part.line.rpartition(":")
    try:
        file = str(Path(file).relative_to(Path.cwd()))
    except ValueError:
        pass
    return f"{file}:{line}"
