"""An address or a key that nothing can be sent with is refused before it is tried."""

import asyncio
import os
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from distill.errors import StoppedError, UserError
from distill.recipes.teachers import Address
from distill.teachers.client import client_of, send
from distill.teachers.endpoint import Endpoint

NO_ADDRESS = [
    "http://127.0.0.1:99999/v1",
    "http://127.0.0.1:0/v1",
    "http://127.0.0.1:x/v1",
    "http://127.0.0.1:80 80/v1",
    "http://exa mple/v1",
    "http://exa%20mple/v1",
    "http://host/v1 ",
    "http://ho\nst/v1",
    "http://host/v\x001",
    "http://[::1/v1",
    "http:///v1",
    "http://a..b/v1",
    "http://.a/v1",
    f"http://{'a' * 64}.com/v1",
    f"http://{'.'.join(['a' * 60] * 5)}/v1",
]
ADDRESSES = [
    "http://127.0.0.1:8000/v1",
    "http://[::1]:8000/v1",
    "https://api.x.com",
    "http://api.x.com./v1",
    "http://vllm_server:8000/v1",
    "http://bücher.de/v1",
    f"http://{'a' * 63}.com:65535/v1",
]


@pytest.mark.parametrize("url", NO_ADDRESS)
def test_an_address_that_nothing_can_be_sent_to_is_refused(url: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Address).validate_python(url)


@pytest.mark.parametrize("url", ADDRESSES)
def test_an_address_that_somebody_may_have_is_taken(url: str) -> None:
    assert TypeAdapter(Address).validate_python(url) == url


def endpoint(url: str, **values: Any) -> Endpoint:
    return Endpoint(base_url=url, model="m", concurrency=1, timeout_s=5, **values)


async def _once(one: Endpoint) -> object:
    return await send(client_of(one), {"model": "m", "messages": []})


@pytest.mark.parametrize("url", ["http://127.0.0.1:80 80/v1", f"http://{'a' * 70}.com/v1"])
def test_what_was_never_sent_ends_the_run_and_is_not_billed(url: str) -> None:
    with pytest.raises(StoppedError, match="no request can be sent to") as said:
        asyncio.run(_once(endpoint(url)))
    assert said.value.status == 0


@pytest.mark.parametrize("bad", ["\n", "\r", "\x01", "\x7f", "\x85", "ключ", "\udc80"])
def test_a_key_that_no_header_can_hold_is_refused_and_not_shown(
    bad: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(os.environ, "MY_KEY", f"canary{bad}canary")
    with pytest.raises(UserError, match="MY_KEY holds no API key") as said:
        asyncio.run(_once(endpoint("http://127.0.0.1:9/v1", key_env="MY_KEY")))
    assert "canary" not in str(said.value)
