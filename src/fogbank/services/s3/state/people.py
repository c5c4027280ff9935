"""Who the accounts of this cloud are, for access control lists: canonical user ids and names.

An id follows from its account and not the other way round, so accounts are looked through for one:
for lists that name ids, which are few.
"""

from __future__ import annotations

from collections.abc import Iterable

from fogbank.contract.call import Call
from fogbank.services.s3.errors import MethodNotAllowed, UnresolvableGrantByEmailAddress
from fogbank.services.s3.options import DEFAULTS_BEFORE_2023
from fogbank.services.s3.rules import acls
from fogbank.services.s3.rules.acls import ANONYMOUS, ANONYMOUS_ID, Asked
from fogbank.services.s3.rules.replies import NO_NAMES, Names, Owners
from fogbank.services.s3.schema import BucketRecord, ObjectRecord, UploadRecord


async def check_people(call: Call, asked: Asked) -> None:
    """Refuse a list that names somebody who is nobody's account here.

    Raises:
        InvalidArgument: No account has the canonical user id.
        MethodNotAllowed: It names somebody by an e-mail address.
        UnresolvableGrantByEmailAddress: As it was before, for no account has an address.
    """
    addresses = acls.addresses_of(asked)
    if addresses:
        if call.chosen(DEFAULTS_BEFORE_2023):
            raise UnresolvableGrantByEmailAddress
        # AWS: since October 2025 (User Guide, "Access control list (ACL) overview").
        raise MethodNotAllowed
    wanted = acls.ids_of(asked.grants or ())
    if asked.owner_id:
        wanted |= {asked.owner_id}
    if wanted - {acls.owner_id(call.account), ANONYMOUS_ID}:
        known = frozenset(await _names(call, wanted))
        acls.check_ids(wanted, known | {ANONYMOUS_ID}, header=not asked.owner_id)


async def _names(call: Call, wanted: Iterable[str]) -> dict[str, str]:
    """Return the names of the accounts that have some of the ids."""
    missing, found = set(wanted), dict[str, str]()
    after: str | None = None
    while missing:
        page = await call.identity.list_accounts(after)
        if not page:
            break
        for account in page:
            who = acls.owner_id(account.account_id)
            if who in missing:
                missing.discard(who)
                found[who] = account.name
        after = page[-1].account_id
    return found


async def display_names(call: Call, ids: Iterable[str]) -> Names:
    """Return the display names of canonical user ids, where owners have some."""
    if not call.chosen(DEFAULTS_BEFORE_2023):
        return NO_NAMES
    return await _names(call, ids)


async def owners_of(
    call: Call, bucket: BucketRecord, records: Iterable[ObjectRecord | UploadRecord] = ()
) -> Owners:
    """Return the owners of the objects of a bucket.

    Args:
        call: The call.
        bucket: The bucket.
        records: What is to be shown; not looked at unless owners have names.
    """
    if not call.chosen(DEFAULTS_BEFORE_2023):
        return Owners(bucket)
    accounts = {bucket.account}
    for record in records:
        accounts.add(record.owner)
        if isinstance(record, UploadRecord):
            accounts.add(record.initiator)
    accounts -= {"", ANONYMOUS}
    return Owners(bucket, await _names(call, map(acls.owner_id, accounts)))
