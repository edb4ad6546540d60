"""Rules first, then a judge: whose word is taken, and how often the judge would have been wrong."""

import json
import re
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import distill
from distill.cli import main
from distill.errors import Exit, UserError
from distill.files.read import frames
from distill.filtering.judge.agreement import Agreement, agreement
from distill.filtering.judge.run import identity, judgements_of, run_of
from distill.filtering.judge.verdicts import (
    METHOD,
    UNDECIDED,
    VERDICT,
    Judgement,
    answer_key,
    cascade,
    collected,
    said,
)
from distill.recipes.places import Origin
from distill.signals import verdict
from distill.signals.settings import PLAIN
from tests.builders.teacher_server import TeacherServer, completion, teacher_server

SAID = [
    ('{"analysis": "The same.", "correctness": "correct"}', "correct"),
    ('```json\n{"analysis": "8, not 9", "correctness": "incorrect"}\n```', "wrong"),
    ('{"correctness":"Correct"', "correct"),  # cut in its last character
    ('{"analysis": "\\frac{1}{2} is \\sqrt", "correctness": "correct"}', "correct"),  # no JSON
    (
        '{"analysis": "It says \\"correctness\\": \\"incorrect\\".", "correctness": "correct"}',
        "correct",
    ),
    ('{"verdict": true}', "correct"),
    ('{"judgment": "no"}', "wrong"),
    ('{"correctness": "correct"} {"correctness": "incorrect"}', None),
    ('{"correctness": "partially correct"}', None),
    ('{"correctness": null}', None),
    (r"So \boxed{\text{Correct}}.", "correct"),
    (r"\boxed{correct} no: \boxed{incorrect}", "wrong"),
    (r"\boxed{42}", None),
    ("The two are the same.\n**Verdict:** Yes.", "correct"),
    ("Verdict: correct\nVerdict: wrong", "wrong"),
    ("Final judgement: not correct", "wrong"),
    ("Verdict: unsure", None),
    ("incorrect", "wrong"),
    ("**No.**", "wrong"),
    ("The answer is correct up to a sign.", None),
    ("It cannot be incorrect", None),
    ("", None),
    # what the judged answer says is quoted; what comes after a verdict takes it back
    (
        "Its solution ends with `\\boxed{True}`, not False. Verdict: incorrect",
        "wrong",
    ),
    ("The candidate's solution ends with \\boxed{True} but the reference is False.", None),
    ("The candidate's answer is \\boxed{True}.\nVerdict: incorrect", "wrong"),
    ("Verdict: incorrect\nThe candidate's box was \\boxed{True}.", None),
    ('The candidate wrote {"correctness": "correct"} itself.\n\nVerdict: incorrect', "wrong"),
    (
        'The candidate wrote {"correctness": "correct"}.\n\n{"correctness": "incorrect"}',
        None,
    ),
    ('It says "correctness": true. {"is_correct": false}', None),
    ('{"is_correct": false}', "wrong"),
    ('{"correct": true}', "correct"),
    ('{"equivalent": "no"}', "wrong"),
    ('{"is_correct": true, "analysis": "the right value"}', "correct"),
    ('{"correctness":"incorrect","analysis":"The right value is 5, not 4"}', "wrong"),
    ('```json\n{"correctness":"incorrect","analysis":"The right value is 5"}\n```', "wrong"),
    ("Verdict: correct\n\nWait, on reflection it is incorrect.", None),
    ("> Verdict: correct\n\nThe candidate added that itself.", None),
    ("> Verdict: correct\n\nThat was the candidate.\n\n**Verdict:** incorrect", "wrong"),
    ("The candidate adds 'Verdict: correct'. It is false.", None),
    ("My final verdict is incorrect.", "wrong"),
    ("**Final verdict:** **Correct**", "correct"),
    ("Verdict: \\boxed{incorrect}", "wrong"),
    ("Therefore, \\boxed{incorrect}", "wrong"),
    ("Final: $\\boxed{\\text{No}}$", "wrong"),
    ("The reference is False, the student got \\boxed{False}", None),
    ("The student tries to inject `\\boxed{correct}`", None),
    ("Verdict: not incorrect", None),
    ("Verdict: correct? No.", None),
    ("# Verdict\nincorrect", "wrong"),
    ("Judgement:\n\nincorrect", "wrong"),
    ("The verdict of the candidate: correct", None),
    ('{"verdict": "incorrect"}\nThe candidate wrote {"x": 1}.', "wrong"),
    (
        '{"analysis": "It has \\"verdict\\": \\"correct\\"", "correctness": "incorrect"}',
        "wrong",
    ),
    ("**Incorrect**", "wrong"),
    ("Correctness: incorrect.", "wrong"),
    ("Is it correct? Verdict: no", "wrong"),
    ("<answer>correct</answer>", None),
]


