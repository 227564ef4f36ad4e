"""One container as a process: a private root made by bubblewrap in the pod's network."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from clusters.embedded.kubelet.environment import expand
from clusters.embedded.kubelet.images import Rootfs
from clusters.embedded.kubelet.streams import Streams
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
    beside: int = 0
    """A process whose pid namespace it joins, instead of one of its own."""

    @property
    def working_folder(self) -> str:
        """Return the folder in which its commands start."""
        return str(self.spec.get("workingDir") or "/")

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


@dataclass(frozen=True)
class Inside:
    """How a running container is entered, and where it reads from."""

    enter: list[str]
    """The command that runs what follows it inside."""
    env: Mapping[str, str]
    pid: int
    """A process inside, of which /proc shows its files."""
    uid: int
    stdin: str = ""
    """A named pipe; empty where it reads nothing."""
    stdin_once: bool = False
    tty: bool = False


class Container:
    """A started container. Its first process is bubblewrap's; when it ends, all of it ends."""

    def __init__(self, plan: Plan, log: Path) -> None:
        self.plan = plan
        (read, write), (wait, go) = os.pipe(), os.pipe()
        self.streams = Streams(plan.spec, log)
        stdin, stdout, stderr = self.streams.files
        command = self.streams.wrapped(plan.argv)
        self.process = subprocess.Popen(
            [*_enter(plan), *_bwrap(plan, write, wait), *_as_user(plan), *command],
            env=plan.env,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            pass_fds=[write, wait],
            start_new_session=True,
        )
        os.close(write)
        os.close(wait)
        self.inner_pid = self._inner_pid(read)
        os.close(read)
        os.close(go)  # the command begins
        self.streams.begin(self.inner_pid, plan.uid)

    def _inner_pid(self, told: int) -> int:
        """Return the process by which the container is entered, as the node counts; 0: none.

        told: where bubblewrap says it, as JSON. It does not end, as others have it open too.
        """
        answer = b""
        while b"}" not in answer:
            more = os.read(told, 4096)
            if not more:
                return 0
            answer += more
        if not self.plan.beside:
            return int(json.loads(answer)["child-pid"])
        # It is told as the joined pid namespace counts; here it is the child of bubblewrap's.
        for bwrap in _children(self.process.pid):
            return next(iter(_children(bwrap)), 0)
        return 0

    def wait(self) -> int:
        """Return its exit code once it has ended, as a shell would: 137 of SIGKILL."""
        code = self.process.wait()
        self.streams.close()
        return code if code >= 0 else 128 - code

    def signal(self, number: signal.Signals) -> None:
        """Tell the application, as a runtime tells a container's first process."""
        # In a pid namespace of its own, bubblewrap is the first process, and does not pass it on.
        pids = [self.inner_pid] if self.plan.beside else _children(self.inner_pid)
        for pid in pids:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass

    def kill(self) -> None:
        """End everything in it."""
        if self.process.poll() is None:
            self.process.kill()

    @property
    def inside(self) -> Inside:
        """Return how one more command is run in this container, from the node."""
        plan, pid = self.plan, self.inner_pid
        target = ["--target", str(pid), "--mount", "--pid", "--net", "--ipc", "--uts"]
        # Named from outside, since nsenter opens it before it enters.
        place = f"--wd=/proc/{pid}/root{plan.working_folder}"
        return Inside(
            enter=[_tool("nsenter"), *target, place, "--", *_with_rights(plan)],
            env=plan.env,
            pid=pid,
            uid=plan.uid,
            stdin=str(self.streams.stdin or ""),
            stdin_once=bool(plan.spec.get("stdinOnce")),
            tty=bool(plan.spec.get("tty")),
        )


def _children(pid: int) -> list[int]:
    try:
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _tool(name: str) -> str:
    path = shutil.which(name, path=private_path())
    if path is None:
        raise FileNotFoundError(f"{name} is missing; istio-lab doctor")
    return path


def _enter(plan: Plan) -> list[str]:
    network = [_tool("nsenter"), f"--net={NETNS / plan.netns}"]
    if not plan.beside:
        return [*network, "--"]
    # bubblewrap looks itself up in /proc, which must be that of the pid namespace it is in.
    fresh_proc = [_tool("unshare"), "--mount-proc", "--"]
    return [*network, f"--target={plan.beside}", "--pid", "--", *fresh_proc]


def _with_rights(plan: Plan) -> list[str]:
    """Return what gives a command that enters the container its user, and no more rights."""
    if plan.uid:
        return _as_user(plan)
    kept = ["-all", *(f"+{name.lower()}" for name in _kept_capabilities(plan))]
    return [_tool("setpriv"), "--inh-caps=-all", f"--bounding-set={','.join(kept)}", "--"]


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


def _bwrap(plan: Plan, info_fd: int, block_fd: int) -> list[str]:
    argv = [_tool("bwrap"), "--die-with-parent", "--unshare-ipc"]
    argv += [] if plan.beside else ["--unshare-pid"]
    argv += ["--unshare-uts", "--hostname", (plan.etc / "hostname").read_text().strip()]
    argv += ["--info-fd", str(info_fd), "--block-fd", str(block_fd), *_capabilities(plan)]
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
    return [*argv, "--chdir", plan.working_folder, "--"]


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
    for_setpriv = ["SETUID", "SETGID", "SETPCAP"]  # gone with uid 0
    argv = ["--cap-drop", "ALL"]
    for name in for_setpriv if plan.uid else _kept_capabilities(plan):
        argv += ["--cap-add", f"CAP_{name}"]
    return argv


def _kept_capabilities(plan: Plan) -> list[str]:
    """Return the capabilities of a container that runs as root."""
    asked = (plan.spec.get("securityContext") or {}).get("capabilities") or {}
    kept = [] if "ALL" in asked.get("drop", []) else list(DEFAULT_CAPABILITIES)
    return kept + [name for name in asked.get("add", []) if name not in kept]


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
