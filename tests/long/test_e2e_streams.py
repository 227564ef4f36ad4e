"""What Kubernetes' own end-to-end tests ask of exec, attach, port-forward, cp, run and debug.

Each test is named by the case that it repeats: in test/e2e of kubernetes/kubernetes, kubectl.go,
exec.go, portforward.go, debug.go and pods.go, and server_test.go of k8s.io/cri-streaming. The same
on the embedded cluster and on kind.
"""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import kubernetes
import pytest
import websocket
from kubectl import Kubectl
from kubernetes.stream import stream
from kubernetes.stream.ws_client import WSClient

from clusters.base import OwnCluster
from lab.common.wait import until

NAMESPACE = "e2e-streams"
PODS = """
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  containers:
  - {name: app, image: "lab/httpbin:1"}
  terminationGracePeriodSeconds: 0
"""
SERVER = """
import socket, sys
bind, expected, chunks = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
link = socket.create_server((bind, 80)).accept()[0]
print("Accepted client connection", flush=True)
read = link.recv(expected) if expected else b""
if len(read) < expected:
    print(f"Expected to read {expected} bytes from client, but got {len(read)} instead", flush=True)
    sys.exit()
print("Received expected client data", flush=True)
for _ in range(chunks):
    link.sendall(b"x" * 10)
link.shutdown(socket.SHUT_WR)
while link.recv(100):
    pass
print("Done", flush=True)
"""
CLUSTERS = [
    pytest.param("cluster", id="embedded", marks=pytest.mark.cluster),
    pytest.param("kind_cluster", id="kind", marks=pytest.mark.kind),
]
pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]
Argv = Callable[..., list[str]]


@pytest.fixture(params=CLUSTERS)
def own(request: pytest.FixtureRequest) -> OwnCluster:
    found: OwnCluster = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="module")
def deployed() -> Iterator[dict[str, Kubectl]]:
    """The clusters on which the pods are."""
    made: dict[str, Kubectl] = {}
    yield made
    for kubectl in made.values():
        kubectl("delete", "namespace", NAMESPACE)


@pytest.fixture
def kubectl(own: OwnCluster, deployed: dict[str, Kubectl]) -> Kubectl:
    if own.name not in deployed:
        deployed[own.name] = kubectl = Kubectl(own)
        kubectl("create", "namespace", NAMESPACE)
        kubectl("apply", "-n", NAMESPACE, "-f", "-", stdin=PODS)
        kubectl("wait", "-n", NAMESPACE, "--for=condition=Ready", "pods", "--all", "--timeout=60s")
    return deployed[own.name]


@pytest.fixture
def argv(own: OwnCluster, kubectl: Kubectl) -> Argv:
    program = [str(own.bin / "kubectl"), f"--kubeconfig={own.kubeconfig}", "-n", NAMESPACE]
    return lambda *words: [*program, *words]


@pytest.fixture
def api(own: OwnCluster, kubectl: Kubectl) -> kubernetes.client.CoreV1Api:
    """The Python client: its streams are WebSockets, which go on to the kubelet as they are."""
    return kubernetes.client.CoreV1Api(
        kubernetes.config.new_client_from_config(str(own.kubeconfig))
    )


def ran(argv: list[str], stdin: bytes = b"", **more: str) -> tuple[int, bytes, bytes]:
    done = subprocess.run(
        argv, input=stdin, capture_output=True, timeout=120, env={**os.environ, **more}
    )
    return done.returncode, done.stdout, done.stderr


def logs_until(argv: Argv, pod: str, wanted: bytes) -> bytes:
    until(lambda: wanted in ran(argv("logs", pod))[1], f"{wanted!r} in {pod}'s log", timeout=60)
    return ran(argv("logs", pod))[1]


def run(name: str, *options: str, restart: str = "Never", script: str) -> list[str]:
    """Return the words of a `kubectl run` of a script."""
    words = ["run", name, "--image=lab/client:1", f"--restart={restart}", *options]
    return [*words, "--command", "--", "/bin/sh", "-c", script]


