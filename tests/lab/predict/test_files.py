"""`istio-lab predict` on config dumps in files: no cluster is asked."""

from __future__ import annotations

import argparse
import gzip
import json
import random
from pathlib import Path

import pytest

from lab.commands import predict
from lab.common.errors import BadArguments, BadEvidence

DATA = Path(__file__).parents[1] / "envoy" / "data"
BOTH = [str(DATA / "client.json.gz"), str(DATA / "httpbin.json.gz")]


def run(*words: str, dumps: list[str] = BOTH) -> int:
    parser = argparse.ArgumentParser()
    predict.add(parser)
    return predict.run(parser.parse_args([*words, "--dump", *dumps]))


@pytest.mark.parametrize(
    ("to", "sends", "code", "said"),
    [
        ("httpbin:8000", "http1.1", 0, "is given HTTP/1.1.\nThe call crosses the network"),
        ("httpbin.demo:8000", "http1.0", 0, "cluster PassthroughCluster"),
        ("httpbin:8000", "upgrade-tls", 0, "answers by itself with status 403: upgrade_failed"),
        ("httpbin:8002", "nothing", 0, "hangs in the client's proxy"),
        ("plain:8000", "http1.1", 3, "Unknown: who has the address"),
    ],
)
def test_the_answer_is_told_in_words_with_its_code(
    to: str, sends: str, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--from", "client", "--to", to, "--sends", sends) == code
    assert said in capsys.readouterr().out


def test_a_port_that_is_left_out_by_an_annotation_is_not_intercepted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = json.loads(gzip.decompress(Path(BOTH[0]).read_bytes()))
    node = next(one["bootstrap"]["node"] for one in content["configs"] if "bootstrap" in one)
    excluded = "traffic.sidecar.istio.io/excludeOutboundPorts"
    node["metadata"]["ANNOTATIONS"][excluded] = "8000"
    (tmp_path / "client.json").write_text(json.dumps(content))
    dumps = [str(tmp_path / "client.json"), BOTH[1]]
    assert run("--from", "client", "--to", "httpbin:8000", dumps=dumps) == 0
    assert "in plaintext" in capsys.readouterr().out


THROUGH = [str(DATA / f"table-{name}.json.gz") for name in ("gateway", "server")]


def gateways_pod() -> str:
    content = json.loads(gzip.decompress(Path(THROUGH[0]).read_bytes()))
    node = next(one["bootstrap"]["node"] for one in content["configs"] if "bootstrap" in one)
    return str(node["id"].split("~")[2].partition(".")[0])


@pytest.mark.parametrize(
    ("port", "more", "code", "said"),
    [
        (28005, ("--within", "tls", "--name", "t5.lab.example"), 0,
         "The call crosses the network to the gateway"),
        (28005, ("--name", "t5.lab.example"), 0, "The gateway refuses the call, response flag NR"),
        (28005, ("--within", "tls"), 0, "Nothing of the call crosses the network behind the"),
        (28026, ("--sends", "tls", "--name", "t26.lab.example"), 0, "inside is TLS of the"),
        (28026, ("--sends", "nothing"), 0, "The client sends nothing on it."),
        (28002, ("--within", "mutual-tls", "--name", "t2.lab.example"), 3, "Unknown: whether"),
    ],
)  # fmt: skip
def test_a_client_outside_the_mesh_calls_a_gateway_by_the_name_of_its_pod(
    port: int, more: tuple[str, ...], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    to = f"{gateways_pod()}:{port}"
    assert run("--from", "outside", "--to", to, *more, dumps=THROUGH) == code
    assert said in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--from", "outside", "--to", "httpbin:8000"), "has no proxy that knows httpbin"),
        (("--from", "client", "--to", "httpbin:8000", "--sends", "tls", "--within", "tls"),
         "is TLS already"),
        (("--from", "clint", "--to", "httpbin:8000"), "did you mean demo/client"),
        (("--from", "client", "--to", "httpbn:8000"), "did you mean httpbin"),
        (("--from", "client", "--to", "httpbin"), "is not HOST:PORT"),
        (("--from", "client", "--to", "httpbin:8000", "--sends", "http"), "did you mean http1"),
    ],
)  # fmt: skip
def test_a_word_that_is_wrong_is_refused_with_the_nearest(words: list[str], said: str) -> None:
    with pytest.raises(BadArguments, match=said):
        run(*words)


@pytest.mark.parametrize("harm", ["truncated", "no JSON", "another JSON", "missing", "no gzip"])
def test_a_file_that_is_no_dump_is_refused_by_its_name(harm: str, tmp_path: Path) -> None:
    path = tmp_path / "dump.json"
    whole = gzip.decompress(Path(BOTH[0]).read_bytes())
    match harm:
        case "truncated":
            path.write_bytes(whole[: random.Random(1).randrange(len(whole))])
        case "no JSON":
            path.write_text("listeners:")
        case "another JSON":
            path.write_text('{"configs": [{}]}')
        case "no gzip":
            path.write_bytes(Path(BOTH[0]).read_bytes()[:100])
    with pytest.raises((BadArguments, BadEvidence), match=r"dump\.json"):
        run("--from", "client", "--to", "httpbin:8000", dumps=[str(path)])


def test_a_deployments_name_is_enough_where_one_dump_is_of_its_pod(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = json.loads(gzip.decompress((DATA / "client.json.gz").read_bytes()))
    bootstrap = next(one["bootstrap"] for one in told["configs"] if "bootstrap" in one)
    bootstrap["node"]["id"] = bootstrap["node"]["id"].replace("~client.", "~client-5d4f8-abcde.")
    dumps = [tmp_path / name for name in ("one.json", "two.json")]
    for path in dumps:
        path.write_text(json.dumps(told))
    words = ("--from", "client", "--to", "httpbin:8000")
    assert run(*words, dumps=[str(dumps[0]), BOTH[1]]) == 0
    assert "demo/client-5d4f8-abcde sends" in capsys.readouterr().out
    with pytest.raises(BadArguments, match="could mean the pod of any of these dumps"):
        run(*words, dumps=[*map(str, dumps), BOTH[1]])
