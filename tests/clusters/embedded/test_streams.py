"""kubectl's streams from the host: exec, attach, port-forward, cp, run, debug, logs."""

from __future__ import annotations

import datetime
import hashlib
import os
import re
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest
from kubectl import Kubectl
from person import Person
from terminal import COLUMNS, ROWS, Terminal

from clusters.embedded.cluster import Embedded
from clusters.stacks import assembly
from lab.common.wait import until

pytestmark = pytest.mark.cluster
NAMESPACE = "streams"
SYSTEM = "istio-system"
Argv = Callable[..., list[str]]

PODS = """
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  containers:
  - {name: app, image: lab/httpbin, workingDir: /tmp}
  - {name: second, image: lab/client}
  terminationGracePeriodSeconds: 0
---
apiVersion: v1
kind: Pod
metadata: {name: reader}
spec:
  containers:
  - {name: app, image: lab/client, stdin: true, command: [sh, -c, "echo begun; cat; echo ended"]}
  restartPolicy: Never
  terminationGracePeriodSeconds: 0
"""
SPEAKER = """
apiVersion: v1
kind: Pod
metadata: {name: speaker}
spec:
  containers:
  - name: app
    image: lab/client
    command: [sh, -c, "echo early; sleep 3; echo late; sleep 3; echo last; exec sleep 3600"]
  terminationGracePeriodSeconds: 0
"""


@pytest.fixture(scope="module", autouse=True)
def pods(kubectl: Kubectl) -> Iterator[None]:
    kubectl("create", "namespace", NAMESPACE)
    kubectl("apply", "-n", NAMESPACE, "-f", "-", stdin=PODS)
    kubectl("wait", "-n", NAMESPACE, "--for=condition=Ready", "pods", "--all", "--timeout=40s")
    yield
    kubectl("delete", "namespace", NAMESPACE, "--wait=false")


@pytest.fixture
def argv(cluster: Embedded) -> Argv:
    """A kubectl command, for where a test starts it itself."""
    own = [str(cluster.bin / "kubectl"), f"--kubeconfig={cluster.kubeconfig}", "-n", NAMESPACE]
    return lambda *words: [*own, *words]