# Kubectl client, Simple pod


def test_should_support_exec(argv: Argv) -> None:
    assert ran(argv("exec", "web", "--", "echo", "running in container"))[1] == (
        b"running in container\n"
    )
    assert ran(argv("exec", "-i", "web", "--", "cat"), b"abcd1234")[1] == b"abcd1234"
    much = os.urandom(20_000_000)
    assert ran(argv("exec", "-i", "web", "--", "cat"), much)[1] == much


def test_should_support_exec_using_resource_name(argv: Argv) -> None:
    assert ran(argv("exec", "pod/web", "--", "echo", "here"))[1] == b"here\n"


def test_should_support_exec_through_kubectl_proxy(argv: Argv) -> None:
    with subprocess.Popen(
        argv("proxy", "-p", "0", "--disable-filter"), stdout=subprocess.PIPE, text=True
    ) as proxy:
        assert proxy.stdout is not None
        try:
            address = proxy.stdout.readline().split()[-1]
            words = argv("exec", "web", "--", "echo", "here")
            assert ran([*words[:1], f"--server=http://{address}", *words[2:]])[1] == b"here\n"
        finally:
            proxy.kill()


class _Tunnel(http.server.BaseHTTPRequestHandler):
    """An HTTP proxy that knows CONNECT alone."""

    def do_CONNECT(self) -> None:
        host, _, port = self.path.rpartition(":")
        assert isinstance(self.server, _Proxy)
        self.server.asked.append(self.path)
        with socket.create_connection((host, int(port))) as other:
            self.send_response(200)
            self.end_headers()
            there = threading.Thread(target=_pass_on, args=(self.connection, other))
            there.start()
            _pass_on(other, self.connection)
            there.join()

    def log_message(self, format: str, *args: object) -> None:
        pass


class _Proxy(http.server.ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Tunnel)
        self.asked: list[str] = []


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def test_should_support_exec_through_an_http_proxy(argv: Argv, tmp_path: Path) -> None:
    config = json.loads(ran(argv("config", "view", "--raw", "-o", "json"))[1])
    words = argv("exec", "web", "--", "echo", "here")
    with _Proxy() as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        config["clusters"][0]["cluster"]["proxy-url"] = f"http://127.0.0.1:{proxy.server_port}"
        (tmp_path / "config").write_text(json.dumps(config))
        code, out, err = ran([words[0], f"--kubeconfig={tmp_path / 'config'}", *words[2:]])
        proxy.shutdown()
    assert (code, out) == (0, b"here\n"), err
    assert proxy.asked


def test_should_return_command_exit_codes(argv: Argv) -> None:
    assert ran(argv("exec", "web", "--", "/bin/sh", "-c", "exit 0"))[0] == 0
    assert ran(argv("exec", "web", "--", "/bin/sh", "-c", "exit 42"))[0] == 42


# Kubectl client, Kubectl run


@pytest.mark.parametrize(("name", "code"), [("success", 0), ("failure-1", 42)])
def test_running_a_successful_and_a_failing_command(argv: Argv, name: str, code: int) -> None:
    assert ran(argv(*run(name, "-i", script=f"exit {code}")))[0] == code


@pytest.mark.parametrize("more", [(), ("--rm",)], ids=["", "but with --rm"])
def test_running_a_failing_command_without_restart_never(argv: Argv, more: tuple[str, ...]) -> None:
    name = f"failure-{2 + len(more)}"
    words = run(name, "-i", "--pod-running-timeout=15s", *more, restart="OnFailure",
                script="cat && exit 42")  # fmt: skip
    code, _, err = ran(argv(*words), b"abcd1234")
    assert code == 1
    assert b"timed out" in err
    if more:
        until(lambda: b"not found" in ran(argv("get", "pod", name))[2], "no pod", timeout=60)
    else:
        ran(argv("delete", "pod", name, "--now"))


