"""What Azure refuses, in one line: what was asked, what the service said, what to do.

Azure ML's errors have no `message` where MLflow looks for it, so MLflow shows the whole document. They come
in two shapes: its MLflow's `{"Error": {"Message": ...}, "error_code": ...}`, and that of run history and of
what stands before both, `{"error": {"message": ...}}`. Source: recordings in
https://github.com/microsoft/promptflow (src/promptflow-evals/tests/recordings/azure).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from mlflow.exceptions import MlflowException, RestException
from mlflow.protos import databricks_pb2
from mlflow.protos.databricks_pb2 import ErrorCode

_CODES = {
    400: "INVALID_PARAMETER_VALUE",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "RESOURCE_DOES_NOT_EXIST",
    409: "RESOURCE_ALREADY_EXISTS",
    429: "REQUEST_LIMIT_EXCEEDED",
    503: "TEMPORARILY_UNAVAILABLE",
}
_STATUS = {
    "AuthenticationFailed": 401,
    "AuthorizationFailed": 403,
    "ExpiredAuthenticationToken": 401,
    "InvalidAuthenticationToken": 401,
    "NotFoundError": 404,
}
_TO_DO = {
    "PERMISSION_DENIED": "give whoever logs in the role AzureML Data Scientist on the workspace",
    "REQUEST_LIMIT_EXCEEDED": "log less often, or many values in one call",
    "TEMPORARILY_UNAVAILABLE": "try it again later",
    "UNAUTHENTICATED": "`azureml_databricks.doctor()` looks at the login",
}
# The fields of a request that say what it is about, and hold no secret.
_SUBJECTS = ("name", "new_name", "experiment_name", "version", "alias", "key", "run_id", "experiment_id")
_MOST = 80

# MLflow's words where an answer is no JSON, and where it has given up.
_NO_JSON = re.compile(
    r"failed with error code (?P<status>\d+) != \d+\. Response body: '(?P<body>.*)'", re.DOTALL
)
_GIVEN_UP = re.compile(
    r"API request to (?P<url>\S+) failed with exception (?P<reason>.*)", re.DOTALL | re.IGNORECASE
)
_TOO_MANY = re.compile(r"too many (\d{3}) error responses")
_PAGE = re.compile(
    r"API request to endpoint was successful but the response body was not in a valid JSON format\. "
    r"Response body: '(?P<body>.*)'",
    re.DOTALL,
)
# As http.client has it, in whatever others make of it.
_CUT = re.compile(
    r".*IncompleteRead\((?P<read>\d+) bytes read, (?P<missing>\d+) more expected\).*", re.DOTALL
)
# As urllib3 has it.
_UNREACHED = re.compile(
    r"HTTPS?ConnectionPool\(host='(?P<host>[^']*)', port=\d+\): Max retries exceeded with url: \S* "
    r"\(Caused by (?P<why>.*)\)",
    re.DOTALL,
)


@contextmanager
def in_one_line(api: str, body: str | None, workspace: str) -> Iterator[None]:
    """Make what MLflow raises of Azure ML's answers readable; MLflow's error codes stay.

    Args:
        api: MLflow's name of it, such as `CreateRun`.
        body: the request's, in JSON.
        workspace: the workspace's name.

    Raises:
        MlflowException: in one line.
    """
    try:
        yield
    except RestException as refusal:
        asked = _asked(api, body)
        code = _code_of(refusal.json)
        line = _line(asked, workspace, said(refusal.json), code)
        raise RestException({**refusal.json, "error_code": code, "message": line}) from None
    except MlflowException as failure:
        if found := _NO_JSON.search(failure.message):
            status, what = int(found["status"]), plain(found["body"])
            if status == 404 and not what:  # such an endpoint is missing, which is told in words of its own
                raise
        elif found := _GIVEN_UP.match(failure.message):
            many = _TOO_MANY.search(found["reason"])
            status = int(many[1]) if many else 503
            what = f"{status}, again and again" if many else plain(found["reason"])
        elif found := _PAGE.search(failure.message):
            status = 500
            what = f"something else answers in its place: {plain(found['body'])}"
        else:
            raise
        code = code_of(status)
        line = _line(_asked(api, body), workspace, what or str(status), code)
        raise MlflowException(line, error_code=ErrorCode.Value(code)) from None


def said(document: Mapping[str, Any]) -> str:
    """Return the message in an answer of Azure ML's, with those of its details, in one line."""
    error = _error_in(document)
    details = error.get("Details") or error.get("details") or ()
    messages = [document.get("message"), *(_message(part) for part in (error, *details))]
    told = list(dict.fromkeys(plain(str(message)) for message in messages if message))
    return " ".join(told) or plain(json.dumps(document))[:500]


