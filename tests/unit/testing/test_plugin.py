"""The plugin as projects see it: each test here runs a small project of its own."""

from __future__ import annotations

import os
from importlib import metadata

import boto3
import botocore.endpoint
import botocore.session
import botocore.signers
import botocore.waiter
import pytest
from botocore.httpsession import URLLib3Session

from fogbank.testing.attach import attached
from fogbank.testing.cloud import Cloud

pytest_plugins = ["pytester"]


def test_the_plugin_is_found_by_every_pytest_beside_it() -> None:
    (found,) = metadata.entry_points(group="pytest11", name="fogbank")
    assert found.value == "fogbank.testing.plugin", "run `make env`"


@pytest.mark.slow
def test_a_run_without_a_cloud_imports_nothing_of_it(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        import sys

        def test_nothing_is_there(pytestconfig):
            assert pytestconfig.pluginmanager.has_plugin("fogbank")
            heavy = {"boto3", "botocore", "asyncio", "msgspec", "fogbank.base", "fogbank.server"}
            assert heavy & sys.modules.keys() == set()
    """)
    result = pytester.runpytest_subprocess("-q", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=1)


def test_all_is_as_before_after_a_cloud(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "mine")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", mine := object())

    def seen() -> list[object]:
        return [
            {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"},
            boto3.DEFAULT_SESSION,
            URLLib3Session.send,
            botocore.signers.RequestSigner.sign,
            botocore.endpoint.time,
            botocore.waiter.time,
            botocore.session.create_loader,
            botocore.session.Session.create_client,
        ]

    before = seen()
    with Cloud() as cloud, attached(cloud):
        inside = seen()
        assert "AWS_PROFILE" not in os.environ
        assert boto3.DEFAULT_SESSION is not mine
    assert seen() == before
    assert [one for one, other in zip(inside, before, strict=True) if one == other] == []


@pytest.mark.slow
def test_the_seed_decides_every_secret(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nfogbank_seed = 41\n")
    pytester.makepyfile("""
        from fogbank.testing.cloud import Cloud

        def test_the_same(fogbank):
            with Cloud(seed=41) as same, Cloud(seed=42) as other:
                assert fogbank.account == same.account
                assert fogbank.account != other.account
    """)
    pytester.runpytest_inprocess("-q").assert_outcomes(passed=1)


@pytest.mark.slow
def test_services_can_be_left_out(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nfogbank_services = s3 iam sts logs\n")
    pytester.makepyfile("""
        import boto3, pytest
        from botocore.exceptions import ClientError

        def test_only_these(fogbank):
            assert [each.model for each in fogbank.app.services] == ["s3", "iam", "sts", "logs"]
            boto3.client("s3").create_bucket(Bucket="here")
            with pytest.raises(ClientError, match="fogbank has not built dynamodb:ListTables"):
                boto3.client("dynamodb").list_tables()
    """)
    result = pytester.runpytest_inprocess("-q")
    result.assert_outcomes(passed=1)


@pytest.mark.slow
@pytest.mark.parametrize(("ini", "runs"), [("true", 3), ("false", 1)])
def test_replay_reaches_the_store_of_the_cloud(
    pytester: pytest.Pytester, ini: str, runs: int
) -> None:
    pytester.makeini(f"[pytest]\nfogbank_services = s3\nfogbank_replay = {ini}\n")
    pytester.makepyfile(f"""
        from fogbank.platform.store.engine import DIRECTORY

        def test_every_body_runs(fogbank):
            ran = []

            async def body(tr):
                ran.append(tr)

            fogbank.run(fogbank.engine.store_of(DIRECTORY).transact(body))
            assert len(ran) == {runs}
    """)
    pytester.runpytest_inprocess("-q").assert_outcomes(passed=1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ini", "words"),
    [
        (
            "fogbank_services = s3 simpledb",
            "*fogbank_services names simpledb; there are *dynamodb*",
        ),
        ("fogbank_seed = some", "*fogbank_seed is 'some' and must be a whole number*"),
    ],
)
def test_a_wrong_setting_is_named(pytester: pytest.Pytester, ini: str, words: str) -> None:
    pytester.makeini(f"[pytest]\n{ini}\n")
    pytester.makepyfile("def test_any(fogbank): pass")
    result = pytester.runpytest_inprocess("-q")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([words])


@pytest.mark.slow
def test_cloud_and_server_in_one_test_are_refused(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_both(fogbank, fogbank_server): pass")
    result = pytester.runpytest_inprocess("-q")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*the cloud in process or the server, not both*"])


@pytest.mark.slow
def test_the_plugin_can_be_turned_off(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_any(fogbank): pass")
    result = pytester.runpytest_inprocess("-q", "-p", "no:fogbank")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*fixture 'fogbank' not found*"])