def test_running_a_failing_command_with_leave_stdin_open(argv: Argv) -> None:
    words = run("failure-4", "-i", "--leave-stdin-open", script="exit 42")
    assert ran(argv(*words), b"abcd1234")[0] == 0


def test_should_support_inline_execution_and_attach_with_stdin(argv: Argv) -> None:
    script = "echo -n read: && cat && echo 'stdin closed'"
    words = run("run-test", "--attach=true", "--stdin", restart="OnFailure", script=script)
    assert ran(argv(*words), b"value\nabcd1234")[0] == 0
    log = logs_until(argv, "run-test", b"stdin closed")
    assert log == b"read:value\nabcd1234stdin closed\n"


def test_should_support_inline_execution_and_attach_without_stdin(argv: Argv) -> None:
    words = run("run-test-2", "--attach=true", "--leave-stdin-open=true", restart="OnFailure",
                script="cat && echo 'stdin closed'")  # fmt: skip
    assert ran(argv(*words), b"abcd1234")[0] == 0
    assert logs_until(argv, "run-test-2", b"stdin closed") == b"stdin closed\n"


def test_should_support_attach_with_open_stdin_which_remains_running(argv: Argv) -> None:
    words = run("run-test-3", "--attach=true", "--leave-stdin-open=true", "--stdin",
                restart="OnFailure", script="cat && echo 'stdin closed'")  # fmt: skip
    assert ran(argv(*words), b"abcd1234\n")[0] == 0
    assert logs_until(argv, "run-test-3", b"abcd1234") == b"abcd1234\n"
    phase = ran(argv("get", "pod", "run-test-3", "-o", "jsonpath={.status.phase}"))[1]
    assert phase == b"Running"


def test_should_contain_last_line_of_the_log(argv: Argv) -> None:
    script = "sleep 2; echo -n EOF"
    ran(argv(*run("run-log-test", restart="OnFailure", script=script)))
    until(lambda: ran(argv("logs", "-f", "run-log-test"))[1] == b"EOF", "EOF", timeout=40)


# Kubectl exec


def test_should_be_able_to_execute_1000_times_in_a_container(argv: Argv) -> None:
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: ran(argv("exec", "web", "--", "date"))[0], range(1000)))
    assert answers == [0] * 1000


def test_two_hundred_commands_at_the_same_instant(argv: Argv) -> None:
    """Not Kubernetes' case: all of them are started before the first one is waited for."""
    words = [argv("exec", "web", "--", "echo", str(number)) for number in range(200)]
    started = [
        subprocess.Popen(each, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for each in words
    ]
    said = [each.communicate(timeout=300) for each in started]
    assert [out for out, _ in said] == [f"{number}\n".encode() for number in range(200)]


# Kubectl cp


def test_should_copy_a_file_to_and_from_a_running_pod(argv: Argv, tmp_path: Path) -> None:
    """A gigabyte here; Kubernetes' own test copies a line."""
    sums = hashlib.sha256()
    with (tmp_path / "there").open("wb") as file:
        for _ in range(1000):
            sums.update(part := os.urandom(1_000_000))
            file.write(part)
    assert ran(argv("cp", str(tmp_path / "there"), "web:/tmp/there"))[0] == 0
    total = ran(argv("exec", "web", "--", "sha256sum", "/tmp/there"))[1].decode().split()[0]
    assert total == sums.hexdigest()
    assert ran(argv("cp", "web:/tmp/there", str(tmp_path / "back")))[0] == 0
    with (tmp_path / "back").open("rb") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == sums.hexdigest()
    ran(argv("exec", "web", "--", "rm", "/tmp/there"))


# Kubectl Port forwarding


@contextmanager
def forwarded(argv: Argv, pod: str, port: int) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    with subprocess.Popen(
        argv("port-forward", f"pod/{pod}", f":{port}"),
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline().split()[2].rpartition(":")[2]), process
        finally:
            process.kill()


@contextmanager
def server(argv: Argv, kubectl: Kubectl, bind: str, expected: int, chunks: int) -> Iterator[str]:
    """A pod that takes one connection, reads so many bytes, and answers so many chunks."""
    name = f"pf-{bind.replace('.', '-')}-{expected}-{chunks}"
    spec = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 0,
            "containers": [
                {
                    "name": "app",
                    "image": "lab/client:1",
                    "command": ["python3", "-c", SERVER, bind, str(expected), str(chunks)],
                    "securityContext": {"runAsUser": 0},
                }
            ],
        },
    }
    kubectl("apply", "-n", NAMESPACE, "-f", "-", stdin=json.dumps(spec))
    kubectl("wait", "-n", NAMESPACE, "--for=condition=Ready", f"pod/{name}", "--timeout=40s")
    yield name
    kubectl("delete", "pod", "-n", NAMESPACE, name, "--now")


