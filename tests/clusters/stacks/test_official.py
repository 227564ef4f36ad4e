"""Official images, had from a registry that the test itself runs on loopback.

What it holds are the built images, under the official names: where the official bytes differ,
these tests cannot see it.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from loopback import Registry
from loopback import registry as loopback

from clusters import check_stack
from clusters.embedded.cluster import Embedded
from clusters.embedded.node import mesh
from clusters.kind import engine as engines
from clusters.kind import official as on_kind
from clusters.kind.archive import Image, layer, save
from clusters.kind.cluster import Kind
from clusters.kind.images import Built, Programs
from clusters.stacks import assembly, binaries, cache, official, proxy
from lab.common.errors import BadArguments, NeedsUnmet

pytestmark = pytest.mark.timeout(900)
# Whatever takes programs of kind's is marked `kind`: they are a quarter of an hour's building.
RELEASE = "1.31.7"
"""Not what the built images are called: nothing built can be taken for what was fetched."""
AS_IT_IS = "--preserve-digests"
"""How layers are pushed: compressing them would take most of a test's time."""


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    with loopback(tmp_path) as made:
        monkeypatch.setenv("LAB_REGISTRY", made.address)
        monkeypatch.setenv("LAB_ISTIO", RELEASE)
        monkeypatch.setenv("LAB_IMAGES", "official")
        monkeypatch.setenv("LAB_BINARIES", "official")
        monkeypatch.setenv("LAB_CLUSTER_NAME", f"official-{os.getpid()}")
        yield made


@pytest.mark.cluster  # of its programs only: they are built for it
def test_the_filter_that_tells_envoys_apart_is_the_one_that_istiod_asks_for() -> None:
    bin_of = assembly.wanted("1.31").ensure(lambda _step: None).bin
    assert proxy.OWN_FILTER in (bin_of / "pilot-discovery").read_bytes()
    assert proxy.flavour(bin_of / "envoy") == "stock"
    assert re.fullmatch(r"\d+\.\d+\.\d+", proxy.version(bin_of / "envoy"))


def test_an_envoy_with_istios_filter_is_istios(tmp_path: Path) -> None:
    envoy = tmp_path / "envoy"
    envoy.write_bytes(b"\x7fELF" + proxy.OWN_FILTER + b".FilterConfig")
    assert proxy.flavour(envoy) == "istio"


@pytest.mark.parametrize("content", ["\x7fELF", "#!/bin/sh\necho no such glibc >&2; exit 1\n"])
def test_an_envoy_that_does_not_run_here_is_refused(tmp_path: Path, content: str) -> None:
    envoy = tmp_path / "envoy"
    envoy.write_text(content)
    envoy.chmod(0o755)
    with pytest.raises(NeedsUnmet, match=r"does not run .*: .*(Exec format error|no such glibc)"):
        proxy.version(envoy)


def test_metrics_are_asked_for_of_istios_own_envoy_only() -> None:
    assert mesh.mesh_config("istio")["defaultProviders"] == {"metrics": ["prometheus"]}
    assert "defaultProviders" not in mesh.mesh_config("stock")


def test_only_what_no_image_has_is_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = binaries.source("1.31")
    monkeypatch.setenv("LAB_CACHE", str(tmp_path))
    few = binaries.few("1.31", official.BUILT)
    assert [*few.spec["binaries"]] == [*official.BUILT]
    assert not {"envoy", "share"} & {*few.spec}
    assert few.target.name != whole.target.name


def test_a_choice_that_there_is_not_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_IMAGES", "offical")
    with pytest.raises(BadArguments, match="IMAGES=offical"):
        on_kind.choose("1.31", lambda _step: None)
    monkeypatch.setenv("LAB_BINARIES", "offical")
    with pytest.raises(BadArguments, match="BINARIES=offical"):
        official.chosen()


def test_a_release_that_would_be_passed_over_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_ISTIO", "1.30.3")
    with pytest.raises(BadArguments, match="BINARIES=official"):
        check_stack("embedded")
    monkeypatch.setenv("LAB_IMAGES", "built")
    with pytest.raises(NeedsUnmet, match=r"ISTIO=1\.30\.3"):
        on_kind.choose("1.31", lambda _step: None)


