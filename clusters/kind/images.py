"""The built images, of Go modules, PyPI and Debian packages: no registry and no engine needed."""

from __future__ import annotations

import json
import re
import shutil
import tarfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from clusters.base import Progress, Stack
from clusters.kind import debian
from clusters.kind.archive import Image, Layer, layer, save
from clusters.kind.preload import NodeImage
from clusters.kind.workload_images import LOCK, PATH, TOOLS, workloads
from clusters.stacks import assembly, binaries, cache
from lab.common import shell

HUB = "docker.io/istio"
HERE = Path(__file__).parent
_OURS = ("images.py", "workload_images.py", "archive.py", "debian.py", "preload.py")
INPUTS = (*(HERE / name for name in _OURS), *sorted(TOOLS.iterdir()), LOCK)
"""Files of ours that go into any node image."""
POD_PACKAGES = ("iptables", "iproute2", "ca-certificates", "curl", "python3", "kmod", "nginx")
NODE_PACKAGES = (
    *("systemd", "systemd-sysv", "conntrack", "iptables", "nftables", "iproute2", "ethtool"),
    *("util-linux", "mount", "kmod", "procps", "ca-certificates", "jq", "socat"),
    *("runc", "containernetworking-plugins"),
)
# As kind's own Dockerfile does (images/base/Dockerfile of its module): no unit but ours starts.
NODE_HOOK = """set -e
cd $1
find lib/systemd/system/sysinit.target.wants -name systemd-tmpfiles-setup.service -delete
rm -f lib/systemd/system/multi-user.target.wants/* lib/systemd/system/local-fs.target.wants/*
rm -f lib/systemd/system/basic.target.wants/* etc/systemd/system/*.wants/*
cd lib/systemd/system/sockets.target.wants; rm -f *udev* *initctl*; cd $1
echo ReadKMsg=no >> etc/systemd/journald.conf
: > etc/machine-id
"""
STORAGE = """apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: standard, annotations: {storageclass.kubernetes.io/is-default-class: "true"}}
provisioner: kubernetes.io/no-provisioner
volumeBindingMode: WaitForFirstConsumer
"""


def sources(stack: str) -> list[binaries.Source]:
    """Return the sets of programs in the images: the mesh's, kind's, the nodes' runtime's."""
    return [binaries.source(name) for name in (stack, f"{stack}-kind", "containerd")]


@dataclass(frozen=True)
class Programs:
    """Everything built of Go modules that images are made of."""

    mesh: binaries.Binaries
    kind: Path
    runtime: Path

    @classmethod
    def located(cls, stack: str) -> Programs:
        """Return where the programs are, or would be."""
        mesh = assembly.wanted(stack)
        programs = binaries.Binaries(mesh.folder, mesh.stack)
        return cls(programs, *(source.target for source in sources(stack)[1:]))

    @classmethod
    def ensure(cls, stack: str, progress: Progress) -> Programs:
        """Build what is not built yet."""
        for source in sources(stack):
            binaries.build(source, progress)
        return cls.located(stack)

    def bin(self, name: str) -> Path:
        """Return where a program lies."""
        folders = (self.kind, self.runtime, self.mesh.folder)
        return next(path for path in (one / "bin" / name for one in folders) if path.exists())


