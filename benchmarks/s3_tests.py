"""Run Ceph's public S3 suite beside the project: ``make s3-tests SUITE=<checkout>``.

The suite is brought by whoever runs it and nothing of it is kept here. It finds three accounts
through its own configuration file; its packages lie in an environment of their own. A test passes
when its setup and its call pass (the suite's own clean-up needs versions to be listed). Figures go
to ``docs/measured/s3_tests.json``, with the names of all that failed; ``-k WORDS`` runs a part and
writes nothing.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path

import boto3
import record
import suites

from fogbank.base.arn import canonical_user_id
from fogbank.testing.server import Server

ACCOUNTS = {"main": "1" * 12, "alt": "2" * 12, "tenant": "3" * 12}
PACKAGES = (
    *("boto3", "gevent", "httplib2", "isodate", "lxml", "munch", "pytest"),
    *("pytest-timeout", "pytz", "PyYAML", "requests"),
)
SECONDS_A_TEST = 120
"""Two tests put 1,001 objects one after the other: on a loaded machine 30 s are no judgement."""
LIFECYCLE_DAY_S = 3
SETTINGS = f"""region = "us-east-1"

[s3]
defaults_before_2023 = true
signature_v2 = true

[quotas]
"s3.lifecycle_day_s" = {LIFECYCLE_DAY_S}
"""
"""The suite assumes buckets as they were before April 2023, and waits for days to end."""


def key_of(name: str) -> tuple[str, str]:
    """Return the access key of an account, and its secret."""
    return f"AKIAS3TESTS{name.upper():A<9}", f"secret-of-{name}-for-the-suite".ljust(40, "s")


def section_of(title: str, name: str) -> str:
    """Return a section of the suite's configuration: one of the accounts."""
    key, secret = key_of(name)
    return (
        f"[{title}]\ndisplay_name = {name}\nuser_id = {canonical_user_id(ACCOUNTS[name])}\n"
        f"email = {name}@example.com\naccess_key = {key}\nsecret_key = {secret}\n"
    )


def kms_keys(server: Server) -> str:
    """Make two KMS keys in the main account, and return the lines that name them."""
    key, secret = key_of("main")
    client = boto3.client(
        "kms",
        endpoint_url=server.endpoint,
        region_name="us-east-1",
        aws_access_key_id=key,
        aws_secret_access_key=secret,
    )
    made = [client.create_key()["KeyMetadata"]["Arn"] for _ in range(2)]
    return f"kms_keyid = {made[0]}\nkms_keyid2 = {made[1]}\n"


def configuration(port: int, keys: str) -> str:
    """Return the suite's configuration file."""
    return "\n".join(
        [
            f"[DEFAULT]\nhost = 127.0.0.1\nport = {port}\nis_secure = False\nssl_verify = False\n",
            "[fixtures]\nbucket prefix = suite-{random}-\n",
            section_of("s3 main", "main")
            # AWS takes no us-east-1 as a LocationConstraint.
            + f"api_name = us-west-2\nlc_debug_interval = {LIFECYCLE_DAY_S}\n"
            + keys,
            section_of("s3 alt", "alt"),
            section_of("s3 tenant", "tenant") + "tenant = tenant\n",
            section_of("iam", "main"),
            section_of("iam root", "main"),
            section_of("iam alt root", "alt"),
        ]
    )


def run(suite: Path, words: str) -> dict[str, tuple[str, str]]:
    """Return what became of each test, and the end of what it said."""
    with tempfile.TemporaryDirectory(prefix="fogbank-s3-tests-") as scratch:
        folder = Path(scratch)
        with Server(folder / "data", settings=SETTINGS) as server:
            for name, number in ACCOUNTS.items():
                key, secret = key_of(name)
                given = ["--id", number, "--access-key-id", key, "--secret-access-key", secret]
                done = server.run("account", "create", name, *given)
                assert done.returncode == 0, done.stderr
            (folder / "suite.conf").write_text(configuration(server.port, kms_keys(server)))
            return suites.outcomes(
                suites.python_of("s3-tests", PACKAGES),
                [
                    *(["-k", words] if words else []),
                    f"--timeout={SECONDS_A_TEST}",
                    "s3tests/functional/test_s3.py",
                    "s3tests/functional/test_headers.py",
                ],
                suite=suite,
                scratch=folder,
                environment={"S3TEST_CONF": str(folder / "suite.conf")},
                chosen={"without_markers": ["fails_on_aws"]},
            )


def main() -> int:
    """Run the suite and write its figures; the exit status is 1 while a promise is not kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("suite", type=Path, help="a checkout of the suite")
    parser.add_argument("-k", dest="words", default="", help="a part: nothing is written")
    given = parser.parse_args()
    outcomes = run(given.suite.absolute(), given.words)
    counts: Counter[str] = Counter()
    failures: list[str] = []
    for name, (outcome, why) in sorted(outcomes.items()):
        file, _, test = name.rpartition("/")[2].partition("::")
        kind = file.removesuffix(".py").removeprefix("test_")
        counts[f"{kind}_tests"] += 1
        counts[f"{kind}_passed"] += outcome == "passed"
        if outcome != "passed":
            failures.append(f"{kind}: {test}")
        if given.words:
            print(outcome, test, why.replace("\n", " ")[-300:] if outcome != "passed" else "")
    print(dict(counts))
    if given.words:
        return 0
    promises = {"s3_passed": ">= 595", "headers_passed": f">= {counts['headers_tests']}"}
    # What does not pass yet is the measure and no failure of the run.
    explained = [[name, suites.why_of(Path(__file__), *name.split(": "))] for name in failures]
    table = record.Table("what does not pass", ["test", "why"], explained)
    counts["unexplained"] = sum(not why for _, why in explained)
    record.write(
        "s3_tests",
        "make s3-tests SUITE=<checkout>",
        dict(counts),
        failures=[],
        promises=promises,
        tables=[table],
    )
    return (
        0 if all(record.holds(promise, counts[name]) for name, promise in promises.items()) else 1
    )


if __name__ == "__main__":
    sys.exit(main())
