"""Items as hypothesis makes them up for files: of all types, as the store has them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from fogbank.services.dynamodb.rules import values

texts = st.text(st.characters(codec="utf-8"), max_size=12)
numbers = st.builds(
    lambda sign, digits, exponent: f"{sign}{digits}E{exponent}",
    st.sampled_from(["", "-"]),
    st.integers(0, 10**38 - 1),
    st.integers(-130, 80),
).filter(lambda text: text.split("E")[0].lstrip("-") != "0" or text.endswith("E0"))
scalars = (
    st.fixed_dictionaries({"S": texts})
    | st.fixed_dictionaries({"N": numbers})
    | st.fixed_dictionaries({"B": st.binary(max_size=9)})
    | st.fixed_dictionaries({"BOOL": st.booleans()})
    | st.just({"NULL": True})
    | st.fixed_dictionaries({"SS": st.lists(texts, min_size=1, max_size=4, unique=True)})
    | st.fixed_dictionaries({"BS": st.lists(st.binary(max_size=4), min_size=1, unique=True)})
    | st.fixed_dictionaries(
        {"NS": st.lists(st.integers(-(10**37), 10**37).map(str), min_size=1, unique=True)}
    )
)
names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8) | st.sampled_from(
    ["null", "true", "$ion_1_0", "$5", "a b", "it's", "_x", "nan", '"']
)
made = st.recursive(
    scalars,
    lambda inner: (
        st.fixed_dictionaries({"L": st.lists(inner, max_size=4)})
        | st.fixed_dictionaries({"M": st.dictionaries(names, inner, max_size=4)})
    ),
    max_leaves=8,
)


def _admitted(item: dict[str, Any]) -> dict[str, Any]:
    return dict(values.admit_item(item))


items = st.dictionaries(names, made, max_size=5).map(_admitted)
"""Items as the store has them."""
