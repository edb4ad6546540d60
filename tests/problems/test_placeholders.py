"""A reference that stands for a missing answer is not asked; one that can be an answer is."""

import json
import logging
from pathlib import Path

import pytest

import distill
from distill.problems.placeholders import is_placeholder
from tests.builders.recipes import nowhere, recipe
from tests.builders.teacher_server import TeacherServer, teacher_server

PLAIN = "Prove that the sum of two even numbers is even."
MISSING = [
    "proof", "Proof.", "PROOF", r"\text{proof}", "[proof]", r"\boxed{\text{Proof}}", "see proof",
    "notfound", "not found", "Not_Found", "not-found", "answer not found", "No answer", "N/A",
    "n/a", "NA", "n.a.", "N.A.", "#N/A", "none", "None", "NONE.", "null", "NaN", "nil", "-", "--",
    "—", "–", "−", "...", "…", r"\ldots", "?", "???", "_", "*", "/", ".", r"\square", "□",
    r"\boxed{}", '""', "''", "see solution", "See the solution below", "refer to the solution",
    "TBD", "to be determined", "unknown", "not applicable", "not available", "not provided",
    "Answers may vary", "answers will vary", "open-ended", "failed to extract answer", "omitted",
    "QED", "Q.E.D.", "see figure 3", "(See Table 2.1)", "{{answer}}", "<answer>",
    "[your answer here]", "I don't know", "idk", "no response", "multiple answers", r"n\a",
    "[redacted]", "(blank)", "placeholder", "solution not provided", "no reference answer",
    "the answer is not given", "证明", "证明略", "略", "见解析", "无", "暂无答案", "証明", "なし",
    "該当なし", "증명", "없음", "доказательство", "н/д", "см. решение", "нет ответа",
    "demostración", "ninguno", "preuve", "aucune", "Beweis", "keine", "siehe Lösung",
    "demonstração", "nessuno", "не найдено", "n/d", "N/A (proof)", "N/A - proof problem",
    "proof (see above)", "This is a proof problem", "proof-based", "to prove", "Prove", "show that",
    "missing answer", "AnswerNotFound", "none given", "no numeric answer", "TODO", "N / A",
    "<empty>", "[EMPTY]", "\u200b", "\ufeff", "pd.NA", "NoneType", "解：略", "图略", "答案见解析",
    "详见解析", "证明见解析", "見解答", "証明せよ", "ответ не дан",
]  # fmt: skip
ANSWERS = [
    "0", "x", "no solution", "No solutions", "no real solutions", "does not exist", "DNE",
    r"\infty", "undefined", "infinity", "impossible", "cannot be determined", r"\emptyset",
    r"\varnothing", "∅", "[]", "{}", "()", "no", "yes", "None of the above", "zero", "Na", "n",
    "a", "-1", "-x", r"\pi", "+", "<", "=", ">", "A", "(A)", "all", "empty", "never", "nope",
    "proof by induction", "нет", "waterproof", "nonempty", "no integers",
    "There are none such numbers", "nullity", "80 proof", "the answers", "infinitely many",
    "the solution", "found", "available", "varied", "solution", "error", "false", "e", "NaCl",
    "无理数", "無限", "略大于", "1/2", "n/b", r"\frac{n}{a}", "not prime", "not possible",
    "unanswerable", "None exist", "none (it has no real root)", "NOT prime (7 divides it)", "x - y",
    "f(x)", "XXX", "shown above", "improved", "无解", "不存在", "见", "empty set",
]  # fmt: skip
# answers for a reason that the question gives
ASKED = [
    ("none", "Which of these are prime: 4, 6, 8? If there are none, say none."),
    ("None", "Find all integers n with n^2 = 2."),
    ("none", "How many of them are even?"),
    ("None", "What number of solutions exist?"),
    ("none", "What are the vertical asymptotes of f(x) = x^2?"),
    ("None", "Solve x^2 + 1 = 0 over the reals."),
    ("none", "He eats ten of ten apples. How much is left?"),
    ("None", "Evaluate the Python expression {}.get('a')."),
    ("null", "What does JSON have for a missing value?"),
    ("NaN", "What is 0/0 of IEEE 754?"),
    ("nan", "In JavaScript, what is parseInt('x')?"),
    ("proof", "Which word names the reasoning that establishes a theorem?"),
    ("missing", "Find the antonym: present, absent, missing."),
    ("-", "Fill in the blank with + or -: 3 _ 2 = 1"),
    ("None", "What does f(3) return?"),
    ("nil", "Name every root, if any."),
    ("无", "有没有这样的整数?"),
    ("なし", "すべての解を求めよ。"),
    ("ninguno", "¿Cuáles son los enteros? Encuentra todos."),
    ("N/A", "If it has no inverse, write N/A."),
    ("n/a", "The force is n newtons over an area a. Express it in n and a."),
    ("NA", "The product of N and A is written how?"),
    ("null", "Is typeof x 'object' or null?"),
    ("unknown", "Answer true, false or unknown."),
    ("Not Given", "Answer True, False, or Not Given."),
    ("-", "Is the charge + or -?"),
    ("-", 'Which is it, "+" or "-"?'),
    ("-", "What is the sign of the determinant?"),
    ("*", "Which operator makes 3 ? 4 = 12 true?"),
    ("?", "Which punctuation mark ends a question?"),
    (".", "Name the character that ends a sentence."),
]