class Built(NodeImage):
    """The images of one stack."""

    def __init__(self, programs: Programs, progress: Progress) -> None:
        super().__init__(progress)
        self._programs = programs

    @property
    def stack(self) -> Stack:
        origin = "images built from Go modules, PyPI and Debian packages"
        return replace(self._programs.mesh.stack, origin=origin)

    @property
    def bin(self) -> Path:
        return self._programs.mesh.bin

    def program(self, name: str) -> Path:
        return self._programs.bin(name)

    @cached_property
    def folder(self) -> Path:
        """Return where the archives are kept: named by everything that goes into them."""
        p = self._programs
        parts = [f"{folder.name}".encode() for folder in (p.mesh.folder, p.kind, p.runtime)]
        parts += [path.read_bytes() for path in (HERE / "kindnet.sh", *INPUTS)]
        parts.append("\n".join(debian.sources()).encode())
        return cache.root() / f"images-{cache.key(*parts)}"

    def _make(self, folder: Path) -> None:
        """Make the images. Raises LabError naming a program that is not what was built."""
        for programs in (self._programs.mesh.folder, self._programs.kind, self._programs.runtime):
            cache.verify(programs)
        self._progress("building images from Debian packages, PyPI and Go modules")
        work = folder / "work"
        work.mkdir()
        with ThreadPoolExecutor() as pool:
            node = pool.submit(debian.rootfs, NODE_PACKAGES, work / "node.tar", NODE_HOOK)
            debian.rootfs(POD_PACKAGES, work / "pod.tar")
            pod = Layer.from_file(work / "pod.tar")
            save(self._images(pod, work), folder / "images.tar")
            node.result()
        save([self._node_base(Layer.from_file(work / "node.tar"), work)], folder / "node.tar")
        listed = {name: _installed(work / name) for name in ("pod.tar", "node.tar")}
        (folder / "packages.json").write_text(json.dumps(listed, indent=1))
        shutil.rmtree(work)

    def _images(self, pod: Layer, work: Path) -> list[Image]:
        own = workloads(pod, self._programs.bin, work)
        return [*self._kubernetes(pod, work), *self._istio(pod, work), *own]

    def _kubernetes(self, pod: Layer, work: Path) -> list[Image]:
        """Return Kubernetes' images, under the names that kubeadm, containerd and kind look for."""
        version = self._programs.mesh.stack.kubernetes
        argv = [str(self._programs.bin("kubeadm")), "config", "images", "list"]
        listed = shell.run([*argv, "--kubernetes-version", version], cwd=work).split()
        images = []
        for asked in listed:
            program = asked.rpartition("/")[2].partition(":")[0]
            name = _sandbox(self._programs) if program == "pause" else asked
            place = {"pause": "/pause", "coredns": "/coredns"}.get(program)
            files = {place or f"/usr/local/bin/{program}": self._programs.bin(program)}
            own = layer(files, work / f"{program}.layer.tar")
            below = (pod,) if program == "kube-proxy" else ()
            entry: tuple[str, ...] = (place,) if place else ()
            images.append(Image(name, (*below, own), entry, env={"PATH": PATH}))
        files = {
            "/usr/local/bin/kubectl": self._programs.bin("kubectl"),
            "/usr/local/bin/kindnet.sh": HERE / "kindnet.sh",
        }
        network = layer(files, work / "kindnet.layer.tar")
        entry = ("/bin/sh", "/usr/local/bin/kindnet.sh")
        return [*images, Image(_network(self._programs), (pod, network), entry, env={"PATH": PATH})]

    def _istio(self, pod: Layer, work: Path) -> list[Image]:
        """Return Istio's images, under the names of its official ones."""
        tag = self._programs.mesh.stack.istio
        bootstrap = self._programs.mesh.share / "envoy_bootstrap.json"
        programs = {
            "pilot": ("pilot-discovery",),
            "proxyv2": ("pilot-agent", "envoy"),
            "install-cni": ("install-cni", "istio-cni"),
        }
        images = []
        for name, inside in programs.items():
            files: dict[str, Path | str | bytes] = {
                f"/usr/local/bin/{program}": self._programs.bin(program) for program in inside
            }
            if name == "proxyv2":
                files["/var/lib/istio/envoy/envoy_bootstrap_tmpl.json"] = bootstrap
            if name == "install-cni":
                files = {
                    "/usr/local/bin/install-cni": self._programs.bin("install-cni"),
                    "/opt/cni/bin/istio-cni": self._programs.bin("istio-cni"),
                }
            own = layer(files, work / f"{name}.layer.tar")
            entry = (f"/usr/local/bin/{inside[0]}",)
            user = "" if name == "install-cni" else "1337:1337"
            images.append(Image(f"{HUB}/{name}:{tag}", (pod, own), entry, user, {"PATH": PATH}))
        return images

    def _node_base(self, rootfs: Layer, work: Path) -> Image:
        """Return the node's image before Kubernetes' own images are loaded into it."""
        own = layer(self._node_files(work), work / "node.layer.tar")
        return Image(
            f"{self.node}-base",
            (rootfs, own),
            ("/usr/local/bin/entrypoint", "/sbin/init"),
            env={"PATH": PATH, "container": "docker"},
            stop_signal="SIGRTMIN+3",
        )

    def _node_files(self, work: Path) -> dict[str, Path | str | bytes]:
        """Return what a node has beside its packages, as kind's own image has it."""
        staged = work / "staged"
        share, units = self._programs.kind / "share" / "files", "/etc/systemd/system"
        for name in ("kind", "etc"):
            shutil.copytree(share / name, staged / name)
        for script in (staged / "kind" / "bin").iterdir():
            script.chmod(0o755)
        config = staged / "etc" / "containerd" / "config.toml"
        # Where the host's root lacks CAP_SYS_RESOURCE no process may lower its own score.
        relaxed = "restrict_oom_score_adj = true"
        config.write_text(re.sub(r"restrict_oom_score_adj = false", relaxed, config.read_text()))
        entrypoint = staged / "entrypoint"
        shutil.copy(share / "usr/local/bin/entrypoint", entrypoint)
        entrypoint.chmod(0o755)
        bin_of = self._programs.bin
        return {
            "/kind": staged / "kind",
            **{f"/etc/{path.name}": path for path in (staged / "etc").iterdir()},
            "/etc/containerd/cri-base.json": self._container_spec(work),
            "/kind/version": self._programs.mesh.stack.kubernetes.encode(),
            "/kind/manifests/default-cni.yaml": _cni_manifest(self._programs).encode(),
            "/kind/manifests/default-storage.yaml": STORAGE.encode(),
            "/usr/local/bin/entrypoint": entrypoint,
            **{f"/usr/bin/{name}": bin_of(name) for name in ("kubeadm", "kubelet", "kubectl")},
            **{
                f"/usr/local/bin/{name}": bin_of(name)
                for name in ("containerd", "containerd-shim-runc-v2", "ctr")
            },
            **{
                f"/opt/cni/bin/{name}": f"/usr/lib/cni/{name}"
                for name in ("host-local", "loopback", "ptp", "portmap")
            },
            **{
                f"{units}/multi-user.target.wants/{name}.service": f"{units}/{name}.service"
                for name in ("kubelet", "containerd", "undo-mount-hacks")
            },
            f"{units}/systemd-binfmt.service": "/dev/null",
        }

    def _container_spec(self, work: Path) -> bytes:
        """Return what containerd starts containers by: ctr's default, with kind's hook."""
        spec = json.loads(shell.run([str(self._programs.bin("ctr")), "oci", "spec"], cwd=work))
        spec["hooks"] = {"createContainer": [{"path": "/kind/bin/mount-product-files.sh"}]}
        del spec["process"]["rlimits"]
        return json.dumps(spec).encode()