def ran(argv: list[str], stdin: bytes | None = None) -> tuple[int, bytes, bytes]:
    done = subprocess.run(argv, input=stdin, capture_output=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


def ran_attached(argv: list[str]) -> tuple[int, bytes]:
    """Run a kubectl that attaches to a script, which waits for a line before it prints.

    An attachment sees only what is printed after it began, and ends with its client's input: so
    the input stays open until all is printed.
    """
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(b"go\n")
            process.stdin.flush()
            out = process.stdout.read()
            return process.wait(20), out
        finally:
            process.kill()


# exec


def test_a_commands_output_errors_and_code_come_apart(argv: Argv) -> None:
    words = ["exec", "web", "-c", "app", "--", "sh", "-c", "echo out; echo err >&2; exit 42"]
    code, out, err = ran(argv(*words))
    assert (code, out) == (42, b"out\n")
    assert err == b"err\ncommand terminated with exit code 42\n"


def test_without_a_container_the_first_is_taken_and_a_resource_can_be_named(argv: Argv) -> None:
    assert ran(argv("exec", "pod/web", "--", "cat", "/etc/hostname"))[1] == b"web\n"


def test_it_has_the_containers_user_environment_network_and_working_directory(argv: Argv) -> None:
    script = "id -u; pwd; cat /etc/hostname; hostname -I; echo $KUBERNETES_SERVICE_HOST"
    code, out, err = ran(argv("exec", "web", "-c", "app", "--", "sh", "-c", script))
    uid, folder, host, ip, service = out.decode().split()
    assert (code, folder, host, service, err) == (0, "/tmp", "web", "10.96.0.1", b"")
    assert int(uid) > 0
    assert ip.startswith("10.244.")


def test_a_program_or_a_container_that_is_not_there_is_told_by_its_name(argv: Argv) -> None:
    code, _, err = ran(argv("exec", "web", "--", "nothing-like-it"))
    assert code == 1
    assert b'exec: "nothing-like-it": executable file not found in $PATH' in err
    code, _, err = ran(argv("exec", "web", "--", "/nothing/like-it"))
    assert b'exec: "/nothing/like-it": stat /nothing/like-it: no such file or directory' in err
    code, _, err = ran(argv("exec", "web", "-c", "third", "--", "true"))
    assert (code, b"container third is not valid for pod web" in err) == (1, True)
    code, _, err = ran(argv("exec", "nobody", "--", "true"))
    assert (code, b'pods "nobody" not found' in err) == (1, True)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_command_that_a_signal_ends_has_a_shells_code(argv: Argv, number: int) -> None:
    assert ran(argv("exec", "web", "--", "sh", "-c", f"kill -{number} $$"))[0] == 128 + number


def test_stdin_ends_where_it_ends_and_bytes_stay_as_they_are(argv: Argv) -> None:
    data = os.urandom(3_000_000)
    code, out, _ = ran(argv("exec", "-i", "web", "--", "sh", "-c", "cat; echo end"), data)
    assert code == 0
    assert out == data + b"end\n"


def test_a_command_that_does_not_read_its_stdin_ends_at_once(argv: Argv) -> None:
    with subprocess.Popen(argv("exec", "-i", "web", "--", "echo", "x"), stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.read() == b"x\n"
        assert process.wait(10) == 0


def test_a_terminal_is_the_containers_own_and_its_users(argv: Argv) -> None:
    with Terminal(argv("exec", "-it", "web", "--", "sh")) as terminal:
        terminal.type("tty; stat -c '%u %a' $(tty); id -u; stty size; echo do''ne\n")
        shown = terminal.shows("done")
        assert re.search(r"/dev/pts/\d+\r\n(\d+) 6\d\d\r\n\1\r\n", shown), shown
        assert f"{ROWS} {COLUMNS}" in shown
        terminal.type("exit 5\n")
        assert terminal.ends() == 5


def test_a_resized_terminal_is_told(argv: Argv) -> None:
    with Terminal(argv("exec", "-it", "web", "--", "sh")) as terminal:
        terminal.type("trap 'stty size' WINCH; echo re''ady\n")
        terminal.shows("ready")
        terminal.resize(44, 111)
        os.kill(terminal.process.pid, signal.SIGWINCH)
        until(lambda: sized(terminal, 44, 111), "the new size", timeout=20, every=0.2)


def sized(terminal: Terminal, rows: int, columns: int) -> bool:
    terminal.type("stty size; echo as''ked\n")
    return f"{rows} {columns}" in terminal.shows("asked")


def test_ctrl_c_ends_the_command_and_not_the_shell(argv: Argv, in_pod: Callable[..., str]) -> None:
    with Terminal(argv("exec", "-it", "web", "--", "sh")) as terminal:
        terminal.type("sleep 97531\n")
        until(lambda: "97531" in processes(in_pod), "the command", timeout=20)
        terminal.type("\x03")
        terminal.type("echo al''ive\n")
        terminal.shows("alive")
        terminal.type("\x04")
        assert terminal.ends() == 0, "as of its last command"


def test_of_a_client_that_vanishes_no_process_is_left(
    argv: Argv, cluster: Embedded, in_pod: Callable[..., str]
) -> None:
    for words in (["exec"], ["exec", "-i"]):
        process = subprocess.Popen(
            argv(*words, "web", "--", "sh", "-c", "sleep 98765 & sleep 98765"),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until(lambda: "98765" in processes(in_pod), "the command", timeout=20)
        process.kill()
        process.communicate()
        until(lambda: "98765" not in processes(in_pod), "it to end", timeout=20)
    with Terminal(argv("exec", "-it", "web", "--", "sleep", "98765")) as terminal:
        until(lambda: "98765" in processes(in_pod), "the command", timeout=20)
        terminal.process.kill()
        until(lambda: "98765" not in processes(in_pod), "it to end", timeout=20)


def processes(in_pod: Callable[..., str]) -> str:
    return in_pod(NAMESPACE, "web", "sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")


def test_two_hundred_commands_at_once_all_answer(argv: Argv) -> None:
    def one(number: int) -> tuple[int, bytes]:
        return ran(argv("exec", "web", "--", "echo", str(number)))[:2]

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(one, range(200)))
    assert answers == [(0, f"{number}\n".encode()) for number in range(200)]


# cp


def test_files_and_folders_are_copied_both_ways(argv: Argv, tmp_path: Path) -> None:
    data = os.urandom(20_000_000)
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "file").write_bytes(data)
    assert ran(argv("cp", str(tmp_path / "there"), "web:/tmp/there", "-c", "app"))[0] == 0
    total = ran(argv("exec", "web", "-c", "app", "--", "sha256sum", "/tmp/there/file"))[1]
    assert total.decode().split()[0] == hashlib.sha256(data).hexdigest()
    assert ran(argv("cp", "web:/tmp/there/file", str(tmp_path / "back"), "-c", "app"))[0] == 0
    assert (tmp_path / "back").read_bytes() == data


# attach, run, debug


def test_what_is_typed_reaches_a_container_and_its_end_detaches(argv: Argv) -> None:
    """The container's own stdin stays open for the next client, as its spec has no stdinOnce."""
    for word in (b"hello\n", b"again\n"):
        with subprocess.Popen(
            argv("attach", "-i", "-q", "reader"), stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                process.stdin.write(word)
                process.stdin.flush()
                assert process.stdout.readline() == word
                process.stdin.close()
                assert process.wait(20) == 0
            finally:
                process.kill()
    assert ran(argv("logs", "reader"))[1] == b"begun\nhello\nagain\n"


def test_run_it_rm_is_a_terminal_and_leaves_no_pod(argv: Argv, kubectl: Kubectl) -> None:
    words = [
        "run",
        "-it",
        "--rm",
        "box",
        "--image=lab/client",
        "--restart=Never",
        "--command",
        "--",
        "sh",
    ]
    with Terminal(argv(*words)) as terminal:
        terminal.shows("If you don't see a command prompt")
        # kubectl tells a size that is one too large first, so that what is there is drawn anew.
        until(lambda: sized(terminal, ROWS, COLUMNS), "its size", timeout=20, every=0.2)
        terminal.type("exit 3\n")
        assert terminal.ends(40) == 3
    assert "not found" in kubectl.run("get", "pod", "box", "-n", NAMESPACE)[1]


def test_run_i_reads_stdin_to_its_end(argv: Argv) -> None:
    words = ["run", "-i", "--rm", "sums", "--image=lab/client", "--restart=Never", "--quiet"]
    words += ["--command", "--", "sh", "-c"]
    code, out, err = ran(argv(*words, "wc -c; echo end"), b"x" * 100_000)
    assert (code, out.split()) == (0, [b"100000", b"end"]), err


def test_debug_sees_the_processes_of_its_target(argv: Argv) -> None:
    words = ["debug", "web", "--image=lab/client", "--target=app", "-i", "--quiet", "--"]
    script = "read go; cat /proc/[0-9]*/cmdline | tr '\\0' ' '"
    code, out = ran_attached(argv(*words, "sh", "-c", script))
    assert code == 0
    assert b"gunicorn" in out


def test_debug_without_a_target_sees_its_own_alone(argv: Argv) -> None:
    words = ["debug", "web", "--image=lab/client", "-i", "--quiet", "--", "sh", "-c"]
    script = "read go; cat /proc/[0-9]*/cmdline | tr '\\0' ' '; hostname -I"
    code, out = ran_attached(argv(*words, script))
    assert code == 0
    assert b"gunicorn" not in out
    assert b"10.244." in out


# port-forward


@pytest.fixture
def forwarded(argv: Argv) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    with subprocess.Popen(argv("port-forward", "web", ":8080", ":1"), stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True) as process:  # fmt: skip
        assert process.stdout is not None
        found = re.search(r":(\d+) -> 8080", process.stdout.readline())
        assert found
        yield int(found.group(1)), process
        process.kill()


def test_a_forwarded_port_answers_and_many_at_once(
    forwarded: tuple[int, subprocess.Popen[str]],
) -> None:
    def get(number: int) -> bytes:
        with socket.create_connection(("127.0.0.1", forwarded[0]), 20) as link:
            link.sendall(f"GET /bytes/100000?seed={number} HTTP/1.0\r\n\r\n".encode())
            link.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: link.recv(65536), b""))

    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(get, range(40)))
    assert all(answer.startswith(b"HTTP/1.0 200") for answer in answers)
    assert {len(answer.partition(b"\r\n\r\n")[2]) for answer in answers} == {100_000}


