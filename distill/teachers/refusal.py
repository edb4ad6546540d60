"""What a server says when it refuses: its own words, the HTTP status that they stand for."""

import re
from collections.abc import Iterator
from typing import Any

import orjson

SHOWN_CHARS = 200
# Refusals that every further request would meet too: bad key, empty balance, no such model.
STOP_RUN = (401, 402, 403, 404)
# Refusals of this one request: repeating it unchanged cannot help.
STOP_ROW = (400, 413, 422)
NO_CREDIT, LIMITED = 402, 429
# What servers call an error and its words: {error: {message}}, {error: text}, {message}, {detail};
# Cloudflare, Baidu, MiniMax and Apigee.
ERRORS_IN = ("error", "errors", "base_resp", "fault")
WORDS_IN = (
    *("message", "detail", "msg", "error_msg", "error_message", "status_msg", "faultstring"),
    *("exception", "error_description", "Message", "title"),
)
CODES_IN = (
    *("code", "status", "status_code", "statusCode", "http_code", "http_status", "error_code"),
    *("type", "__type"),
)
# An account without money, in whatever status: OpenAI (429 insufficient_quota,
# billing_hard_limit_reached), Moonshot (429 exceeded_current_quota_error), Zhipu (429 code 1113),
# DashScope (400 Arrearage), new-api (403 insufficient_user_quota), Fireworks (412), xAI (429),
# SiliconFlow (403), Volcengine (403 AccountOverdueError), LiteLLM (400 budget_exceeded).
NO_MONEY = re.compile(
    r"insufficient[_ ](user[_ ]|account[_ ])?(quota|balance|funds?|credits?)\b"
    r"|billing[_ ](hard[_ ]limit|not[_ ]active)|exceeded_current_quota_error|\barrearage\b|^1113$"
    r"|(account|credit) balance (is )?(insufficient|not enough|too low|overdue)|account_?overdue"
    r"|overdue balance|(out of|used all available|no remaining|have any|monthly included) credits"
    r"|monthly (spending|usage) limit|budget[_ ](has been )?exceeded|over budget"
    r"|(余额|额度)(不足|已用尽)|欠费",
    re.IGNORECASE,
)
# Alibaba's word for a minute's tokens that are used up is the one that others have for no money.
RATE_ONLY = re.compile("aliyuncs|dashscope|qwen", re.IGNORECASE)
ADD_CREDIT = "too little money is left in the account; add credit, then the same command goes on"
# A refusal for want of a key, in whatever status: Gemini's is a 400.
ABOUT_KEYS = re.compile("api.?key|authori[sz]ation|authenticat|credential|bearer", re.IGNORECASE)
NOTHING_SENT = "no key was sent; set teacher.key_env to the name of the variable that holds it"
# What the words of an error mean, the first that fits; None: worth another try. Codes and types of
# OpenAI, Anthropic (overloaded_error), Google (RESOURCE_EXHAUSTED), Moonshot
# (exceeded_current_quota_error), DashScope (Arrearage, DataInspectionFailed).
MEANS = tuple(
    (re.compile(words.replace("_", "[ _-]?"), re.IGNORECASE), status)
    for words, status in (
        ("rate_limit|too_many_requests|resource_exhausted|throttl|速率|频率|限流|频繁", 429),
        ("overload|unavailable|server_error|internal|time[ds]?_?out|upstream|try_again|繁忙", None),
        (
            "insufficient_(quota|balance|fund|credit)|payment|arrear|billing|current_quota"
            "|余额|欠费",
            402,
        ),
        ("authentic|unauthori[sz]ed|(invalid|incorrect)_api_key|api_key_not_valid|密钥|鉴权", 401),
        ("permission|forbidden|access_denied", 403),
        ("model_(is_)?not_(found|exist)|invalid_model|no_such_model|not_found_error", 404),
        (
            "invalid_(request|argument|param|prompt)|bad_request|unprocessable|failed_precondition"
            "|content_(filter|policy)|data_inspection|(context|prompt|input).{0,20}(length|long)"
            "|maximum_context|context_window|too_large",
            400,
        ),
    )
)
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
        return words_of(orjson.loads(body))
    except orjson.JSONDecodeError:
        return _line(body[: 4 * SHOWN_CHARS].decode("utf-8", "replace"))


