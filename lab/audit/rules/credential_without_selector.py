"""A DestinationRule whose credential no sidecar may fetch: TLS is not begun."""

from __future__ import annotations

from collections.abc import Iterator

from lab.audit import destination_rules, objects
from lab.audit.rule import Audited, Found, MeshRule

_FOR_EVERYBODY = "configmap://"
"""How a credential's name begins that is no Secret: every sidecar is given it."""


def _found(there: Audited) -> Iterator[Found]:
    for rule in filter(destination_rules.is_for_all, there.objects.destination_rules):
        for field, tls in destination_rules.every_tls(rule):
            name = str(tls.get("credentialName") or "")
            if not name or name.startswith(_FOR_EVERYBODY):
                continue
            edges = there.by_rule.get(objects.named(rule), [])
            plain = [one for one in edges if one.caller.has_sidecar and one.crossed == "plaintext"]
            for to in dict.fromkeys(one.to.name for one in plain):
                own = tuple(one for one in plain if one.to.name == to)
                yield Found(to, (f"{objects.named(rule)}, {field}.credentialName",), own)


RULE = MeshRule(
    "credential-without-selector",
    "high",
    "crosses in plaintext: a DestinationRule asks for TLS with a credential that sidecars are "
    "not given",
    "credentialName is for gateways. A sidecar is given the Secret only where the rule has a "
    "workloadSelector; without one it begins no TLS, and nothing says so.",
    "Add a workloadSelector to the rule, or name mounted files: caCertificates, clientCertificate.",
    ("test tests/lab/audit/test_audit_live.py",),
    _found,
)