def test_what_stands_for_a_missing_answer_is_known_in_any_notation_and_language() -> None:
    assert [gold for gold in MISSING if not is_placeholder(gold, PLAIN)] == []


def test_what_can_be_an_answer_is_one() -> None:
    assert [gold for gold in ANSWERS if is_placeholder(gold, PLAIN)] == []


@pytest.mark.parametrize(("gold", "question"), ASKED)
def test_a_word_is_an_answer_where_its_question_gives_a_reason(gold: str, question: str) -> None:
    assert is_placeholder(gold, PLAIN)
    assert not is_placeholder(gold, question)


def test_a_proof_is_no_answer_although_the_question_asks_for_one() -> None:
    assert is_placeholder("proof", "Give a proof that sqrt(2) is irrational.")


GOLDS = ("4", "proof", "proof", "N/A", "5", "see figure 3")


def asked(folder: Path, server: TeacherServer) -> str:
    name = recipe(folder, server)
    lines = [{"question": f"Show the sum of {i}.", "answer": g} for i, g in enumerate(GOLDS)]
    (folder / "set.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return name


def planned(name: str, out: Path, caplog: pytest.LogCaptureFixture, *overrides: str) -> str:
    caplog.clear()
    with caplog.at_level(logging.INFO, "distill"):
        distill.generate(name, out=out, dry_run=True, overrides=list(overrides))
    return caplog.text


def test_they_are_counted_before_anything_is_asked(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    name = asked(tmp_path, nowhere())
    text = planned(name, tmp_path / "run", caplog)
    assert "would ask 2 requests" in text
    assert "4 problems are not asked: their reference answers stand for none: 2 'proof'" in text
    keep = "problems.keep_uncheckable=true"
    assert "would ask 6 requests" in planned(name, tmp_path / "run", caplog, keep)
    free = planned(name, tmp_path / "run", caplog, "verify=null")
    assert "would ask 6 requests" in free
    assert "stand for none" not in free


def test_they_are_listed_and_not_bought(tmp_path: Path) -> None:
    with teacher_server() as server:
        distill.generate(asked(tmp_path, server), out=tmp_path / "run")
        assert server.asked.total() == 2
    lines = (tmp_path / "run/left_out.jsonl").read_text().splitlines()
    listed = sorted((one["gold"], one["reason"]) for one in map(json.loads, lines))
    golds = ("N/A", "proof", "proof", "see figure 3")
    assert listed == [(gold, "placeholder_gold") for gold in golds]