def _installed(rootfs: Path) -> list[str]:
    """Return `name version` of each package."""
    with tarfile.open(rootfs) as archive:
        status = archive.extractfile("./var/lib/dpkg/status")
        assert status
        text = status.read().decode()
    packages = [dict(re.findall(r"^(\w+): (.+)$", one, re.MULTILINE)) for one in text.split("\n\n")]
    return [f"{one['Package']} {one['Version']}" for one in packages if one]


def _sandbox(programs: Programs) -> str:
    """Return the name under which containerd starts pods' sandboxes."""
    text = (programs.kind / "share/files/etc/containerd/config.toml").read_text()
    found = re.search(r'sandbox_image = "(.+)"', text)
    assert found
    return found.group(1)


def _network(programs: Programs) -> str:
    """Return the name of the network's image in kind's manifest."""
    found = re.search(r'kindnetdImage = "(.+)"', _cni_source(programs))
    assert found
    return found.group(1)


def _cni_source(programs: Programs) -> str:
    return (programs.kind / "share/const_cni.go").read_text()


def _cni_manifest(programs: Programs) -> str:
    """Return kind's manifest of its network, as its node images hold it."""
    text = _cni_source(programs).partition("defaultCNIManifest = `")[2]
    whole = text.replace("` + kindnetdImage + `", _network(programs))
    return whole.partition("`")[0]
