"""Which images are official, and programs taken out of them: no engine and no root is needed.

BINARIES=official: the embedded cluster's programs come out of Kubernetes' and Istio's own images.
What has no image of its own (probes, echo servers) is still built from Go modules.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from clusters.base import Progress, Stack
from clusters.stacks import binaries, cache, proxy, registry
from lab.common import shell
from lab.common.errors import BadArguments
from lab.common.suggest import meant

HUB = "docker.io/istio"
CHOICES = ("built", "official")
RELEASE = "1.31.0"
"""The Istio release that is used unless ISTIO= names another."""
KUBERNETES = {  # program: its image, as `kubeadm config images list` of this stack names it
    "kube-apiserver": "registry.k8s.io/kube-apiserver:{version}",
    "kube-controller-manager": "registry.k8s.io/kube-controller-manager:{version}",
    "kube-scheduler": "registry.k8s.io/kube-scheduler:{version}",
    "kube-proxy": "registry.k8s.io/kube-proxy:{version}",
    "kubectl": "registry.k8s.io/kubectl:{version}",
    "etcd": "registry.k8s.io/etcd:3.6.8-0",
    "coredns": "registry.k8s.io/coredns/coredns:v1.14.2",
}
BOOTSTRAP = "envoy_bootstrap_tmpl.json"
ISTIO = {  # image: what is taken out of it
    "pilot": ("pilot-discovery",),
    "proxyv2": ("pilot-agent", "envoy", BOOTSTRAP),
    "istioctl": ("istioctl",),
}
BUILT = ("tcp-echo", "istio-echo", "istio-echo-client", "grpcbin", "grpcurl", "kubelet-streaming")
"""Programs of pods, and the kubelet's own, from the Go modules of the stack."""
ORIGIN = "programs of official images"
OWN = Path(__file__).read_bytes()
"""How it is all done: what was done otherwise is done anew."""


def istio() -> str:
    """Return the release that is wanted."""
    return os.environ.get("LAB_ISTIO") or RELEASE


def chosen() -> bool:
    """Tell whether the embedded cluster's programs are to come out of official images.

    Raises BadArguments for a choice that there is not.
    """
    wanted = os.environ.get("LAB_BINARIES") or "built"
    if wanted not in CHOICES:
        near = meant(wanted, CHOICES)
        raise BadArguments(f"no BINARIES={wanted}: {near}there is {', '.join(CHOICES)}")
    if wanted == "official" and os.environ.get("LAB_ENVOY"):
        raise BadArguments(
            f"ENVOY={os.environ['LAB_ENVOY']} cannot be chosen with BINARIES=official: "
            "the Envoy comes with Istio's image"
        )
    return wanted == "official"


def made(stack: Stack) -> bool:
    """Tell whether a stack is of official images' programs, and of the release that is wanted."""
    return stack.origin.startswith(ORIGIN) and stack.istio == istio()


def ensure(name: str, progress: Progress) -> binaries.Binaries:
    """Return a stack's programs out of official images, fetched now if they are not here yet."""
    kubernetes = binaries.source(name).spec["kubernetes"]
    kept = target(name)

    def make(folder: Path) -> None:
        for place in ("bin", "share", "work"):
            (folder / place).mkdir()
        built = binaries.build(binaries.few(name, BUILT), progress)
        for program in BUILT:
            shutil.copy2(built / "bin" / program, folder / "bin")
        fetched = _take_out(images(kubernetes), folder, progress)
        charts(folder / "bin" / "istioctl", folder / "share", folder / "work")
        origin = f"{ORIGIN}: {', '.join(fetched)}"
        write_facts(folder, kubernetes, folder / "bin" / "envoy", origin)
        shutil.rmtree(folder / "work")

    cache.obtain(kept, make, progress)
    return binaries.Binaries(kept, facts(kept))


def target(name: str) -> Path:
    """Return where a stack's programs from official images are kept: named by their contents."""
    source = binaries.source(name)
    wanted = [*images(source.spec["kubernetes"]).items()]
    parts = [registry.mirror(), istio(), source.target.name, wanted]
    return cache.root() / f"official-{cache.key(json.dumps(parts).encode(), OWN)}"


def images(version: str) -> dict[str, tuple[str, ...]]:
    """Return each image, and the files that are taken out of it."""
    kubernetes = {image.format(version=version): (one,) for one, image in KUBERNETES.items()}
    return kubernetes | {f"{HUB}/{image}:{istio()}": files for image, files in ISTIO.items()}


def _take_out(wanted: Mapping[str, Sequence[str]], folder: Path, progress: Progress) -> list[str]:
    """Fetch images, keep only the files that are wanted; return what was fetched, by digest."""
    programs = folder / "bin"
    progress(f"fetching {len(wanted)} images from {registry.mirror() or 'their registries'}")

    def one(image: str) -> str:
        archive = folder / "work" / f"{cache.key(image.encode())}.tar"
        fetched = registry.fetch(image, archive)
        registry.take(archive, {name: programs / name for name in wanted[image]})
        archive.unlink()
        return fetched

    with ThreadPoolExecutor(4) as pool:
        fetched = list(pool.map(one, wanted))
    (programs / BOOTSTRAP).rename(folder / "share" / "envoy_bootstrap.json")
    for program in programs.iterdir():
        program.chmod(0o755)
    return fetched


def write_facts(folder: Path, kubernetes: str, envoy: Path, origin: str) -> None:
    """Keep, beside what was fetched, what it is; the Envoy is asked for its own part."""
    stack = Stack(kubernetes, istio(), proxy.version(envoy), proxy.flavour(envoy), origin)
    (folder / "stack.json").write_text(json.dumps(dataclasses.asdict(stack), indent=1))


def facts(folder: Path) -> Stack:
    """Return what `write_facts` wrote."""
    return Stack(**json.loads((folder / "stack.json").read_text()))


def charts(istioctl: Path, share: Path, work: Path) -> None:
    """Write Istio's CRDs, injection templates and values, as its istioctl renders its charts."""
    import yaml

    argv = [str(istioctl), "manifest", "generate", "--set=profile=minimal"]
    text = shell.run(argv, cwd=work, env={**os.environ, "HOME": str(work)})
    objects = yaml.load_all(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    named = {(one["kind"], one["metadata"]["name"]): one for one in objects if one}
    crds = [one for (kind, _), one in named.items() if kind == "CustomResourceDefinition"]
    injector = named["ConfigMap", "istio-sidecar-injector"]["data"]
    templates = yaml.safe_load(injector["config"])["templates"]
    values = json.loads(injector["values"])
    files = {
        "crd-all.gen.yaml": "\n---\n".join(map(json.dumps, crds)),
        "injection-template.yaml": templates["sidecar"],
        "gateway-injection-template.yaml": templates["gateway"],
        "values.yaml": json.dumps({"_internal_defaults_do_not_set": values | values["pilot"]}),
    }
    for name, content in files.items():
        (share / name).write_text(content)
