"""Run the public suite of DynamoDB's recorded behaviour beside the project.

``make dynamodb-parity SUITE=<checkout>``. The suite (dynamodb-conformance, of the parity project) asks
what its authors have recorded from DynamoDB itself, over the JavaScript SDK. It is brought by whoever
runs it, with its packages installed (``npm install`` there), and nothing of it is kept here. Figures go
to ``docs/measured/dynamodb_parity.json``, with the names of all that failed; ``-k WORDS`` runs the files
whose paths hold a word and writes nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import record
import suites

from fogbank.testing.server import Server

ACCOUNT = "1" * 12
KEY, SECRET = "AKIAPARITY1111111111", "secret-for-the-suite".ljust(40, "s")
SETTINGS = 'region = "us-east-1"\n'


def run(suite: Path, words: list[str]) -> dict[str, Any]:
    """Return the suite's own report."""
    with tempfile.TemporaryDirectory(prefix="fogbank-parity-") as scratch:
        folder = Path(scratch)
        report = folder / "report.json"
        with Server(folder / "data", settings=SETTINGS) as server:
            given = ["--id", ACCOUNT, "--access-key-id", KEY, "--secret-access-key", SECRET]
            done = server.run("account", "create", "suite", *given)
            assert done.returncode == 0, done.stderr
            subprocess.run(
                [
                    *("node_modules/.bin/vitest", "run", *words),
                    *("--reporter=json", f"--outputFile={report}"),
                ],
                cwd=suite,
                check=False,
                stdout=subprocess.DEVNULL,
                env={
                    **os.environ,
                    "DYNAMODB_ENDPOINT": server.endpoint,
                    "AWS_ACCESS_KEY_ID": KEY,
                    "AWS_SECRET_ACCESS_KEY": SECRET,
                    "AWS_REGION": "us-east-1",
                },
            )
        return json.loads(report.read_text())


def main() -> int:
    """Run the suite and write its figures; the exit status is 1 while the promise is not kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("suite", type=Path, help="a checkout of the suite, its packages installed")
    parser.add_argument("-k", dest="words", action="append", default=[], help="a part")
    given = parser.parse_args()
    suite: Path = given.suite.absolute()
    counts: Counter[str] = Counter()
    explained: list[list[str]] = []
    for file in run(suite, given.words)["testResults"]:
        name = str(Path(file["name"]).relative_to(suite / "tests"))
        if not file["assertionResults"]:
            print(f"{name}: {file['message'][:300]}")
        for test in file["assertionResults"]:
            counts["tests"] += 1
            counts["passed"] += test["status"] == "passed"
            if test["status"] == "passed":
                continue
            reason = suites.why_of(Path(__file__), name, test["fullName"])
            counts["unexplained"] += not reason
            explained.append([f"{name}: {test['fullName']}", reason])
            if given.words:
                why = " ".join(test["failureMessages"])[:300].replace("\n", " ")
                print(test["status"], f"{name}: {test['fullName']}:", why)
    print(dict(counts))
    if given.words:
        return 0
    promise = f">= {counts['tests']}"
    record.write(
        "dynamodb_parity",
        "make dynamodb-parity SUITE=<checkout>",
        dict(counts),
        failures=[],
        promises={"passed": promise},
        tables=[record.Table("what does not pass", ["test", "why"], explained)],
    )
    return 0 if record.holds(promise, counts["passed"]) else 1


if __name__ == "__main__":
    sys.exit(main())
