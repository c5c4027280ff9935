"""One-time passwords; source: RFC 4226, Appendix D; RFC 6238, Appendix B (the last six digits)."""

from __future__ import annotations

import pytest

from fogbank.platform.identity.totp import code_of, find_consecutive, find_step, step_of

SEED = b"12345678901234567890"
COUNTED = ["755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583"]


@pytest.mark.parametrize(("step", "code"), list(enumerate(COUNTED)))
def test_codes_are_those_of_the_standard(step: int, code: str) -> None:
    assert code_of(SEED, step) == code


@pytest.mark.parametrize(
    ("second", "code"),
    [
        (59, "287082"),
        (1_111_111_109, "081804"),
        (1_111_111_111, "050471"),
        (1_234_567_890, "005924"),
        (2_000_000_000, "279037"),
        (20_000_000_000, "353130"),
    ],
)
def test_codes_follow_the_time_as_in_the_standard(second: int, code: str) -> None:
    assert code_of(SEED, step_of(second * 1_000)) == code


def test_a_step_is_found_among_those_that_count_and_none_before_the_first() -> None:
    assert find_step(SEED, COUNTED[3], range(-2, 5)) == 3
    assert find_step(SEED, COUNTED[3], range(4, 8)) is None
    assert find_consecutive(SEED, (COUNTED[2], COUNTED[3]), range(-2, 5)) == 3
    assert find_consecutive(SEED, (COUNTED[2], COUNTED[4]), range(8)) is None
    assert find_consecutive(SEED, (COUNTED[2], COUNTED[3]), range(3, 8)) is None
