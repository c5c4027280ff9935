"""What hangs on principals: their policies, compiled once and kept under their account's epoch."""

from __future__ import annotations

from typing import Final

from fogbank.platform.iam.bound import Bound
from fogbank.platform.iam.document import Kind
from fogbank.platform.iam.evaluate import NO_POLICIES, PolicySet
from fogbank.platform.iam.policy import Policy, compile_policy
from fogbank.platform.identity import grants
from fogbank.platform.identity.cache import Epoch, Epochs, Lru
from fogbank.platform.identity.principal import Principal, PrincipalKind
from fogbank.platform.identity.records import iam_domain
from fogbank.platform.store.engine import Placement

POLICY_SETS_CACHED_MAX: Final = 2_048
DOCUMENTS_CACHED_MAX: Final = 2_048


class HangingPolicies:
    """The policies of principals, and compiled documents.

    Args:
        placement: Where the domains of accounts live.
        epochs: The epochs of accounts: what was read under another is stale.
    """

    __slots__ = ("_documents", "_epochs", "_placement", "_sets", "_token_session")

    def __init__(self, placement: Placement, epochs: Epochs) -> None:
        self._placement = placement
        self._epochs = epochs
        self._sets: Lru[tuple[object, ...], tuple[Epoch, PolicySet]] = Lru(POLICY_SETS_CACHED_MAX)
        self._documents: Lru[tuple[Kind, str, Bound], Policy] = Lru(DOCUMENTS_CACHED_MAX)
        self._token_session = grants.token_session()

    def find(self, principal: Principal) -> PolicySet | None:
        """Return what ``of`` returns if it was read before and is in force, or else None."""
        kind = principal.kind
        if kind is not PrincipalKind.USER and kind is not PrincipalKind.SESSION:
            return self._token_session if _has_token(principal) else NO_POLICIES
        entry = self._sets.find(_key_of(principal))
        if entry is not None and entry[0] == self._epochs.of(principal.account):
            return entry[1]
        return None

    async def of(self, principal: Principal) -> PolicySet:
        """Return the compiled policies that hang on a principal."""
        found = self.find(principal)
        if found is not None:
            return found
        epoch = self._epochs.of(principal.account)
        store = self._placement.store_of(iam_domain(principal.account))
        documents = await store.read(lambda tr: grants.documents_of(tr, principal))
        policies = grants.policy_set(documents, principal, self.compiled)
        if _has_token(principal):
            policies = policies._replace(session=self._token_session.session)
        self._sets.put(_key_of(principal), (epoch, policies))
        return policies

    def compiled(self, document: str, kind: Kind, bound: Bound = ()) -> Policy:
        """Return the compiled policy of a document, remembered by its text and whom it means.

        Raises:
            MalformedPolicy: The document is no policy.
        """
        key = (kind, document, bound)
        policy = self._documents.find(key)
        if policy is None:
            policy = compile_policy(document, kind=kind, bound=bound)
            self._documents.put(key, policy)
        return policy


def _has_token(principal: Principal) -> bool:
    """Return whether a principal signs with the token of GetSessionToken, without a second factor."""
    temporary = principal.issued_ms > 0 and principal.kind is not PrincipalKind.SESSION
    return temporary and not principal.mfa_ms


def _key_of(principal: Principal) -> tuple[object, ...]:
    """Return what the policies of a principal are remembered under."""
    token = _has_token(principal)
    return (principal.account, principal.unique_id, principal.session_policies, token)