def test_a_client_that_connects_and_says_nothing_harms_nobody(
    forwarded: tuple[int, subprocess.Popen[str]],
) -> None:
    for _ in range(3):
        socket.create_connection(("127.0.0.1", forwarded[0]), 20).close()
    with socket.create_connection(("127.0.0.1", forwarded[0]), 20) as link:
        link.sendall(b"GET /status/204 HTTP/1.0\r\n\r\n")
        assert link.recv(100).startswith(b"HTTP/1.0 204")
    assert forwarded[1].poll() is None


def test_a_forwarded_port_at_which_nobody_listens_says_so(
    forwarded: tuple[int, subprocess.Popen[str]],
) -> None:
    _, process = forwarded
    assert process.stdout is not None
    told = iter(process.stdout.readline, "")
    found = next(filter(None, (re.search(r"127\.0\.0\.1:(\d+) -> 1\b", line) for line in told)))
    with socket.create_connection(("127.0.0.1", int(found.group(1))), 20) as link:
        assert link.recv(100) == b""
    assert any("connection refused" in line for line in told)


# logs


def test_logs_since_tail_timestamps_and_limit(argv: Argv, kubectl: Kubectl) -> None:
    def logs(*words: str) -> str:
        return ran(argv("logs", "speaker", *words))[1].decode()

    kubectl("apply", "-n", NAMESPACE, "-f", "-", stdin=SPEAKER)
    until(lambda: "last" in logs(), "the last line", timeout=40, every=0.1)
    assert logs("--since=2s") == "last\n"
    assert logs() == "early\nlate\nlast\n"
    assert logs("--tail=2") == "late\nlast\n"
    assert logs("--limit-bytes=3") == "ear"
    lines = [line.split(" ") for line in logs("--timestamps").splitlines()]
    assert [line[1] for line in lines] == ["early", "late", "last"]
    moments = [datetime.datetime.fromisoformat(line[0]) for line in lines]
    between = [(later - first).total_seconds() for first, later in pairwise(moments)]
    assert between == pytest.approx([3, 3], abs=1.2)
    assert logs(f"--since-time={lines[1][0]}").endswith("last\n")
    assert logs("--since=1h") == "early\nlate\nlast\n"


