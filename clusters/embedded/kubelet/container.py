"""One container as a process: a private root made by bubblewrap in the pod's network."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from clusters.embedded.kubelet.environment import expand
from clusters.embedded.kubelet.images import Rootfs
from clusters.embedded.network import NETNS
from clusters.embedded.settings import private_path
from clusters.kube import Obj

# What containerd gives a container that asks for nothing (as root; another uid has none).
DEFAULT_CAPABILITIES = ["CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "MKNOD", "NET_RAW"]
DEFAULT_CAPABILITIES += ["SETGID", "SETUID", "SETFCAP", "SETPCAP", "NET_BIND_SERVICE"]
DEFAULT_CAPABILITIES += ["SYS_CHROOT", "KILL", "AUDIT_WRITE"]
SYSTEM = ["/etc/alternatives", "/etc/ssl", "/etc/ld.so.cache", "/etc/protocols"]
SYSTEM += ["/etc/services", "/etc/ethertypes", "/etc/mime.types"]


@dataclass(frozen=True)
class Plan:
    """Everything that starting a container needs, worked out beforehand."""

    name: str
    netns: str
    etc: Path
    """The pod's own hosts, resolv.conf, passwd, group, nsswitch.conf, hostname."""
    rootfs: Rootfs
    spec: Obj
    uid: int
    gid: int
    env: dict[str, str]
    mounts: tuple[tuple[str, str, bool], ...]
    """(path outside, path inside, read-only), by path inside."""

    @property
    def argv(self) -> list[str]:
        """Return the command as Kubernetes composes it: command replaces, args follow."""
        command = self.spec.get("command") or list(self.rootfs.entrypoint)
        return [expand(word, self.env) for word in [*command, *self.spec.get("args", [])]]


def user_of(pod: Obj, spec: Obj, rootfs: Rootfs) -> tuple[int, int]:
    """Return uid and gid: of the container's securityContext, else the pod's, else the image's."""
    inner = spec.get("securityContext") or {}
    outer = pod["spec"].get("securityContext") or {}
    uid = inner.get("runAsUser", outer.get("runAsUser", rootfs.uid))
    gid = inner.get("runAsGroup", outer.get("runAsGroup", uid or 0))
    return int(uid), int(gid)


class Container:
    """A started container. Its first process is bubblewrap's; when it ends, all of it ends."""

    def __init__(self, plan: Plan, log: Path) -> None:
        self.plan = plan
        read, write = os.pipe()
        with log.open("ab") as output:
            # Envoy opens /dev/stdout anew, as its own uid.
            os.fchmod(output.fileno(), 0o666)
            self.process = subprocess.Popen(
                [*_enter(plan.netns), *_bwrap(plan, write), *_as_user(plan), *plan.argv],
                env=plan.env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=[write],
                start_new_session=True,
            )
        os.close(write)
        with os.fdopen(read) as told:
            answer = told.read()
        self.inner_pid = int(json.loads(answer)["child-pid"]) if answer else 0

    def signal(self, number: signal.Signals) -> None:
        """Tell the application, as a runtime tells a container's first process."""
        for pid in self._children():
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass

    def kill(self) -> None:
        """End everything in it."""
        if self.process.poll() is None:
            self.process.kill()

    def _children(self) -> list[int]:
        path = Path(f"/proc/{self.inner_pid}/task/{self.inner_pid}/children")
        try:
            return [int(pid) for pid in path.read_text().split()]
        except OSError:
            return []

    def exec_argv(self, argv: Sequence[str]) -> list[str]:
        """Return how to run one more command in this container, from the node."""
        target = ["--target", str(self.inner_pid), "--mount", "--pid", "--net", "--ipc", "--uts"]
        return [_tool("nsenter"), *target, "--wd=/", "--", *_as_user(self.plan), *argv]


def _tool(name: str) -> str:
    path = shutil.which(name, path=private_path())
    if path is None:
        raise FileNotFoundError(f"{name} is missing; python3 -m lab doctor")
    return path


def _enter(netns: str) -> list[str]:
    return [_tool("nsenter"), f"--net={NETNS / netns}", "--"]


