"""A teacher on loopback for tests: speaks the chat API, misbehaves as told, counts what it saw."""

import asyncio
import inspect
import json
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

Made = web.StreamResponse | dict[str, Any]
Answer = Callable[[dict[str, Any], int], "Made | Awaitable[Made]"]


def completion(text: str = "\\boxed{4}", **values: Any) -> dict[str, Any]:
    """A good answer; ``message``, ``finish_reason``, ``model`` and ``usage`` can be set."""
    message = {"role": "assistant", "content": text, **values.pop("message", {})}
    finish = values.pop("finish_reason", "stop")
    usage = {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30}
    whole = {
        "id": "x",
        "object": "chat.completion",
        "created": 1,
        "model": "test-teacher",
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": usage,
    }
    return {**whole, **values}


def refusal(status: int, text: str = "no", headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response({"error": {"message": text}}, status=status, headers=headers)


@dataclass
class TeacherServer:
    """``answer(body, n)`` is asked for every request; n counts requests with the same last turn."""

    answer: Answer
    latency_s: float = 0.0
    url: str = ""
    asked: Counter[str] = field(default_factory=Counter)
    answered: Counter[str] = field(default_factory=Counter)  # 200s that were sent whole
    bodies: list[dict[str, Any]] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)
    cookies: set[str] = field(default_factory=set)
    paths: Counter[str] = field(default_factory=Counter)
    most_at_once: int = 0
    at_once: int = 0  # under way now

    async def chat(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        question = body["messages"][-1]["content"]
        self.asked[question] += 1
        count = self.asked[question]
        self.bodies.append(body)
        self.paths[request.path] += 1
        self.keys.add(request.headers.get("authorization", ""))
        self.cookies.add(request.headers.get("cookie", ""))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await asyncio.sleep(self.latency_s)
            made = self.answer(body, count)
            if inspect.isawaitable(made):
                made = await made
            if isinstance(made, dict):
                made = web.Response(body=json.dumps(made).encode(), content_type="application/json")
            if made.status == 200:
                self.answered[question] += 1
            return made
        finally:
            self.at_once -= 1


@contextmanager
def teacher_server(
    answer: Answer | None = None, latency_s: float = 0.0, port: int = 0
) -> Iterator[TeacherServer]:
    """A running server, on a free port if none is given, in a thread of its own."""
    server = TeacherServer(answer=answer or (lambda body, n: completion()), latency_s=latency_s)
    loop = asyncio.new_event_loop()
    up = threading.Event()

    async def serve() -> None:
        app = web.Application(client_max_size=2**30)
        app.router.add_post("/{version}/chat/completions", server.chat)
        runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", port)
        await site.start()
        server.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        up.set()
        await stop.wait()
        await runner.cleanup()
        left = asyncio.all_tasks() - {asyncio.current_task()}  # requests nobody waits for any more
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    stop = asyncio.Event()
    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    assert up.wait(10)
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()
