"""Where prompts and keys are sent, who allowed it, and what the user is told about it.

A variable goes to an origin (scheme, host, port) as a key only where a shipped preset ties the two,
where the user named both on the command line, or where the user's own list has them.
"""

import logging
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from yarl import URL

from distill.errors import UserError
from distill.recipes.load import Loaded
from distill.recipes.places import Origin
from distill.recipes.presets import ties
from distill.recipes.prompts import PromptsRecipe
from distill.recipes.teachers import Teacher
from distill.teachers.address import is_open, origin_of
from distill.teachers.trust import TrustList, trust_list
from distill.terminal.plain import plain
from distill.terminal.screen import ask

log = logging.getLogger("distill")
YES: Final = "yes"  # the whole word: a single y is easily typed by mistake
OPEN: Final = "over plain http, so anyone on the way can read it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """Requests to one endpoint."""

    where: str  # of the recipe: teacher, teachers.0
    to: str  # origin
    address: str  # the whole of it, foreign letters as punycode
    key_env: str | None
    allowed_by: str | None  # None: nobody

    @property
    def refused(self) -> bool:
        """Whether nobody allowed its key to go there."""
        return self.key_env is not None and self.allowed_by is None

    def __str__(self) -> str:
        if self.key_env is None:
            return f"{self.to} (no key)"
        allowed = self.allowed_by or "which nobody has allowed yet"
        over = f", {OPEN}" if is_open(self.to) else ""
        return f"{self.to} (key: ${self.key_env}, {allowed}{over})"


def ask_about_keys(loaded: Loaded[PromptsRecipe], *, yes: bool) -> None:
    """Asks the user about each key that nobody allowed yet, where there is somebody to ask.

    Args:
        loaded: the recipe, with what the user gave.
        yes: the user has said yes beforehand; not to sending a key over plain http.

    Raises:
        UserError: a key must not be sent; the text names variable, host and the ways out.
    """
    for sending in sendings(loaded):
        if sending.refused and not _agreed(sending, loaded.origin, trust_list(), yes=yes):
            raise _untrusted(sending, loaded.origin)


def refuse_untrusted(loaded: Loaded[PromptsRecipe]) -> None:
    """As ``ask_about_keys``, without asking anybody."""
    for sending in sendings(loaded):
        if sending.refused:
            raise _untrusted(sending, loaded.origin)


def say(loaded: Loaded[PromptsRecipe]) -> None:
    """Logs what goes where, a line for each endpoint; never a key's value."""
    for sending in sendings(loaded):
        log.info("sends prompts of %s to %s", _name(loaded), sending)


def say_planned(loaded: Loaded[PromptsRecipe]) -> None:
    """As ``say``, for a run that is only planned; with what would stop it."""
    say(loaded)
    for sending in sendings(loaded):
        if sending.refused:
            log.warning("would be refused: %s", _untrusted(sending, loaded.origin))
    if loaded.recipe.serve is not None:
        log.info("sends prompts of %s to this machine (served here, no key)", _name(loaded))


def say_served(loaded: Loaded[PromptsRecipe], address: str) -> None:
    """Logs which address of this machine prompts go to."""
    log.info("sends prompts of %s to %s (served here, no key)", _name(loaded), origin_of(address))


def sendings(loaded: Loaded[PromptsRecipe]) -> Iterator[Sending]:
    """One for each endpoint of the recipe, in its order.

    Raises:
        UserError: the user's list is needed and cannot be believed.
    """
    recipe = loaded.recipe
    if recipe.teacher is not None:
        yield _sending("teacher", recipe.teacher, loaded.origin)
    for i, teacher in enumerate(recipe.teachers or ()):
        yield _sending(f"teachers.{i}", teacher, loaded.origin)


def _sending(where: str, teacher: Teacher, origin: Origin) -> Sending:
    to = origin_of(teacher.base_url)
    allowed = None if teacher.key_env is None else _allowed(where, to, teacher.key_env, origin)
    return Sending(
        where=where,
        to=to,
        address=str(URL(teacher.base_url)),
        key_env=teacher.key_env,
        allowed_by=allowed,
    )


def _allowed(where: str, to: str, key_env: str, origin: Origin) -> str | None:
    for (address, name), preset in ties().items():
        if (origin_of(address), name) == (to, key_env):
            return f"tied by preset {preset}"
    if origin.gave(f"{where}.base_url") and origin.gave(f"{where}.key_env"):
        return "both named on the command line"
    return "in your trust list" if trust_list().holds(to, key_env) else None


def _agreed(sending: Sending, origin: Origin, listed: TrustList, *, yes: bool) -> bool:
    """Whether the user says yes; then it stands in the list."""
    key_env = sending.key_env or ""
    if yes and not is_open(sending.to):
        listed.add(sending.to, key_env)
        log.info("$%s may go to %s: noted in %s", key_env, sending.to, listed.path)
        return True
    if yes:
        return False
    over = f" ({OPEN})" if is_open(sending.to) else ""
    said = ask(
        f"{origin.path} wants to send the variable {key_env} as the key to {sending.to}{over}.",
        f"Type {YES} to allow that from now on: ",
    )
    if said != YES:
        return False
    listed.add(sending.to, key_env)
    return True


def _untrusted(sending: Sending, origin: Origin) -> UserError:
    over = f" {OPEN}" if is_open(sending.to) else ""
    if sending.where == "teacher":
        address = shlex.quote(f"teacher.base_url={sending.address}")  # it may be pasted in a shell
        named = f"--set {address} --set teacher.key_env={sending.key_env}"
    else:
        named = "--set teachers=[…] with both"
    scripts = "" if over else ", or --yes"
    return UserError(
        f"{origin.path}: {sending.where}.key_env: ${sending.key_env} would go to {sending.to}"
        f"{over}, and only a recipe says so; to allow it: {named}, or type yes at a terminal"
        f"{scripts} (both noted in {trust_list().path}), or use a shipped preset with its own key"
    )


def _name(loaded: Loaded[PromptsRecipe]) -> str:
    return plain(loaded.path.stem)