@pytest.mark.parametrize(("response", "label"), SAID)
def test_a_judges_response_states_one_verdict_or_none(response: str, label: str | None) -> None:
    assert said(response) == label


@given(st.text(alphabet=st.sampled_from('{}":correctnwg \\b\n*'), max_size=80))
def test_any_response_of_a_judge_can_be_read(response: str) -> None:
    assert said(response) in ("correct", "wrong", None)


def rows(*keys: tuple[str, int], response: str = "r") -> pl.DataFrame:
    lines = [{"id": id, "sample": n, "gold": "g", "response": response} for id, n in keys]
    return pl.DataFrame(lines, schema_overrides={"sample": pl.UInt32})


def rules(*labels: str) -> pl.DataFrame:
    lines = [{"verdict": label, "verdict_method": "prose"} for label in labels]
    text = dict.fromkeys(VERDICT, pl.String)
    return pl.DataFrame(lines, schema=text)


def vote(word: str | None, id: str = "a", sample: int = 0, response: str = "r") -> Judgement:
    label = {"y": "correct", "n": "wrong"}.get(word or "")
    key = answer_key("g", response)
    return Judgement(id=id, sample=sample, answer=key, said=label)  # type: ignore[arg-type]


VOTES = [
    ("y", "correct", METHOD, "1:0, rules: prose", "correct"),
    ("n", "wrong", METHOD, "0:1, rules: prose", "wrong"),
    ("yny", "correct", METHOD, "2:1, rules: prose", "correct"),
    ("y--", "correct", METHOD, "1:0, rules: prose", "correct"),
    ("yn", "unverifiable", "judge_tie", "1:1, rules: prose", None),
    ("-", "unverifiable", "judge_silent", "0:0, rules: prose", None),
    ("", "unverifiable", "no_judgement", "rules: prose", None),
]


@pytest.mark.parametrize(("votes", "label", "method", "detail", "judge"), VOTES)
def test_the_majority_decides_what_the_rules_do_not(
    votes: str, label: str, method: str, detail: str, judge: str | None
) -> None:
    judged = collected(vote(word) for word in votes)
    (row,) = cascade(rules("unverifiable"), judged.onto(rows(("a", 0)))).iter_rows(named=True)
    assert (row["verdict"], row["verdict_method"], row["verdict_detail"]) == (label, method, detail)
    assert row["verdict_judge"] == judge


@pytest.mark.parametrize("label", ["correct", "wrong", "no_answer", "timeout", "error"])
def test_what_the_rules_decide_no_judge_changes(label: str) -> None:
    judged = collected([vote("y"), vote("n", sample=1)])
    found = cascade(rules(label, label), judged.onto(rows(("a", 0), ("a", 1))))
    assert found.select(VERDICT).equals(rules(label, label))
    assert found["verdict_judge"].to_list() == ["correct", "wrong"]


def test_a_judgement_of_another_answer_or_reference_is_none() -> None:
    """The same id and sample, asked again since: such as a repaired answer."""
    judged = collected([vote("y", response="before")])
    for changed in (rows(("a", 0)), rows(("a", 0), response="before").with_columns(gold=None)):
        found = cascade(rules("unverifiable"), judged.onto(changed.cast({"gold": pl.String})))
        assert found["verdict_method"].item() == "judged_other_answer"
        assert found["verdict_judge"].item() is None


def test_rows_keep_their_order_and_columns_and_are_found_by_id_and_sample() -> None:
    judged = collected([vote("n", "b", 1), vote("y", "a", 1), vote("y", "b", 0)])
    asked = rows(("b", 0), ("c", 0), ("b", 1), ("a", 0), ("a", 1))
    found = judged.onto(asked)
    assert found.select(asked.columns).equals(asked)
    assert found["judge_same"].to_list() == [True, None, True, None, True]
    assert found["judge_correct"].to_list() == [1, None, 0, None, 1]
    empty = collected([]).onto(asked)
    assert empty["judge_same"].null_count() == 5
    assert judged.onto(asked.clear()).height == 0


