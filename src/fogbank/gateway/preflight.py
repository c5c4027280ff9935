"""A browser's question before it sends a request of another origin, where no CORS rules stand.

Rule: a preflight is never signed, so it is answered without proof, and says nothing of whether the
bucket exists.

Source: Amazon S3 User Guide, "Troubleshooting CORS"; Fetch standard, "CORS-preflight request".
"""

from __future__ import annotations

from fogbank.base.errors import ServiceError
from fogbank.gateway.render import error_of
from fogbank.wire.http import HttpRequest
from fogbank.wire.route import Route


def preflight_refusal(request: HttpRequest, route: Route) -> ServiceError:
    """Return why a preflight is refused: what it lacks, or that nothing is allowed."""
    headers = request.headers
    if "origin" not in headers:
        text = "Insufficient information. Origin request header needed."
        return error_of("BadRequest", 400, text)
    asked = headers.get("access-control-request-method", "")
    if asked not in {"GET", "PUT", "POST", "DELETE", "HEAD"}:
        text = f"Invalid Access-Control-Request-Method: {asked[:64] or 'null'}"
        return error_of("BadRequest", 400, text)
    return error_of(
        "AccessForbidden",
        403,
        "CORSResponse: CORS is not enabled for this bucket.",
        Method=asked,
        ResourceType="OBJECT" if "Key" in route.path_params else "BUCKET",
    )
