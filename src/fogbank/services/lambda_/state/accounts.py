"""What the functions of an account and region take of what they share: one record of the domain.

Concurrency is held there, and the bytes of code that are stored: zip files of functions, of each of their
versions, and of versions of layers. A store that was written before there was such a sum is counted once.

Source: Developer Guide, "Lambda quotas" (each version consumes storage); API Reference, AccountUsage.
"""

from __future__ import annotations

from typing import Final

import msgspec

from fogbank.platform.store.engine import Transaction
from fogbank.platform.store.tuples import Element
from fogbank.services.lambda_.errors import CodeStorageExceededException
from fogbank.services.lambda_.schema import (
    ACCOUNTS,
    FUNCTIONS,
    LAYER_VERSIONS,
    VERSIONS,
    AccountRecord,
)

_ACCOUNT: Final = "account"
_PAGE: Final = 1_000


async def find_account(tr: Transaction) -> AccountRecord:
    """Return what is taken, with the bytes of code counted."""
    found = await ACCOUNTS.find(tr, _ACCOUNT) or AccountRecord()
    if found.code_bytes >= 0:
        return found
    return msgspec.structs.replace(found, code_bytes=await _count(tr))


async def _count(tr: Transaction) -> int:
    """Return how many bytes of code are stored, by looking at every record."""
    total = 0
    for table in (FUNCTIONS, VERSIONS, LAYER_VERSIONS):
        after: tuple[Element, ...] | None = None
        while page := await table.list(tr, limit=_PAGE, after=after):
            total += sum(record.code_size for _, record in page)
            after = page[-1][0]
    return total


def _put(tr: Transaction, account: AccountRecord) -> None:
    """Write what is taken; nothing is written of nothing."""
    if account == AccountRecord(code_bytes=0):
        ACCOUNTS.delete(tr, _ACCOUNT)
    else:
        ACCOUNTS.put(tr, account, _ACCOUNT)


async def find_held(tr: Transaction) -> int:
    """Return what functions hold of the concurrency of an account and region."""
    account = await ACCOUNTS.find(tr, _ACCOUNT)
    return 0 if account is None else account.held


async def add_held(tr: Transaction, change: int) -> None:
    """Write what all functions hold together."""
    if not change:
        return
    account = await find_account(tr)
    held = account.held + change
    assert held >= 0, "what functions hold comes and goes with them"
    _put(tr, msgspec.structs.replace(account, held=held))


async def store_code(tr: Transaction, size: int, bytes_max: int, instead_of: int = 0) -> None:
    """Count code that is stored, before its record is written.

    Args:
        tr: The transaction.
        size: How many bytes come.
        bytes_max: How many there may be together.
        instead_of: How many go for them.

    Raises:
        CodeStorageExceededException: There would be too many.
    """
    account = await find_account(tr)
    total = account.code_bytes + size - instead_of
    if total > bytes_max and size > instead_of:
        raise CodeStorageExceededException("Code storage limit exceeded.")
    _put(tr, msgspec.structs.replace(account, code_bytes=max(0, total)))


async def release_code(tr: Transaction, size: int) -> None:
    """Count code that is stored no more, before its record is removed."""
    account = await find_account(tr)
    left = account.code_bytes - size
    assert left >= 0, "what goes was counted when it came"
    _put(tr, msgspec.structs.replace(account, code_bytes=left))
