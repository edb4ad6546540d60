"""Turns a problem into the messages that are sent, through a Jinja template.

A template is the text of one user turn, with ``{{ question }}`` in it; where traces are the
prompts it can use their ``gold``, ``reasoning`` and ``response`` too. A template that needs more
turns wraps each in ``{% call system() %}``, ``{% call user() %}`` or ``{% call assistant() %}``.
Templates run in Jinja's sandbox, which loads no other file and holds nothing but the problem, and
stop where they do too much (``bounded``). The question is data and is never rendered as a template.
"""

import re
from collections.abc import Callable
from pathlib import Path

import orjson
from jinja2 import TemplateError

from distill.errors import UserError, nearest
from distill.generating.bounded import Bounded
from distill.recipes.find import names, own_file, shipped_file
from distill.recipes.places import TEMPLATE, Origin, missing, place
from distill.rows import Message, Problem

# Of Jinja's own functions; the others are random or make objects of a class.
GLOBALS = ("range", "dict", "namespace")
ROLES = ("system", "user", "assistant")
_TAG = re.compile(r"</([A-Za-z_][\w-]{0,40})>")
# What a template's own expressions raise: 1/0, a missing item, a call of the wrong form, …
FAULTS = (
    *(TemplateError, ArithmeticError, LookupError, TypeError, ValueError, RecursionError),
    MemoryError,
)


def template_text(name: str, origin: Origin) -> str:
    """The text of a template: beside the recipe, shipped, or wherever the user said.

    Raises:
        UserError: there is none of that name, it is not the recipe's to read, or it is not UTF-8.
    """
    key = "template"
    path = place(name, key, origin, TEMPLATE) or _elsewhere(name, key, origin)
    if path is None:
        hint = nearest(name.removesuffix(".jinja"), names("prompts", ".jinja"))
        raise missing(name, key, origin, f"no such template; {hint}")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        msg = f"{path}: not UTF-8 at byte {error.start}; save it as UTF-8"
        raise UserError(msg) from None


def _elsewhere(name: str, key: str, origin: Origin) -> Path | None:
    """A template of the user's own ./prompts, where the user named it; else a shipped one."""
    here = own_file(name, "prompts", ".jinja") if origin.gave(key) else None
    return here or shipped_file(name, "prompts", ".jinja")


def renderer(text: str, where: str) -> Callable[[Problem], tuple[Message, ...]]:
    """A function from a problem to its messages.

    Raises:
        UserError: the template cannot be read; later, from the function: it fails, or makes
            no turn, or its last turn is not the user's.
    """
    environment = Bounded()
    environment.globals = {name: environment.globals[name] for name in GLOBALS}
    try:
        template = environment.from_string(environment.bounded(text))
        template.globals = dict(template.globals)  # a ChainMap takes as long as the rendering
    except (TemplateError, RecursionError) as error:
        raise _unusable(where, error) from None

    closing = _closing(text)
    takes_turns = "call" in text  # most templates do not, and each is rendered for every answer

    def render(problem: Problem) -> tuple[Message, ...]:
        turns: list[Message] = []
        speakers = {role: _speaker(role, turns) for role in ROLES if takes_turns}
        fields = orjson.loads(problem.fields) if problem.fields else {}
        fields["question"] = problem.question
        if closing and problem.fields:
            fields = {key: _framed(closing, value) for key, value in fields.items()}
        environment.begin()
        try:
            plain = template.render({**fields, **speakers})
        except FAULTS as error:
            raise _unusable(where, error) from None
        messages = tuple(turns) or (Message(role="user", content=plain.strip()),)
        if messages[-1].role != "user" or not messages[-1].content:
            msg = f"{where}: its last turn must be a user turn with text in it"
            raise UserError(msg)
        return messages

    return render


def _closing(template: str) -> re.Pattern[str] | None:
    """The beginning of any closing tag that the template has around its values."""
    names = sorted(set(_TAG.findall(template)))
    if not names:
        return None
    return re.compile(rf"<\s{{0,8}}/(?=\s{{0,8}}(?:{'|'.join(names)})\s{{0,8}}>)", re.IGNORECASE)


def _framed(closing: re.Pattern[str], value: object) -> object:
    """A trace's value, which cannot end its own frame: only the slash of a closing tag changes."""
    if not isinstance(value, str):
        return value
    return closing.sub(lambda found: found[0].replace("/", "\\/"), value)


def _unusable(where: str, error: Exception) -> UserError:
    text = " ".join(str(error).split())
    return UserError(f"{where}: unusable template: {text}; it can use {{{{ question }}}}")


def _speaker(role: str, turns: list[Message]) -> Callable[..., str]:
    def speak(caller: Callable[[], str]) -> str:
        turns.append(Message(role=role, content=caller().strip()))
        return ""

    return speak