def words_of(value: object) -> str:
    """The reason in an error as it was read, in one line of at most 200 characters."""
    try:
        return _line(_message(value))
    # nested deeper than 254: it cannot be written again; deeper than 1,000: nor looked through
    except (orjson.JSONEncodeError, RecursionError):
        return "an error within errors"


def _line(said: str) -> str:
    return (" ".join(said.split()) or "without a word")[:SHOWN_CHARS]


def _message(value: object) -> str:
    if isinstance(value, list) and value:
        return _message(value[0])
    if not isinstance(value, dict):
        return value if isinstance(value, str) else orjson.dumps(value).decode()
    named = (name for name in (*ERRORS_IN, *WORDS_IN) if value.get(name))
    name = next((name for name in named if value[name] is not True), None)
    if name is None:
        return orjson.dumps(value).decode()
    said, more = _message(value[name]), value.get("metadata")
    # OpenRouter says "Provider returned error", and what the provider said is beside it
    raw = more.get("raw") if isinstance(more, dict) else None
    return f"{said}: {raw}" if isinstance(raw, str) else said


def error_in(whole: dict[str, Any]) -> Any:
    """The error in what should be a completion; None where there is none.

    One that names no error is one only where there are neither choices nor a usage.
    """
    choices = whole.get("choices")
    for part in (whole, *(choices if isinstance(choices, list) else ())):
        if isinstance(part, dict) and (error := part.get("error")):
            return error if isinstance(error, (dict, list)) else part
    if choices or whole.get("usage"):
        return None
    named = any(whole.get(name) for name in ERRORS_IN)
    said = any(isinstance(whole.get(name), (str, list)) and whole[name] for name in WORDS_IN)
    return whole if named or said else None


def stands_for(error: Any) -> int | None:
    """The HTTP status that an error in a 200 stands for; None where it does not say.

    >>> [stands_for(one) for one in ({"code": 502}, {"type": "rate_limit_error"}, "busy")]
    [502, 429, None]
    """
    codes = list(_codes(error))
    if any(map(NO_MONEY.search, codes)):
        return NO_CREDIT
    for code in codes:
        number = int(code) if code.isascii() and code.isdigit() and len(code) == 3 else 0
        if 400 <= number < 600:
            return number
    for text in (*codes, words_of(error)):
        for words, status in MEANS:
            if words.search(text):
                return status
    return None


def _codes(error: Any) -> Iterator[str]:
    """Its codes and types, those of an error within it first."""
    if isinstance(error, list):
        error = error[0] if error else None
    if not isinstance(error, dict):
        return
    for name in ERRORS_IN:
        yield from _codes(error.get(name))
    for code in filter(None, map(error.get, CODES_IN)):
        yield str(int(code) if isinstance(code, float) and code.is_integer() else code)[
            :SHOWN_CHARS
        ]


def no_money(status: int, body: bytes, name: str) -> bool:
    """Whether a refusal says that the account is empty, so that no further request can succeed.

    Args:
        status: of the refusal.
        body: its body.
        name: the endpoint's, by address and model.

    >>> no_money(429, b'{"error": {"code": "insufficient_quota"}}', "http://a/v1 m")
    True
    """
    if status == NO_CREDIT or (status == LIMITED and RATE_ONLY.search(name)):
        return status == NO_CREDIT
    try:
        codes = _codes(orjson.loads(body))
    except orjson.JSONDecodeError:
        codes = iter(())
    said = server_said(status, body).removeprefix("Your ")
    # about one request it may repeat the prompt
    found = NO_MONEY.match(said) if status in STOP_ROW else NO_MONEY.search(said)
    return found is not None or any(map(NO_MONEY.search, codes))


def sdk_error(status: int, said: str) -> Exception:
    """The SDK's own error for a status, for callers that look at the cause; holds no key."""
    import httpx2  # what the SDK itself is built on
    import openai

    kind = getattr(openai, ERRORS.get(status, ""), openai.APIStatusError)
    request = httpx2.Request("POST", "http://teacher/chat/completions")
    error: Exception = kind(said, response=httpx2.Response(status, request=request), body=None)
    return error