@pytest.mark.parametrize("bind", ["0.0.0.0", "localhost"])
def test_a_client_that_connects_sends_no_data_and_disconnects(
    argv: Argv, kubectl: Kubectl, bind: str
) -> None:
    with server(argv, kubectl, bind, 3, 1) as pod, forwarded(argv, pod, 80) as (port, _):
        socket.create_connection(("127.0.0.1", port)).close()
        log = logs_until(argv, pod, b"instead")
    assert b"Expected to read 3 bytes from client, but got 0 instead" in log


@pytest.mark.parametrize("bind", ["0.0.0.0", "localhost"])
@pytest.mark.parametrize("expected", [3, 0], ids=["that expects a request", "that expects none"])
def test_a_client_that_connects_sends_data_and_disconnects(
    argv: Argv, kubectl: Kubectl, bind: str, expected: int
) -> None:
    with server(argv, kubectl, bind, expected, 10) as pod, forwarded(argv, pod, 80) as (port, _):
        with socket.create_connection(("127.0.0.1", port), 20) as link:
            link.sendall(b"abc")
            read = b"".join(iter(lambda: link.recv(1000), b""))
            link.shutdown(socket.SHUT_WR)
        logs_until(argv, pod, b"Done")
    assert read == b"x" * 100


def test_should_support_forwarding_over_websockets(
    argv: Argv, kubectl: Kubectl, api: kubernetes.client.CoreV1Api
) -> None:
    """Each message begins with its channel: 0 for data, 1 for errors; first the port on each."""
    config = api.api_client.configuration
    settings = config.auth_settings().values()
    keys = {"certfile": config.cert_file, "keyfile": config.key_file} if config.cert_file else {}
    with server(argv, kubectl, "0.0.0.0", 3, 10) as pod:
        path = f"/api/v1/namespaces/{NAMESPACE}/pods/{pod}/portforward?ports=80"
        link = websocket.create_connection(
            config.host.replace("https", "wss") + path,
            subprotocols=["v4.channel.k8s.io"],
            header={one["key"]: one["value"] for one in settings},
            sslopt={"ca_certs": config.ssl_ca_cert, **keys},
        )
        with closing(link):
            assert [link.recv(), link.recv()] == [b"\x00P\x00", b"\x01P\x00"]
            link.send_binary(b"\x00def")
            read = b""
            while len(read) < 100:
                part = link.recv()
                assert part[:1] == b"\x00"
                read += part[1:]
    assert read == b"x" * 100


def test_with_a_pod_being_removed_port_forwarding_stops(argv: Argv, kubectl: Kubectl) -> None:
    ran(argv(*run("removed", script="exec python3 -m http.server 8080")))
    kubectl("wait", "-n", NAMESPACE, "--for=condition=Ready", "pod/removed", "--timeout=40s")
    with forwarded(argv, "removed", 8080) as (port, process):
        with socket.create_connection(("127.0.0.1", port), 60) as link:
            link.sendall(b"POST / HTTP/1.1\r\n")  # and nothing that ends the request
            kubectl("delete", "pod", "-n", NAMESPACE, "removed", "--now")
            until(lambda: _is_broken(link), "the connection to break", timeout=60)
        with suppress(OSError):  # kubectl notices with the next connection
            socket.create_connection(("127.0.0.1", port), 20).close()
        assert process.wait(60) != 0


