"""What a generation of the overlay keeps of removals: a tombstone only where one is needed."""

from __future__ import annotations

from fogbank.engines.embedded.overlay import Generation

END = b"\xff"


def keys_of(generation: Generation) -> list[bytes]:
    generation.settle()
    return list(generation.range(b"", END, reverse=False))


def nowhere(_key: bytes) -> bool:
    return False


def below(_key: bytes) -> bool:
    return True


def test_a_key_that_was_born_and_removed_in_one_generation_leaves_no_tombstone() -> None:
    generation = Generation()
    for turn in range(100):
        key = b"work %d" % turn
        generation.lay({key: b"value"})
        if turn % 2:
            assert keys_of(generation) == [key]
        assert generation.lay_removals({key: None}, nowhere) == [key]
        assert generation.rows == {}
        assert keys_of(generation) == []


def test_a_key_that_is_there_below_leaves_a_tombstone_also_when_it_was_written_anew() -> None:
    generation = Generation()
    assert generation.lay_removals({b"a": None}, below) == []
    generation.lay({b"b": b"value"})
    assert generation.lay_removals({b"b": None}, below) == []
    assert generation.rows == {b"a": None, b"b": None}
    assert keys_of(generation) == [b"a", b"b"]
    generation.lay({b"a": b"again"})
    assert generation.lay_removals({b"a": None, b"c": b"new"}, below) == []
    assert generation.rows == {b"a": None, b"b": None, b"c": b"new"}


def test_the_removal_of_a_key_that_is_nowhere_leaves_nothing() -> None:
    generation = Generation()
    assert generation.lay_removals({b"a": None}, nowhere) == []
    assert generation.rows == {}
    assert keys_of(generation) == []
