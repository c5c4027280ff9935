"""Distances between vectors: many at once, each as exact as 64 bits make it.

Theory: numbers of 32 bits are widened to 64 before they are multiplied, so that no product overflows;
each row is summed in the same order whatever stands beside it, and a vector's product with itself is
the very number that its length is taken from, so that its cosine distance to itself is 0 and nothing
near it. What is told lies in the range of 32 bits.

Source: Amazon DynamoDB API Reference, SearchVectors; that sums are of 64 bits and held in the range of
32, and that a vector of zeros is at 1 from every other, was measured on AWS (dynoxide,
tests/vector_search.rs).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Matrix = NDArray[np.float64]

COSINE: Final = "COSINE"
DOT_PRODUCT: Final = "DOT_PRODUCT"
EUCLIDEAN: Final = "EUCLIDEAN"
_MOST: Final = 3.4028234663852886e38
"""The largest number of 32 bits."""
_FARTHEST_COSINE: Final = 2.0
_PRODUCTS: Final = "ij,j->i"
_SQUARES: Final = "ij,ij->i"
"""Both go through each row by the same loop, in place: five times as fast as products that are kept."""


def scores_of(distance: str, wanted: bytes, found: Sequence[bytes]) -> list[float]:
    """Return the score of each vector.

    Args:
        distance: ``COSINE``, ``EUCLIDEAN`` or ``DOT_PRODUCT``.
        wanted: The vector to compare with, in 32 bits a number.
        found: Vectors of as many dimensions, likewise.
    """
    import numpy as np  # noqa: PLC0415 (a tenth of a second, which only who searches should wait for)

    given = np.frombuffer(wanted, "<f4").astype(np.float64)
    rows = np.frombuffer(b"".join(found), "<f4").astype(np.float64).reshape(len(found), -1)
    if distance == EUCLIDEAN:
        np.subtract(rows, given, out=rows)
        apart: Matrix = np.sqrt(np.einsum(_SQUARES, rows, rows))
        return np.minimum(apart, _MOST).tolist()
    products: Matrix = np.einsum(_PRODUCTS, rows, given)
    if distance == DOT_PRODUCT:
        return np.clip(products, -_MOST, _MOST).tolist()
    own: Matrix = np.einsum(_SQUARES, given[None, :], given[None, :])
    lengths: Matrix = np.sqrt(np.einsum(_SQUARES, rows, rows) * own)
    cosines: Matrix = np.divide(products, lengths, out=np.zeros_like(products), where=lengths > 0)
    return np.clip(1.0 - cosines, 0.0, _FARTHEST_COSINE).tolist()


def is_nearer_high(distance: str) -> bool:
    """Return whether the higher of two scores is of the nearer vector."""
    return distance == DOT_PRODUCT
