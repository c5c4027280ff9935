"""Identity: who signs with a key, what hangs on them, and how both change.

Rule: what an account's records say is read under the account's epoch and cached under it; every
change goes through ``change``, which ends the epoch as soon as the commit is durable, before its
caller hears of it. So a revocation that was acknowledged here is in force here. Every cache is
bounded.
"""

from __future__ import annotations

import hmac
from typing import Final, TypeVar

from fogbank.base.arn import AWS
from fogbank.base.clock import Clock
from fogbank.base.errors import AccessDenied, Conflict
from fogbank.base.ids import Ids
from fogbank.platform.identity import accounts, lookups, mfa
from fogbank.platform.identity.accounts import Account, AccountTaken, NewAccount
from fogbank.platform.identity.cache import Epoch, Epochs, Lru, OwnEpochs
from fogbank.platform.identity.credentials import (
    LONG_TERM,
    SECRET_CHARACTERS,
    TEMPORARY,
    Credential,
    ExpiredToken,
    Proof,
    find_minted_account,
    mint_key_id,
)
from fogbank.platform.identity.hanging import HangingPolicies
from fogbank.platform.identity.principal import Principal, PrincipalKind
from fogbank.platform.identity.records import (
    ACCOUNTS,
    EPOCHS,
    KEY_ACCOUNTS,
    ROLES,
    EpochRecord,
    RoleRecord,
    iam_domain,
)
from fogbank.platform.identity.tokens import MASTER_KEY_BYTES, Sealer, Session
from fogbank.platform.store.engine import (
    DIRECTORY,
    Body,
    Domain,
    Placement,
    Store,
    Transaction,
)

T = TypeVar("T")

ACCOUNTS_CACHED_MAX: Final = 4_096
CREDENTIALS_CACHED_MAX: Final = 8_192
KEY_ID_CHARACTERS_MAX: Final = 128
"""AWS's own bound; a longer one is not looked for."""
ACCOUNTS_PAGE_MAX: Final = 1_000
_EXPIRED: Final = "The security token included in the request is expired"


