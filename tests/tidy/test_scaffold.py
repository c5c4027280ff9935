"""What tools/scaffold writes passes the checks as it is: tried in a copy of the tree."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
MADE = (
    ("service", "sqs", "--model", "sqs"),
    ("operation", "sqs", "CreateQueue"),
    ("operation", "sqs", "DeleteQueue"),  # answers nothing
    ("operation", "sqs", "SendMessage", "--noun", "messages"),
    ("operation", "dynamodb", "DescribeKinesisStreamingDestination", "--noun", "tables"),
)
CHECKS = (
    ("ruff", "format", "--check", "."),
    ("ruff", "check", "."),
    ("lint-imports",),
    ("python", "tools/shapes.py", "--check"),
    ("python", "tools/ledger.py", "--check"),
    ("python", "tools/specification.py", "--check"),
    ("python", "-m", "pytest", "-q", "-m", "not slow", "tests/wire/sqs", "tests/tidy"),
    ("python", "-m", "pytest", "-q", "tests/wire/dynamodb/test_tables.py"),
)


TYPES = ("basedpyright", "--level", "error")


class Tree:
    """A copy of the tree, as a clone of it would be."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        listed = ("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
        names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True).stdout
        for name in names.decode().split("\0"):
            if (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes((ROOT / name).read_bytes())
                (folder / name).chmod((ROOT / name).stat().st_mode)
        self.run("git", "init", "-q")
        self.run("git", "add", "-A")
        identity = ("-c", "user.name=scaffold", "-c", "user.email=scaffold@localhost")
        self.run("git", *identity, "commit", "-q", "-m", "As it stands")

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        own = {"PYTHONPATH": str(self.folder / "src"), "VENV": str(BIN.parent)}
        program = BIN / words[0] if (BIN / words[0]).exists() else words[0]
        return subprocess.run(
            [str(program), *words[1:]],
            cwd=self.folder,
            env={**os.environ, **own, "PATH": f"{BIN}:{os.environ['PATH']}"},
            check=False,
            capture_output=True,
            text=True,
        )

    def written(self) -> list[str]:
        """Return the files of what is shipped that are not as they were."""
        return self.run("git", "diff", "--cached", "--name-only", "HEAD", "src/*.py").stdout.split()

    def scaffold(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.run(str(self.folder / "tools" / "scaffold"), *words)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    return Tree(tmp_path_factory.mktemp("tree"))


@pytest.mark.slow
@pytest.mark.timeout(1_200)  # type checks of the whole tree
def test_a_scaffolded_service_and_its_operations_pass_the_checks(tree: Tree) -> None:
    for words in MADE:
        made = tree.scaffold(*words)
        assert made.returncode == 0, made.stdout + made.stderr
    tree.run("git", "add", "-A")
    written = tree.written()
    assert "src/fogbank/services/sqs/__init__.py" in written
    for words in (*CHECKS, (*TYPES, *written)):
        checked = tree.run(*words)
        assert checked.returncode == 0, f"{words}\n{checked.stdout}{checked.stderr}"
    ledger = (tree.folder / "docs/coverage/sqs.md").read_text()
    assert "| CreateQueue | begun | |" in ledger
    assert "Built: 0 of" in ledger


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("service", "dynamodb", "--model", "dynamodb"), "is there already"),
        (("operation", "dynamodb", "Describe"), "the model of dynamodb has no operation Describe"),
        (("operation", "dynamodb", "GetItem"), "items.py has get_item already"),
        (
            ("operation", "lambda", "GetAccountSettings"),
            "accounts.py has get_account_settings already",
        ),
        (
            ("operation", "neptune", "Query"),
            "there is no service neptune: there are application-autoscaling, dynamodb, dynamodbstreams,",
        ),
    ],
)
def test_what_cannot_be_written_is_refused_in_words(
    tree: Tree, words: tuple[str, ...], said: str
) -> None:
    refused = tree.scaffold(*words)
    assert refused.returncode == 1
    assert said in refused.stderr
