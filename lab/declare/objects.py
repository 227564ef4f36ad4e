"""Manifests of what worlds have beside workloads and Services: policies, scopes, entries."""

from __future__ import annotations

from collections.abc import Mapping


def authorization_policy(name: str, workload: str, action: str, rules: str) -> str:
    """Return the AuthorizationPolicy of a workload. rules: their YAML, in one line."""
    return f"""\
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {{name: {name}}}
spec:
  selector: {{matchLabels: {{app: {workload}}}}}
  action: {action}
  rules: [{rules}]
"""


def sidecar_scope(workload: str, *hosts: str, registry_only: bool = False) -> str:
    """Return the Sidecar that tells a workload's proxy of these hosts alone.

    registry_only: what is for none of them is not passed on.
    """
    listed = ", ".join(f'"{host}"' for host in hosts)
    policy = "  outboundTrafficPolicy: {mode: REGISTRY_ONLY}\n" if registry_only else ""
    return f"""\
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {{name: {workload}}}
spec:
  workloadSelector: {{labels: {{app: {workload}}}}}
  egress: [{{hosts: [{listed}]}}]
{policy}"""


def service_of_others(ports: Mapping[str, int]) -> str:
    """Return a Service of another team's, without pods, that this namespace is told of.

    ports: name -> number.
    """
    return f"""\
apiVersion: v1
kind: Service
metadata: {{name: unrelated, annotations: {{networking.istio.io/exportTo: "{{namespace}}"}}}}
spec: {{selector: {{app: nothing}}, ports: [{_listed(ports)}]}}
"""


def headless_by_label(name: str, label: Mapping[str, str], ports: Mapping[str, int]) -> str:
    """Return a headless Service of all pods with a label, whichever their workload.

    ports: name -> number.
    """
    selector = ", ".join(f"{key}: {value}" for key, value in label.items())
    return f"""\
apiVersion: v1
kind: Service
metadata: {{name: {name}}}
spec:
  clusterIP: None
  selector: {{{selector}}}
  ports: [{_listed(ports)}]
"""


def _listed(ports: Mapping[str, int]) -> str:
    """Return the ports of a Service as YAML, in one line."""
    return ", ".join(f"{{name: {name}, port: {number}}}" for name, number in ports.items())