# Who gets in


def test_a_pod_does_not_reach_it(in_pod: Callable[..., str]) -> None:
    for host in ("10.244.0.1", "127.0.0.1"):
        said = in_pod(NAMESPACE, "web", "curl", "-sSk", "-m", "5", f"https://{host}:10250/pods")
        assert "Failed to connect" in said, said


SIGN = "openssl req -x509 -newkey rsa:2048 -nodes -keyout /tmp/k -out /tmp/c -days 1 -subj"


@pytest.mark.parametrize(
    ("before", "shown", "status"),
    [
        ("", "", "401"),
        (f"{SIGN} /O=system:masters/CN=me 2>/dev/null;", "--cert /tmp/c --key /tmp/k", "401"),
        ("", "--cert /run/lab/pki/kubelet.crt --key /run/lab/pki/kubelet.key", "403"),
        (
            "",
            "--cert /run/lab/pki/apiserver-kubelet-client.crt"
            " --key /run/lab/pki/apiserver-kubelet-client.key",
            "404",
        ),
    ],
    ids=["no certificate", "a foreign certificate", "one of the cluster's", "the API server's"],
)
def test_on_the_node_itself_it_asks_who_comes_and_whether_he_may(
    argv: Argv, before: str, shown: str, status: str
) -> None:
    url = f"https://127.0.0.1:10250/exec/{NAMESPACE}/nobody/app?command=id&output=1"
    script = f"{before} curl -sk -X POST -o /dev/null -w '%{{http_code}}' {shown} '{url}'"
    code, out, err = ran(argv("exec", "-n", SYSTEM, "deploy/istiod", "--", "sh", "-c", script))
    assert (code, out.decode()) == (0, status), err


def test_who_may_not_exec_is_refused_by_the_api_server(argv: Argv) -> None:
    account = f"--as=system:serviceaccount:{NAMESPACE}:default"
    code, _, err = ran(argv(account, "exec", "web", "--", "id"))
    assert code == 1
    assert b"is forbidden" in err


def test_an_ordinary_users_kubectl_streams_too(person: Person) -> None:
    assembly.wanted("1.31").ensure(lambda _line: None)
    _, told = person.lab("doctor")
    if "MISSING  user namespace" in told:
        pytest.skip("this kernel refuses namespaces to an ordinary user")
    script = """
set -e
kubectl run box --image=lab/client --labels=app=box >/dev/null
kubectl wait --for=condition=Ready pod/box --timeout=40s >/dev/null
echo streamed | kubectl exec -i box -- sh -c 'id -u; cat'
kubectl exec box -- sh -c 'exit 9' || echo ended with $?
head -c 1000000 /dev/zero > $TMPDIR/zeros
kubectl cp $TMPDIR/zeros box:/tmp/zeros
kubectl exec box -- wc -c /tmp/zeros
"""
    path = person.top / "tmp" / "script"
    path.write_text(f"#!/bin/sh\n{script}")
    path.chmod(0o755)
    person.lab("up")
    try:
        code, said = person.lab("shell", SHELL=f"{path}")
        assert code == 0, said
        assert "streamed" in said
        assert "ended with 9" in said
        assert "1000000 /tmp/zeros" in said
    finally:
        person.lab("down")