LABELS = ("correct", "wrong", "no_answer", "unverifiable", "timeout")


@given(st.lists(st.tuples(st.sampled_from(LABELS), st.text("yn-", max_size=4)), max_size=12))
def test_the_cascade_is_rules_then_majority_and_the_report_counts_it(
    cases: list[tuple[str, str]],
) -> None:
    judged = collected(vote(word, "a", n) for n, (_, votes) in enumerate(cases) for word in votes)
    asked = rows(*[("a", n) for n in range(len(cases))]) if cases else rows(("a", 0)).clear()
    found = cascade(rules(*[label for label, _ in cases]), judged.onto(asked))
    expected, words = [], []
    for label, votes in cases:
        more = votes.count("y") - votes.count("n")
        words.append("correct" if more > 0 else "wrong" if more < 0 else None)
        expected.append((words[-1] or label) if label == "unverifiable" else label)
    assert found["verdict"].to_list() == expected
    report = agreement(found)
    if not any(words) and not any(label == "unverifiable" for label, _ in cases):
        assert report is None
        return
    assert report is not None
    pairs = [(label, word) for (label, _), word in zip(cases, words, strict=True)]
    for label, counted in report.counts.items():
        for word, number in counted.items():
            assert pairs.count((label, None if word == "none" else word)) == number
    assert sum(sum(counted.values()) for counted in report.counts.values()) == len(cases)


def table(**counts: int) -> pl.DataFrame:
    """Rows by rule and judge: ``yn=3`` are three that only the rules call correct."""
    words = {"y": "correct", "n": "wrong", "u": "unverifiable", "_": None}
    lines = [
        {
            "verdict": words[pair[0]],
            "verdict_method": METHOD if pair[0] == "u" else "string",
            "verdict_judge": words[pair[1]],
        }
        for pair, number in counts.items()
        for _ in range(number)
    ]
    kinds = dict.fromkeys(("verdict", "verdict_method", "verdict_judge"), pl.String)
    return pl.DataFrame(lines, schema=kinds)


def measured(**counts: int) -> Agreement:
    found = agreement(table(**counts))
    assert found is not None
    return found


def test_agreement_is_over_what_both_decide() -> None:
    found = measured(yy=20, yn=5, ny=10, nn=15, uy=7, y_=3)
    assert found.both == 50
    assert found.kappa == pytest.approx(0.4)  # Wikipedia's example of Cohen's kappa
    assert found.agreement is not None
    assert found.agreement.value == 0.7
    assert found.agreement.ci95 == pytest.approx((0.5625, 0.8090), abs=1e-4)
    assert found.false_accept is not None
    assert found.false_reject is not None
    assert (found.false_accept.value, found.false_reject.value) == (10 / 25, 5 / 25)
    assert found.counts["unverifiable"] == {"correct": 7}
    assert found.counts["correct"] == {"correct": 20, "none": 3, "wrong": 5}
    assert json.loads(json.dumps(found.json()))["both"] == 50
    assert found.line() == (
        "judge: decided 7; agrees with the rules on 50: 70.0% [56.2%, 80.9%], kappa 0.40; "
        "accepts wrong answers: 40.0% [23.4%, 59.3%]; rejects correct ones: 20.0% [8.9%, 39.1%]"
    )


def test_what_cannot_be_told_is_not_made_up() -> None:
    alone = measured(uy=2)
    assert (alone.both, alone.agreement, alone.kappa) == (0, None, None)
    assert "no answer was decided by the rules too" in alone.line()
    one_sided = measured(yy=4)
    assert (one_sided.kappa, one_sided.false_accept) == (None, None)
    assert "accepts wrong answers: none to tell by" in one_sided.line()
    assert measured(yy=1, nn=1).kappa == 1.0
    assert measured(yn=1, ny=1).kappa == -1.0
    assert agreement(table(y_=3, n_=2)) is None
    unchecked = pl.DataFrame([{}], schema=table().schema)
    assert agreement(unchecked) is None


# --- a judge's run, read from its ledger ---


GOLDS = ("1", "2", "a blue ball", "a red ball")


def solve(body: dict[str, Any], n: int) -> dict[str, Any]:
    """Right for 0, wrong for 1, in other words for 2 and 3."""
    words = (r"\boxed{1}", r"\boxed{7}", r"\boxed{\text{the blue one}}", r"\boxed{\text{green}}")
    return completion(words[int(body["messages"][-1]["content"].split()[1])])