def _as_user(plan: Plan) -> list[str]:
    if plan.uid == 0:
        return []
    # Leaving uid 0 drops every capability; nothing is left to inherit.
    return [
        _tool("setpriv"),
        f"--reuid={plan.uid}",
        f"--regid={plan.gid}",
        "--clear-groups",
        "--inh-caps=-all",
        "--no-new-privs",
        "--",
    ]


def _bwrap(plan: Plan, info_fd: int) -> list[str]:
    argv = [_tool("bwrap"), "--die-with-parent", "--unshare-pid", "--unshare-ipc"]
    argv += ["--unshare-uts", "--hostname", (plan.etc / "hostname").read_text().strip()]
    argv += ["--info-fd", str(info_fd), *_capabilities(plan)]
    argv += ["--proc", "/proc", "--dev", "/dev", "--perms", "1777", "--tmpfs", "/tmp"]
    argv += ["--perms", "0755", "--tmpfs", "/run", "--perms", "0755", "--dir", "/var/run"]
    argv += ["--ro-bind", "/usr", "/usr", *_usr_links(), "--perms", "0755", "--dir", "/etc"]
    for path in SYSTEM:
        argv += ["--ro-bind-try", path, path]
    for own in sorted(plan.etc.iterdir()):
        argv += ["--ro-bind", str(own), f"/etc/{own.name}"]
    binds = [(*bind, True) for bind in plan.rootfs.binds]
    for outside, inside, read_only in sorted([*binds, *plan.mounts], key=lambda m: m[1]):
        argv += [*_parents(inside), "--ro-bind" if read_only else "--bind", outside, inside]
    return [*argv, "--chdir", plan.spec.get("workingDir", "/"), "--"]


def _parents(path: str) -> list[str]:
    # bubblewrap makes missing parents 0700: another uid could then not pass.
    parents = [str(p) for p in reversed(Path(path).parents) if str(p) != "/"]
    return [word for parent in parents for word in ("--perms", "0755", "--dir", parent)]


def _usr_links() -> list[str]:
    argv: list[str] = []
    for name in ("/bin", "/sbin", "/lib", "/lib64", "/lib32"):
        if Path(name).is_symlink():
            argv += ["--symlink", os.readlink(name), name]
        elif Path(name).is_dir():
            argv += ["--ro-bind", name, name]
    return argv


def _capabilities(plan: Plan) -> list[str]:
    if plan.uid:
        kept = ["SETUID", "SETGID", "SETPCAP"]  # for setpriv only; gone with uid 0
    else:
        asked = (plan.spec.get("securityContext") or {}).get("capabilities") or {}
        kept = [] if "ALL" in asked.get("drop", []) else list(DEFAULT_CAPABILITIES)
        kept += [name for name in asked.get("add", []) if name not in kept]
    argv = ["--cap-drop", "ALL"]
    for name in kept:
        argv += ["--cap-add", f"CAP_{name}"]
    return argv


def write_etc(folder: Path, pod: Obj, pod_ip: str, dns: str, domain: str, uids: set[int]) -> None:
    """Write the files below /etc that belong to a pod."""
    folder.mkdir(parents=True)
    meta, spec = pod["metadata"], pod["spec"]
    host = spec.get("hostname") or meta["name"]
    search = f"{meta['namespace']}.svc.{domain} svc.{domain} {domain}"
    aliases = "".join(
        f"{alias['ip']}\t{' '.join(alias['hostnames'])}\n" for alias in spec.get("hostAliases", [])
    )
    names = {0: "root", 1337: "istio-proxy", 65534: "nobody"}
    users = {uid: names.get(uid, f"user{uid}") for uid in {0, 65534, *uids}}
    files = {
        "hosts": f"127.0.0.1\tlocalhost\n{pod_ip}\t{host}\n{aliases}",
        "hostname": f"{host}\n",
        "resolv.conf": f"search {search}\nnameserver {dns}\noptions ndots:5\n",
        "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
        "passwd": "".join(f"{n}:x:{u}:{u}::/tmp:/bin/sh\n" for u, n in sorted(users.items())),
        "group": "".join(f"{n}:x:{u}:\n" for u, n in sorted(users.items())),
    }
    for name, text in files.items():
        (folder / name).write_text(text)
