"""Encodes text word by word, each word once: the tokenizer's own ids at several times its speed.

A byte-level tokenizer cuts a text into words and encodes each by itself, and a set of traces says
the same words again and again. Where this tokenizer, or a letter, is not proved to work like that,
nothing is encoded here: ``encode`` returns None, and the tokenizer does it.
"""

import json
import random
import re
import unicodedata
from array import array
from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any

# What ByteLevel(use_regex) of the library tokenizers cuts at, byte_level.rs.
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
# The same where every digit was cut off before, so that a space before one ends its part.
DIGITS = r"\p{N}|'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?[^\s\p{L}\p{N}]+|\s+(?![^\s\p{N}])|\s+"
# Pieces of text that sit next to each other in many ways, for comparing two ways of cutting.
ALPHABET = (
    *("a", "Bc", "é", "ß", "中", "の", "1", "23", "²", "٣", "Ⅷ", " ", "  ", "\t", "\n", "\r\n"),
    *("\n\n", "!", "...", "'s", "'LL", "'", "_", "-", "$", "\\", "🙂"),
    *("\u0301", "\u200d", "\u3000"),
)
TRIALS = 400  # random texts of up to 24 such pieces; cutting them all takes 20 ms
SEED = 13
MOST = 500_000  # words that are remembered: 100 MB
LONG = 64  # characters of a word; a longer one hardly ever comes again


class Words(dict[str, tuple[int, ...]]):
    """The ids of each word so far; a new word is encoded by the tokenizer."""

    def __init__(self, backend: Any, source: str, added: Mapping[str, int], *, composes: bool):
        """Of a Rust tokenizer that ``words_of`` has looked at."""
        import regex  # transformers needs it too

        super().__init__()
        self.added = added
        self._backend, self._composes = backend, composes
        self._found = regex.compile(source).findall
        self._tokens = _either(added)
        self._known = frozenset(map(chr, range(128)))
        self._refused: set[str] = set()

    def encode(self, text: str) -> "array[int] | None":
        """The ids of the text, which decode to it again; None if the tokenizer must say."""
        if not text.isascii() and not self._knows(text):
            return None
        try:
            if self._tokens is None or self._tokens.search(text) is None:
                return self._plain(text)
            found = array("i")
            for part in self._tokens.split(text):
                one = self.added.get(part)
                found.extend(self._plain(part) if one is None else (one,))
        except _UnsureError:
            return None
        return found

    def _plain(self, text: str) -> "array[int]":
        words = self._found(text)
        if sum(map(len, words)) != len(text):  # something stands between the words
            raise _UnsureError
        return array("i", chain.from_iterable(map(self.__getitem__, words)))

    def __missing__(self, word: str) -> tuple[int, ...]:
        ids = tuple(self._backend.encode(word, add_special_tokens=False).ids)
        # a word that would be cut again by itself, or that the tokenizer cannot write
        if self._found(word) != [word] or self._backend.decode(ids, False) != word:
            raise _UnsureError
        if len(self) < MOST and len(word) <= LONG:
            self[word] = ids
        return ids

    def _knows(self, text: str) -> bool:
        """Whether every letter is cut as the tokenizer does, and the text is already composed."""
        if not self._known.issuperset(text):
            new = set(text) - self._known
            if new & self._refused:
                return False
            if wrong := {letter for letter in new if not self._agrees(letter)}:
                self._refused |= wrong
                return False
            self._known |= new
        return not self._composes or unicodedata.is_normalized("NFC", text)

    def _agrees(self, letter: str) -> bool:
        # of a letter that this Python does not know, it cannot say what composes with it
        if unicodedata.category(letter) in ("Cn", "Cs"):
            return False
        around = ("a{}a", "1{}1", "!{}!", " {} ", "\n{}\n", "{0}{0}", "'{}", "'l{}", "'r{}", "'v{}")
        texts = (form.format(letter) for form in around)
        return all(self._found(text) == _cut(self._backend, text) for text in texts)


class _UnsureError(Exception):
    """The text must be encoded by the tokenizer itself."""


def words_of(tokenizer: Any) -> Words | None:
    """The Words of a Hugging Face tokenizer; None if it does not cut into words first.

    It cuts as Qwen2.5, Llama 3, GPT-2 or SmolLM2 do, and was compared with the tokenizer on odd
    texts just now.
    """
    backend: Any = getattr(tokenizer, "backend_tokenizer", None)
    if not hasattr(backend, "encode_batch_fast"):
        return None
    source, composes = _pattern(_told(backend.pre_tokenizer)), _composes(_told(backend.normalizer))
    tokens = backend.get_added_tokens_decoder()
    odd = any(token.lstrip or token.rstrip or token.single_word for token in tokens.values())
    mixed = len({token.normalized for token in tokens.values()}) > 1  # found in two passes
    if source is None or composes is None or odd or mixed or backend.model.dropout:
        return None
    added = {token.content: number for number, token in tokens.items()}
    found = Words(backend, source, added, composes=composes)
    return found if _agree(found, tokenizer) else None


def _told(part: Any) -> Any:
    """The settings of a part of the tokenizer, as in tokenizer.json."""
    return {} if part is None else json.loads(part.__getstate__())


def _pattern(kind: Any) -> str | None:
    """What the tokenizer cuts at, as one regular expression that matches every word."""
    steps = kind.get("pretokenizers", [kind])
    names = [step.get("type") for step in steps]
    last = steps[-1]
    if names[-1] != "ByteLevel" or last["add_prefix_space"]:
        return None
    if names == ["Split", "ByteLevel"] and not last["use_regex"]:
        (isolated, found) = steps[0]["behavior"] == "Isolated", steps[0]["pattern"].get("Regex")
        return str(found) if isolated and found and not steps[0]["invert"] else None
    if not last["use_regex"]:
        return None
    if names == ["ByteLevel"]:
        return GPT2
    return DIGITS if names == ["Digits", "ByteLevel"] and steps[0]["individual_digits"] else None


def _composes(kind: Any) -> bool | None:
    """Whether the tokenizer brings text into NFC before all else; None: it does something else."""
    names = [step["type"] for step in kind.get("normalizers", [kind] if kind else [])]
    return {(): False, ("NFC",): True}.get(tuple(names))


def _agree(words: Words, tokenizer: Any) -> bool:
    """Whether both encode the same, wherever words encode at all, and they do somewhere."""
    chosen = random.Random(SEED)
    pieces = (*ALPHABET, *words.added)
    texts = ["".join(chosen.choices(ALPHABET, k=chosen.randint(1, 24))) for _ in range(TRIALS)]
    texts += ["".join(chosen.choices(pieces, k=chosen.randint(1, 24))) for _ in range(TRIALS)]
    wanted = tokenizer(texts, add_special_tokens=False)["input_ids"]
    found = [words.encode(text) for text in texts]
    pairs = zip(found, wanted, strict=True)
    same = all(ids is None or ids.tolist() == exact for ids, exact in pairs)
    return same and any(ids is not None for ids in found)


def _cut(backend: Any, text: str) -> list[str]:
    return [text[start:end] for _, (start, end) in backend.pre_tokenizer.pre_tokenize_str(text)]


def _either(names: Iterable[str]) -> re.Pattern[str] | None:
    """Matches any of the names, the longest where one begins with another."""
    found = sorted(map(re.escape, names), key=len, reverse=True)
    return re.compile("(" + "|".join(found) + ")") if found else None