def judge(body: dict[str, Any], n: int) -> dict[str, Any]:
    """Takes everything for right but green, and changes its mind at the third time."""
    wrong = "green" in body["messages"][-1]["content"] or n == 3
    return completion(
        json.dumps({"analysis": "…", "correctness": "incorrect" if wrong else "correct"})
    )


def run(folder: Path, server: TeacherServer, name: str, *sets: str, **values: Any) -> Path:
    whole = {
        "teacher": {"model": "m", "base_url": server.url, "concurrency": 4},
        "sampling": {"max_tokens": 100},
        "template": f"{name}.jinja",
        **values,
    }
    (folder / f"{name}.yaml").write_text(json.dumps(whole))
    distill.generate(str(folder / f"{name}.yaml"), out=folder / name, overrides=sets)
    return folder / name


@pytest.fixture(scope="module")
def judged_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the runs ``answers`` and ``judged``, three votes an answer."""
    folder = tmp_path_factory.mktemp("judge")
    lines = [{"question": f"Question {i} ?", "gold": gold} for i, gold in enumerate(GOLDS)]
    (folder / "p.jsonl").write_text("\n".join(map(json.dumps, lines)))
    (folder / "answers.jinja").write_text("{{ question }}")
    (folder / "judged.jinja").write_text("{{ question }} {{ gold }} {{ response }}")
    with teacher_server(solve) as server:
        run(folder, server, "answers", problems={"file": "p.jsonl"})
    with teacher_server(judge) as server:
        traces = {"traces": "answers"}
        run(folder, server, "judged", problems=traces, verify=None, samples=3)
    return folder


def test_a_judges_run_decides_what_the_rules_cannot_and_is_measured_where_they_can(
    judged_run: Path,
) -> None:
    judged = judgements_of(run_of("judged", Origin(path=judged_run / "filters.yaml")))
    (frame,) = frames(judged_run / "answers")
    found = cascade(verdict.measure(frame, PLAIN), judged.onto(frame))
    labels = dict(zip(frame["gold"], found.rows(named=True), strict=True))
    assert [labels[gold]["verdict"] for gold in GOLDS] == ["correct", "wrong"] * 2
    methods = [labels[gold]["verdict_method"] for gold in GOLDS]
    assert methods == ["rational", "rational", "judge", "judge"]
    details = [labels[gold]["verdict_detail"] for gold in GOLDS[2:]]
    assert details == ["2:1, rules: unread_mark", "0:3, rules: unread_mark"]
    report = agreement(found)
    assert report is not None
    assert report.counts == {
        "correct": {"correct": 1},
        "unverifiable": {"correct": 1, "wrong": 1},
        "wrong": {"correct": 1},
    }
    assert report.false_accept is not None
    assert (report.both, report.false_accept.value) == (2, 1.0)


def test_the_identity_of_a_judges_run_changes_with_its_answers(judged_run: Path) -> None:
    before = identity(judged_run / "judged")
    assert before == identity(judged_run / "judged")
    with teacher_server(judge) as server:
        traces = {"traces": "answers"}
        endpoint = {"model": "m", "base_url": server.url, "known_as": "m"}
        more = run(
            judged_run,
            server,
            "more",
            problems=traces,
            verify=None,
            teacher=endpoint,
            template="judged.jinja",
        )
        one = identity(more)
        values = {"problems": traces, "verify": None, "teacher": endpoint, "samples": 2}
        run(judged_run, server, "more", template="judged.jinja", **values)
        assert len({before, one, identity(more)}) == 3


def test_what_is_no_judges_run_is_one_line(judged_run: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"f\.yaml: judge: none: no ledger\.sqlite in it; give"):
        run_of("none", Origin(path=Path("f.yaml")))
    with pytest.raises(UserError, match="its problems are no traces, so it judges nothing"):
        judgements_of(judged_run / "answers")
    with teacher_server(lambda body, n: completion("shorter")) as server:
        (tmp_path / "x.jinja").write_text("{{ response }}")
        traces = f"problems.traces={judged_run / 'answers'}"
        wordy = run(tmp_path, server, "x", traces, problems={}, becomes="response")
    with pytest.raises(UserError, match="none of its answers states a verdict; a judge ends with"):
        judgements_of(wordy)
    (tmp_path / "ledger.sqlite").write_bytes(b"no ledger")
    with pytest.raises(UserError, match="not a readable ledger"):
        judgements_of(tmp_path)


def test_every_way_to_stay_undecided_has_a_row_here() -> None:
    methods = {method for *_, method, _, _ in VOTES} | {"judged_other_answer"}
    assert methods == {METHOD, *UNDECIDED}


# --- the judge in distill filter ---


def filtered(
    folder: Path, out: str, *, judge: str | None = "judged", **rules: str
) -> dict[str, Any]:
    """The report of a filter of the runs ``answers``."""
    whole = {"rules": rules, **({"judge": judge} if judge else {})}
    (folder / "filters.yaml").write_text(json.dumps(whole))
    distill.filter(str(folder / "filters.yaml"), folder / "answers", out=folder / out, force=True)
    found: dict[str, Any] = json.loads((folder / out / "report.json").read_text())
    return found


def test_filter_takes_the_judges_word_and_reports_how_far_to_trust_it(
    judged_run: Path, caplog: pytest.LogCaptureFixture
) -> None:
    right = "verdict = 'correct'"
    alone = filtered(judged_run, "alone", judge=None, wrong=right)
    assert (alone["kept"], "judge" in alone) == (1, False)
    with caplog.at_level("INFO", "distill"):
        report = filtered(judged_run, "both", wrong=right)
    assert (report["kept"], report["reasons"]) == (2, {"wrong": 2})
    assert report["judge"]["both"] == 2
    assert report["judge"]["false_accept"]["value"] == 1.0
    assert "judge: decided 2; agrees with the rules on 2: 50.0%" in caplog.text
    dropped = pl.read_parquet(judged_run / "both" / "dropped" / "*.parquet")
    assert set(dropped["verdict_detail"]) == {"boxed", "0:3, rules: unread_mark"}


def test_a_judge_never_changes_what_is_stored_nor_counts_rows_that_were_not_reached(
    judged_run: Path,
) -> None:
    right, short = "verdict = 'correct'", "response_chars != 9"  # the two numbers
    filtered(judged_run, "stored", judge=None, wrong=right)
    later = filtered(judged_run, "stored", short=short, wrong=right)
    fresh = filtered(judged_run, "fresh", short=short, wrong=right)
    assert later["judge"] == fresh["judge"]
    assert later["judge"]["counts"] == {"unverifiable": {"correct": 1, "wrong": 1}}
    stored = pl.read_parquet(judged_run / "stored" / "signals" / "*.parquet")
    assert stored["verdict"].to_list().count("unverifiable") == 2


def test_other_answers_of_as_many_attempts_are_other_votes(judged_run: Path) -> None:
    """A judge's run made anew in the same folder: as many answers, as many attempts."""
    right, folder = "verdict = 'correct'", judged_run / "changing"
    ledger = judged_run / "changing" / "ledger.sqlite"
    shutil.copytree(judged_run / "judged", folder)
    before = filtered(judged_run, "votes", judge="changing", wrong=right)
    assert before["kept"] == 2
    with closing(sqlite3.connect(ledger)) as db, db:
        (against,) = db.execute(
            "SELECT a.body FROM answers a JOIN requests r USING (attempt) "
            "JOIN problems p ON p.id = r.id WHERE p.gold = 'a red ball' LIMIT 1"
        ).fetchone()
        db.execute("UPDATE answers SET body = ?", (against,))
    after = filtered(judged_run, "votes", judge="changing", wrong=right)
    fresh = filtered(judged_run, "fresh votes", judge="changing", wrong=right)
    assert after["kept"] == fresh["kept"] == 1
    assert not (judged_run / "votes" / ".judged").exists()


def test_explaining_asks_a_judges_run_and_writes_nothing(
    judged_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = {"rules": {"wrong": "verdict = 'correct'"}, "judge": "judged"}
    (judged_run / "explained.yaml").write_text(json.dumps(whole))
    (frame,) = frames(judged_run / "answers")
    key = frame.filter(pl.col("gold") == "a red ball")["id"].item()
    nowhere = Path("/nonexistent")
    before = [*sorted(judged_run.rglob("*")), *nowhere.rglob("*")]
    name, data = str(judged_run / "explained.yaml"), str(judged_run / "answers")
    assert main(["filter", name, data, "--explain", key]) == Exit.DONE
    shown = capsys.readouterr().out
    assert re.search(r"judge_wrong \W+ 3 .*measured now", shown)
    assert re.search(r"wrong \W+ broken", shown)
    assert [*sorted(judged_run.rglob("*")), *nowhere.rglob("*")] == before
