"""Run ScyllaDB's public DynamoDB suite beside the project: ``make alternator SUITE=<checkout>``.

The suite (``test/alternator`` of ScyllaDB's repository) is brought by whoever runs it and nothing
of it is kept here. Outside ScyllaDB's own runner it needs shims in the checkout: a root conftest
with ``dynamic_scope``, and a fixture ``get_valid_alternator_role`` that returns the key of the
environment. Tests that need Scylla itself are left out, marks of expected failure are ignored.
Figures go to ``docs/measured/alternator.json``, with the names of all that failed; ``-k WORDS``
runs a part and writes nothing.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path

import record
import suites

from fogbank.testing.server import Server

ACCOUNT = "1" * 12
KEY, SECRET = "AKIAALTERNATOR111111", "secret-for-the-suite".ljust(40, "s")
PACKAGES = ("boto3", "pytest", "pytest-timeout", "requests", "packaging", "urllib3", "zstandard")
SECONDS_A_TEST = 120
SETTINGS = 'region = "us-east-1"\n'
WITHOUT_FILES = (
    *("audit", "cql_rbac", "cql_schema", "encoding", "expression_caching", "health", "https"),
    *("logs", "metrics", "no_exception", "scylla", "service_levels", "streams_tablets"),
    *("system_tables", "tablets", "tracing", "vector", "write_isolation"),
)
"""Files about Scylla's own interfaces and settings, or about a feature of its own."""
SCYLLA_FIXTURES = ("scylla_only", "cql", "rest_api", "has_tablets", "dynamodb_bug")
"""A test that asks for one of these needs Scylla, or wants what AWS does not do."""
PROMISED = 1086
SHIMS = """

def pytest_sessionstart():
    from contextlib import nullcontext

    from test.alternator import util

    util.get_region = lambda dynamodb: dynamodb.meta.client.meta.region_name
    util.scylla_config_temporary = lambda *_, **__: nullcontext()
    # How often expired items are looked for, as ``dynamodb.ttl_period_ms`` has it.
    period = {"alternator_ttl_period_in_seconds": "1"}
    util.scylla_config_read = lambda _, name: period.get(name)
"""
"""Scylla is asked for its region and told settings of its own, where tests would do neither to AWS."""


def files_of(suite: Path) -> list[str]:
    """Return the suite's files that a server other than Scylla is measured by."""
    names = sorted(path.name for path in (suite / "test" / "alternator").glob("test_*.py"))
    left_out = {f"test_{name}.py" for name in WITHOUT_FILES}
    return [f"test/alternator/{name}" for name in names if name not in left_out]


def run(suite: Path, words: str) -> dict[str, tuple[str, str]]:
    """Return what became of each test, and the end of what it said."""
    python = suites.python_of("alternator", PACKAGES)
    with tempfile.TemporaryDirectory(prefix="fogbank-alternator-") as scratch:
        folder = Path(scratch)
        with Server(folder / "data", settings=SETTINGS) as server:
            given = ["--id", ACCOUNT, "--access-key-id", KEY, "--secret-access-key", SECRET]
            done = server.run("account", "create", "suite", *given)
            assert done.returncode == 0, done.stderr
            return suites.outcomes(
                python,
                [
                    *("--runxfail", f"--timeout={SECONDS_A_TEST}", "--url", server.endpoint),
                    *(["-k", words] if words else []),
                    *files_of(suite),
                ],
                suite=suite,
                scratch=folder,
                environment={
                    "AWS_ACCESS_KEY_ID": KEY,
                    "AWS_SECRET_ACCESS_KEY": SECRET,
                    "AWS_DEFAULT_REGION": "us-east-1",
                    "SCYLLA_TEST_RUNNER": "runpy",
                },
                chosen={
                    "markers": ["skip_env(reason): needs another environment"],
                    "without_fixtures": SCYLLA_FIXTURES,
                    # A second pass of each test with another of Scylla's own layouts.
                    "without_ids": ["[using tablets"],
                },
                shims=SHIMS,
            )


def main() -> int:
    """Run the suite and write its figures; the exit status is 1 while the promise is not kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("suite", type=Path, help="a checkout of the suite, with its shims")
    parser.add_argument("-k", dest="words", default="", help="a part: nothing is written")
    given = parser.parse_args()
    counts: Counter[str] = Counter()
    files: dict[str, Counter[str]] = {}
    explained: list[list[str]] = []
    for name, (outcome, why) in sorted(run(given.suite.absolute(), given.words).items()):
        file, _, test = name.rpartition("/")[2].partition("::")
        counts["tests"] += 1
        counts["passed"] += outcome == "passed"
        files.setdefault(file, Counter()).update(["tests", outcome])
        if outcome != "passed":
            kind = file.removeprefix("test_").removesuffix(".py")
            reason = suites.why_of(Path(__file__), kind, test)
            counts["unexplained"] += not reason
            explained.append([f"{kind}: {test}", reason])
        if given.words:
            print(outcome, test, why.replace("\n", " ")[-300:] if outcome != "passed" else "")
    print(dict(counts))
    if given.words:
        return 0
    promise = f">= {PROMISED}"
    record.write(
        "alternator",
        "make alternator SUITE=<checkout>",
        dict(counts),
        failures=[],
        promises={"passed": promise},
        tables=[
            record.Table(
                "files",
                ["file", "tests", "passed"],
                [[file, str(n["tests"]), str(n["passed"])] for file, n in sorted(files.items())],
            ),
            record.Table("what does not pass", ["test", "why"], explained),
        ],
    )
    return 0 if record.holds(promise, counts["passed"]) else 1


if __name__ == "__main__":
    sys.exit(main())