@pytest.mark.kind
def test_images_are_built_where_no_registry_answers(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LAB_REGISTRY", "127.0.0.1:1")
    for name in ("LAB_IMAGES", "LAB_ISTIO"):
        monkeypatch.delenv(name, raising=False)
    said: list[str] = []
    assert isinstance(on_kind.choose("1.31", said.append), Built)
    assert said[0] == "images: built, since no registry answers"


@pytest.mark.kind
def test_charts_are_as_the_module_has_them(tmp_path: Path) -> None:
    """What istioctl renders for BINARIES=official is what BINARIES=built copies, labels aside."""
    share = assembly.wanted("1.31").ensure(lambda _step: None).share
    folder = binaries.build(binaries.source("1.31-kind"), lambda _step: None)
    official.charts(folder / "bin" / "istioctl", tmp_path, tmp_path)

    def told(at: Path) -> list[object]:
        config = mesh.injector(at, "1.31")
        crds = {one["metadata"]["name"]: one["spec"] for one in mesh.custom_resources(at)}
        return [crds, json.loads(config["values"]), config["config"].split()]

    assert told(tmp_path) == told(share)


def push(served: Registry, name: str, files: dict[str, Path | str | bytes], work: Path) -> str:
    """An image of these files."""
    image = Image(name, (layer(files, work / "layer.tar"),))
    save([image], work / "pushed.tar")
    return served.push(f"docker-archive:{work / 'pushed.tar'}", name, AS_IT_IS)


def push_images(served: Registry, work: Path) -> dict[str, str]:
    """The built images under the official names, but for the lab's own; returns their digests."""
    built = Built(Programs.ensure("1.31", lambda _step: None), lambda _step: None)
    cache.obtain(built.folder, built._make, lambda _step: None)
    archive = built.folder / "images.tar"
    with tarfile.open(archive) as opened:
        manifest = opened.extractfile("manifest.json")
        assert manifest
        built_as = [one["RepoTags"][0] for one in json.load(manifest)]
    sources = {on_kind.NODE: f"docker-archive:{built.folder / 'node.tar'}"}
    for name in built_as:
        theirs = on_kind.WORKLOADS.get(name) or re.sub(r"(/istio/.*):.*", rf"\1:{RELEASE}", name)
        if not theirs.startswith("docker.io/lab/"):
            sources[theirs] = f"docker-archive:{archive}:{name}"
    digests = {name: served.push(source, name, AS_IT_IS) for name, source in sources.items()}
    istioctl: dict[str, Path | str | bytes] = {"/bin/istioctl": built.program("istioctl")}
    push(served, f"docker.io/istio/istioctl:{RELEASE}", istioctl, work)
    return digests


@pytest.mark.long
@pytest.mark.kind
def test_a_failure_is_as_pinned_on_kind_with_a_registrys_images(
    served: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digests = push_images(served, tmp_path)
    monkeypatch.setattr(on_kind, "DIGESTS", {name: digests[name] for name in on_kind.DIGESTS})
    # The built node holds nothing before the lab fills it: Kubernetes' images are put in as well.
    inside = {
        name: name
        for name in digests
        if name.startswith(("registry.k8s.io", "docker.io/kindest/kindnet"))
    }
    monkeypatch.setattr(on_kind, "WORKLOADS", {**on_kind.WORKLOADS, **inside})
    said: list[str] = []
    cluster = Kind(os.environ["LAB_CLUSTER_NAME"])
    try:
        cluster.up(said.append)
        assert said[0] == "images: official"
        assert (cluster.stack.istio, cluster.stack.flavour) == (RELEASE, "stock")
        pinned = [f"{name}@{digest}" for name, digest in digests.items()]
        assert [one for one in pinned if one not in cluster.stack.origin] == []
        assert_as_pinned("kind")
    finally:
        cluster.down()
        forget(on_kind.Official("1.31", said.append))


@pytest.mark.long
@pytest.mark.kind
def test_a_failure_is_as_pinned_with_programs_out_of_a_registrys_images(
    served: Registry, tmp_path: Path
) -> None:
    built = assembly.wanted("1.31").ensure(lambda _step: None)
    kind = binaries.build(binaries.source("1.31-kind"), lambda _step: None)
    places = {path.name: path for path in (*built.bin.iterdir(), kind / "bin" / "istioctl")}
    places["envoy_bootstrap_tmpl.json"] = built.share / "envoy_bootstrap.json"
    for image, files in official.images(built.stack.kubernetes).items():
        push(served, image, {f"/usr/local/bin/{name}": places[name] for name in files}, tmp_path)
    cluster = Embedded(os.environ["LAB_CLUSTER_NAME"])
    try:
        cluster.up(lambda _step: None)
        assert (cluster.stack.istio, cluster.stack.flavour) == (RELEASE, "stock")
        assert f"docker.io/istio/pilot:{RELEASE}@sha256:" in cluster.stack.origin
        assert_as_pinned("embedded")
    finally:
        folder = cluster.bin.parent
        cluster.down()
        cache.remove(folder)


def forget(images: on_kind.Official) -> None:
    """Nobody needs the images of a registry that is no more."""
    cache.remove(images.folder)
    engine = engines.obtain(lambda _step: None)
    for name in (images.node, f"{images.node}-base"):
        engine.docker("image", "rm", name)
    engines.stop()


def assert_as_pinned(cluster: str) -> None:
    argv = [sys.executable, "-m", "lab", "run", "tcp_mtls", "--cluster", cluster]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
