"""Whom the ARNs of a stored policy meant when it was put.

Rule: a policy that stands beside a resource or a role names users and roles by ARN, and means the
users and roles that had those names then. Their unique ids are kept beside the document and it is
compiled with them, so that another user of the same name is not the one that is named; what was
decided by a compiled policy is remembered under that policy, ids and all.

Source: IAM User Guide, "AWS JSON policy elements: Principal": the ARN "is transformed to the
user's unique principal ID when you save the policy", and who is gone is shown by that id.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, cast


class BoundName(NamedTuple):
    """An ARN in a policy, and whom it meant."""

    arn: str
    """Of a user, a role, or a session of a role."""
    unique_id: str
    """The id that the user, the role or the session's role had."""
    sid: str = ""
    """The statement that names it; empty: every one of the document. Policies that are put
    together one statement at a time may mean different users by one name."""

    @property
    def principal_id(self) -> str:
        """Return what ``aws:userid`` says of whom it meant."""
        session = self.arn.rpartition("/")[2] if ":assumed-role/" in self.arn else ""
        return f"{self.unique_id}:{session}" if session else self.unique_id


Bound = tuple[BoundName, ...]


class BoundPolicy(NamedTuple):
    """A stored document with whom its names mean."""

    document: str
    """JSON."""
    bound: Bound = ()


def ids_of(bound: Iterable[BoundName], sid: str) -> Mapping[str, str]:
    """Return the principal ids of the ARNs that a statement names."""
    return {name.arn: name.principal_id for name in bound if name.sid in ("", sid)}


def with_ids(document: str, gone: Bound) -> str:
    """Return a document in which names of those who are gone are their ids."""
    if not gone:
        return document
    whole = json.loads(document)
    said = whole["Statement"]
    for statement in cast("list[dict[str, Any]]", said if isinstance(said, list) else [said]):
        ids = ids_of(gone, statement.get("Sid", ""))
        for element in ("Principal", "NotPrincipal"):
            names = statement.get(element)
            if isinstance(names, dict) and "AWS" in names:
                names["AWS"] = _with_ids(cast("str | list[str]", names["AWS"]), ids)
    return json.dumps(whole, separators=(",", ":"))


def _with_ids(names: str | list[str], ids: Mapping[str, str]) -> str | list[str]:
    """Return names with ids in place of ARNs."""
    if isinstance(names, str):
        return ids.get(names, names)
    return [ids.get(name, name) for name in names]
