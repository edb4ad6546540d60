"""The measured process: asks one way, and prints what that cost as a line of JSON.

    bare     aiohttp and orjson, nothing kept: the least that a client in Python can do
    sdk      the openai SDK in its leanest form, nothing kept
    distill  ``distill.generate``: every answer durable before it counts, then traces/

All under the same event loop (asyncio's own). Each asks one question first, so that what is
imported late or made once is counted as start.
"""

import asyncio
import json
import resource
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import suppress
from dataclasses import asdict
from functools import wraps
from importlib import import_module
from pathlib import Path
from typing import Any

from bench.cost import Cost, Job, Spent
from bench.machine import peak_mb, peak_mb_of
from bench.work import body

Asking = Callable[[str, Iterator[int], int], Coroutine[Any, Any, None]]


async def bare(url: str, numbers: Iterator[int], concurrency: int) -> None:
    """One session without a limit, ``concurrency`` workers, each body parsed once."""
    import aiohttp
    import orjson

    target, headers = f"{url}/chat/completions", {"content-type": "application/json"}

    async def worker(session: aiohttp.ClientSession) -> None:
        for n in numbers:
            sent = orjson.dumps(body(n))
            async with session.post(target, data=sent, headers=headers) as response:
                _check(response.status, orjson.loads(await response.read()))

    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=None)
    ) as session:
        await asyncio.gather(*(worker(session) for _ in range(concurrency)))


async def sdk(url: str, numbers: Iterator[int], concurrency: int) -> None:
    """The openai SDK over aiohttp, without retries and without its response models."""
    import orjson
    from openai import AsyncOpenAI, DefaultAioHttpClient

    async def worker(client: AsyncOpenAI) -> None:
        for n in numbers:
            raw = await client.chat.completions.with_raw_response.create(**body(n))
            _check(raw.http_response.status_code, orjson.loads(raw.http_response.content))

    async with DefaultAioHttpClient() as http:
        client = AsyncOpenAI(api_key="none", base_url=url, max_retries=0, http_client=http)
        await asyncio.gather(*(worker(client) for _ in range(concurrency)))


def _check(status: int, answer: Any) -> None:
    if status != 200 or not answer["choices"][0]["message"]["content"]:
        msg = f"no answer: {status} {answer}"
        raise RuntimeError(msg)


def _plain(job: Job, asking: Asking) -> Cost:
    """Runs one of the two that keep nothing: the whole of it is asking."""
    asyncio.run(asking(job.url, iter((job.count,)), 1))
    started = Spent.so_far()
    asyncio.run(asking(job.url, iter(range(job.count)), job.concurrency))
    spent = Spent.so_far().since(started)
    return _cost(job, started, spent, spent)


def _distill(job: Job) -> Cost:
    """Runs ``distill.generate``, with a clock around the part that asks."""
    spent: list[Spent] = []
    names = vars(import_module("distill.generating.run"))
    names["ask_all"] = _timed(names["ask_all"], spent)
    _generate(Path(job.folder, "warm"))
    spent.clear()
    started = Spent.so_far()
    _generate(Path(job.folder, "asked"))
    whole = Spent.so_far().since(started)
    (asking,) = spent
    return _cost(job, started, asking, whole)


def _generate(folder: Path) -> None:
    import distill

    code = distill.generate(str(folder / "recipe.yaml"), out=folder / "run")
    if code != 0:
        msg = f"distill.generate ended with {code!r}"
        raise RuntimeError(msg)


def _timed(ask_all: Callable[..., Awaitable[Any]], spent: list[Spent]) -> Callable[..., Any]:
    @wraps(ask_all)
    async def timed(*args: Any, **values: Any) -> Any:
        before = Spent.so_far()
        try:
            return await ask_all(*args, **values)
        finally:
            spent.append(Spent.so_far().since(before))

    return timed


def _cost(job: Job, started: Spent, asking: Spent, whole: Spent) -> Cost:
    peak = peak_mb() or peak_mb_of(resource.getrusage(resource.RUSAGE_SELF))
    return Cost(
        count=job.count, start_cpu_s=started.cpu_s, asking=asking, whole=whole, peak_mb=peak
    )


def main(order: str) -> None:
    """Does the job that ``order`` (JSON) says."""
    job = Job(**json.loads(order))
    plain: dict[str, Asking] = {"bare": bare, "sdk": sdk}
    cost = _distill(job) if job.side == "distill" else _plain(job, plain[job.side])
    print(json.dumps(asdict(cost)))


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main(sys.argv[1])