def _is_broken(link: socket.socket) -> bool:
    try:
        return link.recv(4096) == b""
    except ConnectionError:
        return True


def test_it_should_keep_working_after_a_broken_connection(argv: Argv) -> None:
    with forwarded(argv, "web", 8080) as (port, _):
        for _ in range(3):
            with socket.create_connection(("127.0.0.1", port), 20) as link:
                link.sendall(b"GET /bytes/100000000 HTTP/1.0\r\n\r\n")
                assert link.recv(1)
        with socket.create_connection(("127.0.0.1", port), 20) as link:
            link.sendall(b"GET /status/204 HTTP/1.0\r\n\r\n")
            assert link.recv(100).startswith(b"HTTP/1.0 204")


# Pods, and cri-streaming's TestServeExec, TestServeAttach, over WebSockets


@contextmanager
def streamed(call: Callable[..., object], pod: str, **options: object) -> Iterator[WSClient]:
    link = stream(call, pod, NAMESPACE, stdin=True, stdout=True, stderr=True, tty=False,
                  _preload_content=False, **options)  # fmt: skip
    try:
        yield link
    finally:
        link.close()
        link.sock.shutdown()  # close() leaves the socket open where the server closed first


def test_should_support_remote_command_execution_over_websockets(
    api: kubernetes.client.CoreV1Api,
) -> None:
    command = ["sh", "-c", "echo remote; echo error >&2; head -c 7; exit 3"]
    with streamed(api.connect_get_namespaced_pod_exec, "web", command=command) as link:
        link.write_stdin("abcdefg")
        link.run_forever(timeout=20)
        assert (link.read_stdout(), link.read_stderr()) == ("remote\nabcdefg", "error\n")
        assert link.returncode == 3


def test_should_support_attaching_over_websockets(
    argv: Argv, api: kubernetes.client.CoreV1Api
) -> None:
    ran(argv(*run("attached", "--stdin", "--attach=false", script="cat")))
    until(lambda: b"Running" in ran(argv("get", "pod", "attached"))[1], "it runs", timeout=40)
    with streamed(api.connect_get_namespaced_pod_attach, "attached") as link:
        link.write_stdin("abcdefg\n")
        assert link.readline_stdout(timeout=20) == "abcdefg"


# kubectl debug, and Ephemeral Containers


def test_will_start_an_ephemeral_container_in_an_existing_pod(argv: Argv) -> None:
    script = "while true; do echo polo; sleep 2; done"
    words = ["debug", "web", "--image=lab/client:1", "--container=debugger", "--", "sh", "-c"]
    assert ran(argv(*words, script))[0] == 0
    until(lambda: b"polo" in ran(argv("logs", "web", "-c", "debugger"))[1], "its words", timeout=40)


def test_a_custom_profile_should_be_applied(argv: Argv, tmp_path: Path) -> None:
    custom = tmp_path / "custom.yaml"
    custom.write_text(
        "securityContext: {capabilities: {add: [NET_ADMIN]}}\n"
        "env: [{name: REQUIRED_ENV_VAR, value: value2}]\n"
    )
    words = ["debug", "web", "--image=lab/client:1", "--container=custom", "--profile=general"]
    script = "echo $REQUIRED_ENV_VAR; grep CapBnd /proc/self/status; sleep 100"
    assert ran(argv(*words, f"--custom={custom}", "--", "sh", "-c", script))[0] == 0
    until(lambda: b"CapBnd" in ran(argv("logs", "web", "-c", "custom"))[1], "log", timeout=40)
    log = ran(argv("logs", "web", "-c", "custom"))[1].decode().split()
    assert log[0] == "value2"
    assert int(log[-1], 16) >> 12 & 1  # NET_ADMIN
