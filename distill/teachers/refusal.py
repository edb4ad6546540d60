"""What a server says when it refuses: its own words, and the openai SDK's class for it."""

import orjson

SHOWN_CHARS = 200
ERRORS = {
    400: "BadRequestError",
    401: "AuthenticationError",
    403: "PermissionDeniedError",
    404: "NotFoundError",
    409: "ConflictError",
    422: "UnprocessableEntityError",
    429: "RateLimitError",
}


def server_said(status: int, body: bytes) -> str:
    """The reason in a refusal's body, in one line of at most 200 characters.

    >>> server_said(400, b'{"error": {"message": "no such model"}}')
    'no such model'
    >>> server_said(502, b"<html>Bad gateway</html>")
    '<html>Bad gateway</html>'
    """
    try:
        said = _message(orjson.loads(body))
    # nested deeper than 254: it cannot be written again; deeper than 1,000: nor looked through
    except (orjson.JSONDecodeError, orjson.JSONEncodeError, RecursionError):
        said = body[: 4 * SHOWN_CHARS].decode("utf-8", "replace")
    return (" ".join(said.split()) or "without a word")[:SHOWN_CHARS]


def _message(value: object) -> str:
    """Servers differ: {error: {message}}, {error: text}, {message}, {detail}."""
    for name in ("error", "message", "detail"):
        if isinstance(value, dict) and value.get(name):
            return _message(value[name])
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def sdk_error(status: int, said: str) -> Exception:
    """The SDK's own error for a status, for callers that look at the cause; holds no key."""
    import httpx2  # what the SDK itself is built on
    import openai

    kind = getattr(openai, ERRORS.get(status, ""), openai.APIStatusError)
    request = httpx2.Request("POST", "http://teacher/chat/completions")
    error: Exception = kind(said, response=httpx2.Response(status, request=request), body=None)
    return error
