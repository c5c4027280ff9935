"""Decisions that were made, for as long as all that they depend on is the same.

Rule: a decision is remembered only if the evaluation asked for no condition key that varies from
request to request (time, address, parameters); then it is a function of the caller, the policies,
the action and the resource, and of nothing else.

Theory: compiled policies and callers are values: a change of an account ends its epoch, after
which both are read and made anew, so that a changed policy or caller is another object. Entries go
by the identity of these objects and hold them, whence no other object can have their identity
while the entry stands. A change is thus in force at once without anybody clearing anything: what
was remembered is under objects that nobody asks with any more. Two generations bound the number of
entries and forget what was not used for long, without moving an entry on every use.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from fogbank.platform.iam.decision import Decision
from fogbank.platform.iam.evaluate import PolicySet, evaluate
from fogbank.platform.iam.policy import Policy
from fogbank.platform.iam.request import AccessRequest, Caller, ContextValue

GENERATION_MAX: Final = 4_096
"""Entries of one generation; there are two."""
RESOURCE_CHARACTERS_MAX: Final = 512
"""Decisions on resources of longer names are not remembered."""

_Key = tuple[int, int, int, str, str, str]
_Entry = tuple[Decision, Caller, PolicySet, Policy | None]


class Decisions:
    """Decides requests, and remembers what can be remembered."""

    __slots__ = ("_old", "_young")

    def __init__(self) -> None:
        self._young: dict[_Key, _Entry] = {}
        self._old: dict[_Key, _Entry] = {}

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def find(
        self,
        caller: Caller,
        policies: PolicySet,
        policy: Policy | None,
        action: str,
        resource: str,
        owner: str,
    ) -> Decision | None:
        """Return what was decided of a request, if it is remembered; see ``decide``.

        Nobody needs the condition keys of a request for it.
        """
        key = (id(caller), id(policies), id(policy), action, resource, owner)
        entry = self._young.get(key)
        if entry is not None:
            return entry[0]
        entry = self._old.get(key)
        if entry is None:
            return None
        self._file(key, entry)
        return entry[0]

    def decide(  # noqa: PLR0913 (as ``find``)
        self,
        caller: Caller,
        policies: PolicySet,
        action: str,
        resource: str,
        context: Mapping[str, ContextValue],
        *,
        owner: str = "",
        policy: Policy | None = None,
        required: bool = False,
    ) -> Decision:
        """Decide one request.

        Args:
            caller: Who asks: the same object for the same caller.
            policies: What hangs on the caller: the same object for the same policies.
            action: Such as ``s3:PutObject``.
            resource: Its ARN, or ``*``.
            context: Condition keys to values; what it says of the caller must follow from the
                caller.
            owner: The account that owns the resource, where its ARN does not say.
            policy: The resource's own policy.
            required: The policy must allow inside the owner's account too; always the same for
                one resource.
        """
        found = self.find(caller, policies, policy, action, resource, owner)
        if found is not None:
            return found
        request = AccessRequest(caller, action, resource, context, owner)
        decision = evaluate(request, policies.with_resource(policy, required=required))
        if not request.varies and len(resource) <= RESOURCE_CHARACTERS_MAX:
            key = (id(caller), id(policies), id(policy), action, resource, owner)
            self._file(key, (decision, caller, policies, policy))
        return decision

    def _file(self, key: _Key, entry: _Entry) -> None:
        """File an entry in the young generation; a full one becomes the old one."""
        if len(self._young) >= GENERATION_MAX:
            self._old, self._young = self._young, {}
        self._young[key] = entry
