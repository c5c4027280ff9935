"""Whatever a client sends is answered in words: never as an internal failure."""

from __future__ import annotations

import pytest
from tests.contracts.observation import Observations
from tests.contracts.registry import OPERATIONS, Built


@pytest.mark.parametrize("built", OPERATIONS, ids=str)
def test_no_made_up_request_ends_in_an_internal_failure(
    built: Built, observed: Observations
) -> None:
    answers = observed.by_operation[built.key].answers
    broken = {answer for answer in answers if answer[0] >= 500}
    assert broken <= {(501, "NotImplemented"), (501, "501")}
