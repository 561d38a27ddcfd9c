"""Errors as a Databricks workspace answers them: a status, a code and a message.

Source: databricks.sdk.errors.platform
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse


class ApiError(Exception):
    """What a request is refused with.

    Args:
        status: of HTTP.
        code: the `error_code`, of which databricks-sdk makes its exception (databricks.sdk.errors.platform).
        message: for people.
        reason: of the details' `ErrorInfo`, where the service tells one.
    """

    def __init__(self, status: int, code: str, message: str, reason: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.reason = reason

    def answer(self) -> JSONResponse:
        """Return the response."""
        body: dict[str, object] = {"error_code": self.code, "message": self.message}
        if self.reason:
            kind = "type.googleapis.com/google.rpc.ErrorInfo"
            body["details"] = [{"@type": kind, "reason": self.reason, "domain": "databricks.com"}]
        return JSONResponse(body, self.status)


def invalid(message: str) -> ApiError:
    return ApiError(400, "INVALID_PARAMETER_VALUE", message)


def not_there(message: str) -> ApiError:
    return ApiError(404, "RESOURCE_DOES_NOT_EXIST", message)


def denied(message: str) -> ApiError:
    return ApiError(403, "PERMISSION_DENIED", message)


async def on_api_error(request: Request, error: Exception) -> JSONResponse:
    """Answer an `ApiError`, as a handler of Starlette's."""
    assert isinstance(error, ApiError)
    return error.answer()
