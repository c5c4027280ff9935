"""Of writers that come together, each on the condition that nothing is there, one wins.

Source: Amazon S3 User Guide, "How to prevent object overwrites with conditional writes". Through two
fronts, with bodies that lie in a row and bodies that lie in a file; ``make soak`` does it a thousand
times and writes ``docs/measured/one_winner.json``.
"""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from tests.measured import recorder

from fogbank.testing.server import Server

pytestmark = [pytest.mark.crash, pytest.mark.slow]

WRITERS = 16
ROUNDS = 20
ROUNDS_SOAK = 1_000
SETTINGS = "[processes]\nfronts = 2\n"
SIZES = (20, 150_000)


def outcome_of(s3: Any, key: str, size: int, writer: int) -> str:
    """Return how a writer fared."""
    try:
        s3.put_object(Bucket="race", Key=key, Body=bytes([writer]) * size, IfNoneMatch="*")
    except ClientError as error:
        return error.response["Error"]["Code"]
    return f"won {writer}"


@pytest.mark.timeout(3_600)
def test_one_of_sixteen_writers_wins(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    soak = pytestconfig.getoption("--soak")
    rounds = ROUNDS_SOAK if soak else ROUNDS
    several = 0
    lost: Counter[str] = Counter()
    with (
        Server(tmp_path / "data", settings=SETTINGS) as server,
        ThreadPoolExecutor(WRITERS) as pool,
    ):
        once = Config(max_pool_connections=WRITERS, retries={"total_max_attempts": 1})
        s3 = server.client("s3", config=once)
        s3.create_bucket(Bucket="race")
        for number in range(rounds):
            key, size = f"{number}", SIZES[number % len(SIZES)]
            outcomes = list(pool.map(partial(outcome_of, s3, key, size), range(WRITERS)))
            winners = [each for each in outcomes if each.startswith("won")]
            lost.update(each for each in outcomes if not each.startswith("won"))
            several += len(winners) != 1
            body = s3.get_object(Bucket="race", Key=key)["Body"].read()
            assert winners == [f"won {body[0]}"], (key, outcomes)
            assert len(set(body)) == 1
            assert len(body) == size
    # AWS: who comes while another's write is under way may be told of the conflict.
    assert lost.keys() <= {"PreconditionFailed", "ConditionalRequestConflict"}
    assert several == 0
    if soak:
        figures = {"rounds": rounds, "writers": WRITERS, "rounds_without_one_winner": several}
        recorder().write(
            "one_winner", "make soak", figures, failures=[], promises={"rounds": ">= 1000"}
        )