class Identity:
    """Principals, credentials and sessions over the store.

    Args:
        placement: Where the domains live.
        clock: What ends sessions.
        ids: Where keys, secrets and unique ids come from.
        epochs: The epochs of accounts; this process's own unless several change accounts.
    """

    __slots__ = (
        "_clock", "_credentials", "_epochs", "_ids", "_placement", "policies", "sealer"
    )  # fmt: skip

    def __init__(
        self, placement: Placement, clock: Clock, ids: Ids, epochs: Epochs | None = None
    ) -> None:
        self._placement = placement
        self._clock = clock
        self._ids = ids
        self._epochs: Epochs = OwnEpochs(ACCOUNTS_CACHED_MAX) if epochs is None else epochs
        self._credentials: Lru[str, Proof] = Lru(CREDENTIALS_CACHED_MAX)
        self.policies = HangingPolicies(placement, self._epochs)
        """What hangs on principals."""
        self.sealer: Sealer | None = None

    @property
    def is_open(self) -> bool:
        """Return whether sessions can be proved already."""
        return self.sealer is not None

    async def open(self) -> None:
        """Read the master key of session tokens; the first start of a store makes it."""
        if self.sealer is not None:
            return
        fresh = self._ids.random_bytes(MASTER_KEY_BYTES)
        # One key for all stores of a cloud: it lies in the one that owns the directory.
        store = self._store(DIRECTORY)
        self.sealer = Sealer(await store.transact(lambda tr: lookups.master_key(tr, fresh)))

    # Credentials.

    async def credential(self, key_id: str, token: str = "") -> Credential | None:
        """Return the secret and the principal of an access key; see ``proof``."""
        proof = await self.proof(key_id, token)
        return None if proof is None else proof.credential

    def find_proof(self, key_id: str, token: str = "") -> Proof | None:
        """Return what ``proof`` returns if it was read before and is in force, or else None.

        Raises:
            ExpiredToken: The session of the token is over.
        """
        proof = self._credentials.find(key_id)
        if proof is not None and proof.epoch == self._epochs.of(proof.account):
            credential = proof.credential
            if not token and not credential.session_token:
                return proof
            if _same(token, credential.session_token):
                _check_unexpired(credential, self._clock.now_ms())
                return proof
        return None

    async def proof(self, key_id: str, token: str = "") -> Proof | None:
        """Return the credential of an access key, or None if it proves nothing.

        Raises:
            ExpiredToken: The session of the token is over.
        """
        found = self.find_proof(key_id, token)
        if found is not None:
            return found
        if len(key_id) > KEY_ID_CHARACTERS_MAX:
            return None
        if token:
            return await self._session_proof(key_id, token)
        return await self._key_proof(key_id)

    async def _key_proof(self, key_id: str) -> Proof | None:
        """Read a long-term key."""
        minted = find_minted_account(key_id)
        found = None if minted is None else await self._read_key(minted, key_id)
        if found is not None:
            return found
        held = await self._store(DIRECTORY).read(lambda tr: KEY_ACCOUNTS.find(tr, key_id))
        return None if held is None else await self._read_key(held.account, key_id)

    async def _read_key(self, account: str, key_id: str) -> Proof | None:
        """Read a long-term key in its account's domain, and file it."""
        epoch = self._epochs.of(account)
        credential = await self._store_of(account).read(
            lambda tr: lookups.find_key(tr, account, key_id)
        )
        if credential is None:
            return None
        proof = Proof(account, epoch, credential)
        self._credentials.put(key_id, proof)
        return proof

    async def _session_proof(self, key_id: str, token: str) -> Proof | None:
        """Check a session token and that its role or user still stands."""
        assert self.sealer is not None, "identity is opened before it is asked"
        opened = self.sealer.open(token)
        if opened is None or not _same(opened[0].key_id, key_id):
            return None
        session, secret = opened
        epoch = self._epochs.of(session.account)
        principal = await self._session_principal(session)
        if principal is None:
            return None
        credential = Credential(
            access_key_id=key_id,
            secret_access_key=secret,
            principal=principal,
            session_token=token,
            expires_ms=session.expires_ms,
        )
        _check_unexpired(credential, self._clock.now_ms())
        proof = Proof(session.account, epoch, credential)
        self._credentials.put(key_id, proof)
        return proof

    async def _session_principal(self, session: Session) -> Principal | None:
        """Return the principal of a session, or None if its role or user is gone."""
        return await self._store_of(session.account).read(
            lambda tr: lookups.find_session_principal(tr, session)
        )

    async def session(self, session: Session) -> Credential:
        """Return the temporary credential of a session of ``new_session``; nothing is stored.

        Raises:
            Conflict: The role or user was deleted meanwhile.
        """
        assert self.sealer is not None, "identity is opened before it is asked"
        token, secret = self.sealer.seal(session)
        principal = await self._session_principal(session)
        if principal is None:
            raise Conflict(f"{session.name} was deleted while a session was asked for")
        return Credential(
            access_key_id=session.key_id,
            secret_access_key=secret,
            principal=principal,
            session_token=token,
            expires_ms=session.expires_ms,
        )

    async def require_code(self, principal: Principal, serial: str, code: str) -> None:
        """Take a code of an MFA device of a principal, which nobody can use again.

        Raises:
            AccessDenied: In the words of STS: it is none of a device of theirs, or was taken before.
        """
        now_ms = self._clock.now_ms()
        store = self._store_of(principal.account)
        refusal = await store.transact(lambda tr: mfa.spend(tr, principal, serial, code, now_ms))
        if refusal:
            raise AccessDenied(refusal)

    def new_session(
        self, *, account: str, kind: PrincipalKind, unique_id: str, name: str, duration_s: int
    ) -> Session:
        """Return a session with a fresh key id that begins now; for ``session`` to seal."""
        now_ms = self._clock.now_ms()
        return Session(
            key_id=mint_key_id(TEMPORARY, account, self._ids),
            account=account,
            kind=kind.value,
            unique_id=unique_id,
            name=name,
            issued_ms=now_ms,
            expires_ms=now_ms + duration_s * 1000,
        )

    def epoch_of(self, account: str) -> Epoch:
        """Return the current epoch of an account: what was read under another is stale."""
        return self._epochs.of(account)

    def end_epoch(self, account: str) -> None:
        """End the epoch of an account, whose resource's policy or key has changed durably."""
        self._epochs.end(account)

    # Changes.

    async def change(self, account: str, body: Body[T]) -> T:
        """Transact in an account's IAM domain and end the account's epoch."""
        try:
            return await self._store_of(account).transact(_counting(body))
        finally:
            # Whatever the outcome: a commit that is unknown may have happened.
            self._epochs.end(account)

    async def find_role(self, account: str, name: str) -> RoleRecord | None:
        """Return a role of an account, or None."""
        role = await self._store_of(account).read(lambda tr: ROLES.find(tr, name.lower()))
        return role if role is not None and role.name == name else None

    # Accounts.

    @staticmethod
    def mint_key_id(account: str, ids: Ids) -> str:
        """Return a fresh long-term access key id that holds its account."""
        return mint_key_id(LONG_TERM, account, ids)

    async def create_account(
        self,
        name: str,
        *,
        account_id: str | None = None,
        access_key_id: str | None = None,
        secret_access_key: str | None = None,
        partition: str = AWS,
    ) -> Credential:
        """Make an account and return its root credential.

        Args:
            name: What operators call it; unique.
            account_id: Twelve digits; drawn if not given.
            access_key_id: The root key's id; minted if not given.
            secret_access_key: Drawn if not given.
            partition: The one whose regions it has.

        Raises:
            AccountTaken: Id, name or key id belongs to another account.
        """
        drawn = account_id or self._ids.digits(12)
        new = NewAccount(
            account_id=drawn,
            name=name,
            key_id=access_key_id or self.mint_key_id(drawn, self._ids),
            secret=secret_access_key or self._ids.base62(SECRET_CHARACTERS),
            created_ms=self._clock.now_ms(),
            partition=partition,
        )
        directory = self._store(DIRECTORY)
        account = await directory.transact(lambda tr: accounts.reserve(tr, new))
        await self.change(account, lambda tr: accounts.write(tr, new, account))
        await directory.transact(lambda tr: accounts.activate(tr, account))
        credential = await self.credential(new.key_id)
        assert credential is not None, "a fresh root key proves its account"
        return credential

    async def require_free(self, name: str, account_id: str, key_id: str) -> None:
        """Refuse what another account has: for whoever must know before ``create_account``.

        Raises:
            AccountTaken: Name, id or key id belongs to another account.
        """
        if await self._key_proof(key_id) is not None:
            raise AccountTaken(f"the access key id {key_id} belongs to another account")
        await self._store(DIRECTORY).read(
            lambda tr: accounts.require_free(tr, name, account_id, key_id)
        )

    async def find_account(self, name_or_id: str) -> Account | None:
        """Return an account by id or name, or None."""
        return await self._store(DIRECTORY).read(lambda tr: accounts.find(tr, name_or_id))

    async def list_accounts(self, after: str | None = None) -> list[Account]:
        """Return up to ``ACCOUNTS_PAGE_MAX`` accounts in order of id, behind ``after``."""
        return await self._store(DIRECTORY).read(
            lambda tr: accounts.page(tr, after, ACCOUNTS_PAGE_MAX)
        )

    async def root_credential(self, account: str) -> Credential | None:
        """Return the first root credential of an account, for the operator's own eyes."""
        record = await self._store_of(account).read(lambda tr: ACCOUNTS.find(tr))
        if record is None or not record.root_keys:
            return None
        return await self.credential(record.root_keys[0])

    async def account_of_key(self, key_id: str) -> str | None:
        """Return the account of an access key id, whether or not the key stands."""
        held = await self._store(DIRECTORY).read(lambda tr: KEY_ACCOUNTS.find(tr, key_id))
        return find_minted_account(key_id) if held is None else held.account

    def _store(self, domain: Domain) -> Store:
        """Return the store of a domain."""
        return self._placement.store_of(domain)

    def _store_of(self, account: str) -> Store:
        """Return the store of an account's IAM domain."""
        return self._placement.store_of(iam_domain(account))


def _check_unexpired(credential: Credential, now_ms: int) -> None:
    """Refuse the credential of a session that is over."""
    if now_ms >= credential.expires_ms:
        raise ExpiredToken(_EXPIRED)


def _counting(body: Body[T]) -> Body[T]:
    """Return a body that also counts the changes of its account."""

    async def counted(tr: Transaction) -> T:
        result = await body(tr)
        epoch = await EPOCHS.find(tr)
        EPOCHS.put(tr, EpochRecord(1 if epoch is None else epoch.number + 1))
        return result

    return counted


def _same(one: str, other: str) -> bool:
    """Compare two texts in time that does not depend on where they differ."""
    return hmac.compare_digest(one.encode(), other.encode())