def is_of_an_expired_token(document: Mapping[str, Any]) -> bool:
    """Return whether Azure ML answers that it takes the token for expired: nothing was done then."""
    return _error_in(document).get("code") == "ExpiredAuthenticationToken"


def missing(parameter: str) -> MlflowException:
    """Return the error of MLflow's own server for a call without a parameter that it needs."""
    return MlflowException.invalid_parameter_value(
        f"Missing value for required parameter {parameter!r}. "
        "See the API docs for more information about request parameters."
    )


def require_parameters(api: Any, json_body: str | None) -> None:
    """Refuse a call that lacks what MLflow's own server asks for: `None` where a name is expected.

    Args:
        api: MLflow's message of the call.
        json_body: its fields; None for a call that has them in its address.

    Raises:
        MlflowException: in MLflow's words.
    """
    if json_body is None:
        return
    required = [
        field.name
        for field in api.DESCRIPTOR.fields
        if field.GetOptions().Extensions[databricks_pb2.validate_required]
    ]
    given = json.loads(json_body) if required else {}
    for name in required:
        if name not in given:
            raise missing(name)


def code_of(status: int) -> str:
    """Return the error code of MLflow's that an HTTP status means."""
    return _CODES.get(status, "INTERNAL_ERROR")


def _code_of(document: Mapping[str, Any]) -> str:
    code = document.get("error_code")
    if code in ErrorCode.keys():  # noqa: SIM118  # a protobuf enumeration, which is no dictionary
        return str(code)
    error = _error_in(document)
    names = (error.get("code"), (error.get("innerError") or {}).get("code"))
    known = (_STATUS[name] for name in names if name in _STATUS)
    return code_of(next(known, None) or int(document.get("statusCode") or 500))


def _error_in(document: Mapping[str, Any]) -> Mapping[str, Any]:
    error = document.get("Error") or document.get("error")
    return error if isinstance(error, dict) else {"message": error}


def _message(part: Any) -> Any:
    return (part.get("Message") or part.get("message")) if isinstance(part, dict) else part


def _line(asked: str, workspace: str, what: str, code: str) -> str:
    to_do = f"; {_TO_DO[code]}" if code in _TO_DO else ""
    return f"Azure ML (workspace {workspace!r}) does not {asked}: {what.rstrip('. ')}{to_do}"


def _asked(api: str, body: str | None) -> str:
    """Return in words what a request asks for: `create run (name 'first')`."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", api).lower()
    fields = json.loads(body) if body else {}
    about = [f"{name} {_short(fields[name])}" for name in _SUBJECTS if fields.get(name)]
    return f"{words} ({', '.join(about)})" if about else words


def _short(value: object) -> str:
    text = str(value)
    return repr(text if len(text) <= _MOST else f"{text[:_MOST]}...")


def plain(text: str) -> str:
    """Return a text, a page in HTML, or what a library says of the network, in one line of plain words."""
    if found := _CUT.fullmatch(text):
        whole = int(found["read"]) + int(found["missing"])
        return f"the answer ended early, after {found['read']} of {whole} bytes"
    if found := _UNREACHED.fullmatch(text):
        return f"{found['host']} cannot be reached: {plain(found['why'])}"
    return " ".join(re.sub(r"<[^>]*>", " ", text).split())[:1000]
