"""What a request needs to be allowed.

Source: Service Authorization Reference, "Actions defined by AWS Lambda"; Developer Guide,
"Granting Lambda permission to pass a role".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from fogbank.base.types import Request
from fogbank.contract.action import Access, AccessOf, ContextValue, Scope
from fogbank.platform.tags import borne, named, requested
from fogbank.services.lambda_ import arns
from fogbank.services.lambda_.rules import layers, names

PRINCIPAL = "lambda.amazonaws.com"


def on_function(action: str) -> AccessOf:
    """Return the access of an operation on one function."""

    def access(scope: Scope, request: Request) -> list[Access]:
        return [Access(f"lambda:{action}", names.name_of(scope, request).qualified_arn)]

    return access


def on_url(action: str) -> AccessOf:
    """Return the access of an operation on a function's URL, with how callers are to prove themselves."""

    def access(scope: Scope, request: Request) -> list[Access]:
        arn = names.name_of(scope, request).qualified_arn
        kind: str = request.get("AuthType", "")
        context: dict[str, ContextValue] = {"lambda:FunctionUrlAuthType": kind} if kind else {}
        return [Access(f"lambda:{action}", arn, context)]

    return access


def create_function(scope: Scope, request: Request) -> list[Access]:
    """Return what CreateFunction needs: the function, its tags, and to pass its role."""
    arn = names.name_of(scope, request).arn
    tags: dict[str, str] = request.get("Tags") or {}
    # AWS: the tags that a resource is created with are its own already.
    context = requested(tags) | borne(tags) | _layers_in(request)
    accesses = [Access("lambda:CreateFunction", arn, context)]
    if tags:
        accesses.append(Access("lambda:TagResource", arn, context))
    return [*accesses, _pass_role(request["Role"], arn), *_use_layers(request)]


def tag_resource(_scope: Scope, request: Request) -> list[Access]:
    """Return what TagResource needs: the keys and values that it gives."""
    return [Access("lambda:TagResource", request["Resource"], requested(request["Tags"]))]


def untag_resource(_scope: Scope, request: Request) -> list[Access]:
    """Return what UntagResource needs: the keys that it takes away."""
    return [Access("lambda:UntagResource", request["Resource"], named(request["TagKeys"]))]


def list_tags(_scope: Scope, request: Request) -> list[Access]:
    """Return what ListTags needs."""
    return [Access("lambda:ListTags", request["Resource"])]


def update_configuration(scope: Scope, request: Request) -> list[Access]:
    """Return what UpdateFunctionConfiguration needs; a new role must be passed too."""
    named = names.name_of(scope, request)
    context = _layers_in(request)
    accesses = [Access("lambda:UpdateFunctionConfiguration", named.qualified_arn, context)]
    if "Role" in request:
        accesses.append(_pass_role(request["Role"], named.arn))
    return [*accesses, *_use_layers(request)]


def _layers_in(request: Request) -> dict[str, ContextValue]:
    """Return the condition key of the layers that a function is to use."""
    return {"lambda:Layer": tuple(request["Layers"])} if request.get("Layers") else {}


def _use_layers(request: Request) -> list[Access]:
    """Return what the caller must be allowed on the layers that a function is to use.

    AWS: "Adding layers to functions": the permission is of who configures the function.
    """
    return [Access("lambda:GetLayerVersion", arn) for arn in request.get("Layers") or ()]


def on_layer(action: str) -> AccessOf:
    """Return the access of an operation on a layer."""

    def access(scope: Scope, request: Request) -> list[Access]:
        return [Access(f"lambda:{action}", layers.name_of(scope, request).arn)]

    return access


def on_layer_version(action: str) -> AccessOf:
    """Return the access of an operation on a version of a layer."""

    def access(scope: Scope, request: Request) -> list[Access]:
        return [Access(f"lambda:{action}", layers.name_of(scope, request).version_arn)]

    return access


def get_layer_version_by_arn(_scope: Scope, request: Request) -> list[Access]:
    """Return what GetLayerVersionByArn needs."""
    return [Access("lambda:GetLayerVersion", request["Arn"])]


def list_layers(_scope: Scope, _request: Request) -> list[Access]:
    """Return what ListLayers needs."""
    return [Access("lambda:ListLayers", "*")]


def list_layer_versions(_scope: Scope, _request: Request) -> list[Access]:
    """Return what ListLayerVersions needs: it is allowed on no resource in particular."""
    return [Access("lambda:ListLayerVersions", "*")]


def on_policy(*actions: str) -> AccessOf:
    """Return the access of an operation on the whole policy of what an ARN names.

    AWS: it needs what the operations on single statements need besides (Developer Guide, "Working with
    resource-based policies in Lambda").
    """

    def access(_scope: Scope, request: Request) -> list[Access]:
        return [Access(f"lambda:{action}", request["ResourceArn"]) for action in actions]

    return access


def add_permission(scope: Scope, request: Request) -> list[Access]:
    """Return what AddPermission needs."""
    arn = names.name_of(scope, request).qualified_arn
    context: dict[str, ContextValue] = {"lambda:Principal": request["Principal"]}
    if kind := request.get("FunctionUrlAuthType"):
        context["lambda:FunctionUrlAuthType"] = kind
    return [Access("lambda:AddPermission", arn, context)]


class StatementKeys(Mapping[str, ContextValue]):
    """The condition keys of a request on a statement: those alone that the statement has."""

    __slots__ = ("sid",)

    def __init__(self, sid: str) -> None:
        self.sid = sid

    def __getitem__(self, key: str) -> ContextValue:
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def remove_permission(scope: Scope, request: Request) -> list[Access]:
    """Return what RemovePermission needs: on the principal that the statement lets in."""
    arn = names.name_of(scope, request).qualified_arn
    return [Access("lambda:RemovePermission", arn, StatementKeys(request["StatementId"]))]


def create_mapping(scope: Scope, request: Request) -> list[Access]:
    """Return what CreateEventSourceMapping needs: it names no resource, but its function; and its tags."""
    arn = names.name_of(scope, request).arn
    tags: dict[str, str] = request.get("Tags") or {}
    given = requested(tags) | borne(tags)
    context = {"lambda:FunctionArn": arn, **given}
    accesses = [Access("lambda:CreateEventSourceMapping", "*", context)]
    if tags:
        # Its id is drawn later: whoever may tag some mappings only cannot make one with tags.
        mapping = arns.mapping_arn(scope.region, scope.account, "*")
        accesses.append(Access("lambda:TagResource", mapping, given))
    return accesses


def on_mapping(action: str) -> AccessOf:
    """Return the access of an operation on one event source mapping."""

    def access(scope: Scope, request: Request) -> list[Access]:
        arn = arns.mapping_arn(scope.region, scope.account, request["UUID"])
        return [Access(f"lambda:{action}", arn)]

    return access


def list_mappings(_scope: Scope, _request: Request) -> list[Access]:
    """Return what ListEventSourceMappings needs."""
    return [Access("lambda:ListEventSourceMappings", "*")]


def list_functions(_scope: Scope, _request: Request) -> list[Access]:
    """Return what ListFunctions needs."""
    return [Access("lambda:ListFunctions", "*")]


def _pass_role(role: str, function_arn: str) -> Access:
    """Return that the caller must be allowed to hand a role to Lambda."""
    context = {"iam:PassedToService": PRINCIPAL, "iam:AssociatedResourceArn": function_arn}
    return Access("iam:PassRole", role, context)
