"""SQL of a recipe is over one row's columns: it opens no file and calls no address."""

import json
import socket
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from distill.errors import UserError
from distill.filtering.rules import compile, judge
from distill.problems import read_problems
from distill.recipes.load import load
from distill.recipes.prompts import PromptsRecipe
from distill.sql import exact, looks_across, parse_sql

OPENING = [
    "EXISTS (SELECT * FROM {f}('{at}'))",
    "question IN (SELECT question FROM {f}('{at}'))",
    "EXISTS (FROM {f}('{at}'))",
    "EXISTS (FROM \"{f}\"('{at}'))",
    "EXISTS (FROM `{f}`('{at}'))",
    "EXISTS (SELECT 1 FROM {f} /* ( */ ('{at}'))",
    "question = ANY (SELECT a FROM {f}('{at}') AS t(a))",
]
READERS = ["read_csv", "READ_Parquet", "read_json", "read_ndjson", "read_ipc"]


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("text", OPENING)
def test_no_sql_of_a_recipe_opens_anything(text: str, reader: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        address = f"http://127.0.0.1:{server.getsockname()[1]}/x"
        for at in (str(tmp_path / "none.such"), address):
            sql = text.format(f=reader, at=at)
            with pytest.raises(UserError, match=f"{reader}.* opens files"):
                compile({"sly": sql}, "r.yaml")
            parts: tuple[dict[str, Any], ...] = ({"where": sql}, {"map": {"question": sql}})
            for part in parts:
                with pytest.raises(UserError, match=f"{reader}.* opens files"):
                    problems(tmp_path, part)
        with pytest.raises(BlockingIOError):  # nobody called
            server.accept()


def problems(folder: Path, part: dict[str, Any]) -> None:
    (folder / "p.jsonl").write_text('{"question": "a", "answer": "1"}')
    recipe = {"problems": {"file": "p.jsonl", **part}, "serve": {}}
    (folder / "r.yaml").write_text(json.dumps(recipe))
    read_problems(load(str(folder / "r.yaml"), PromptsRecipe))


@pytest.mark.parametrize("text", ["EXISTS (SELECT 1)", "x IN (SELECT a FROM (VALUES (1)) t(a))"])
def test_a_query_is_no_expression(text: str) -> None:
    with pytest.raises(UserError, match="query"):
        compile({"sly": text.replace("x", "sample")}, "r.yaml")


def test_a_text_that_polars_panics_at_is_no_expression() -> None:
    with pytest.raises(UserError, match="not an SQL expression"):
        compile({"sly": "sample > GREATEST()"}, "r.yaml")


def test_columns_with_such_names_are_columns() -> None:
    for text in ("read_count > 3", "read_at = 'x' AND scan_id IS NULL", "EXTRACT(DAY FROM x) > 3"):
        assert parse_sql(text).meta.root_names()


QUOTED = [
    "response LIKE '%read_csv%'",
    "response LIKE '%pl.scan_parquet(%'",
    "response NOT LIKE '% SELECT %' AND response != 'FROM read_csv(''x'')'",
    "response /* read_csv('x') */ != 'a'",
    "response != $read_a$ EXISTS (FROM read_csv('x')) $read_a$",
]


@pytest.mark.parametrize("text", QUOTED)
def test_what_is_quoted_is_only_text(text: str) -> None:
    frame = pl.DataFrame({"response": ["pl.scan_parquet('read_csv')", "b"]})
    found = judge(frame, compile({"quoted": text}, "r.yaml"))
    assert (
        found.to_list()
        == frame.select(pl.sql_expr(text))
        .to_series()
        .replace_strict({True: None, False: "quoted"}, return_dtype=pl.String)
        .to_list()
    )


def test_a_mistake_beside_a_quoted_name_is_told_as_it_is() -> None:
    with pytest.raises(UserError, match=r"unable to parse 'gold = 'read_csv' AND' as Expr$"):
        compile({"cut": "gold = 'read_csv' AND"}, "r.yaml")


def test_names_that_differ_only_in_their_reader_stay_different_names(tmp_path: Path) -> None:
    """One tag would end the other's quotes, and what is live would be looked at as quoted."""
    (tmp_path / "x.csv").write_text("a\n1")
    live = f"EXISTS (FROM read_csv('{tmp_path / 'x.csv'}'))"
    text = f"'' = $scan_x$ $read_x$ $scan_x$ OR {live} OR '' = $read_x$ $scan_x$ $read_x$"
    with pytest.raises(pl.exceptions.SQLSyntaxError, match="opens files"):
        parse_sql(text)


# Every SQL function and operator of polars 2.1 that is of one row.
PARTS = """
    ABS(a) ACOS(f) ATAN2(f,f) ATAN2D(f,f) ASIND(f) CBRT(f) CEIL(f) FLOOR(f) EXP(f) ERF(f) ERFC(f)
    LN(f) LOG(f,2) LOG10(f) LOG1P(f) LOG2(f) a+PI() POW(a,2) ROUND(f,1) TRUNC(f) SIGN(a) SQRT(a)
    COS(f) COT(f) COTD(f) DEGREES(f) RADIANS(f) SIN(f) TAN(f) BIT_AND(a,b) BIT_OR(a,b) BIT_XOR(a,b)
    BIT_NOT(a) BIT_COUNT(a) DIV(a,b) MOD(a,b) COALESCE(a,b) GREATEST(a,b) LEAST(a,b) IF(a>1,a,b)
    IFNULL(a,b) NULLIF(a,b) DATE(s) DATE_PART('year',d) YEAR(d) DAYOFWEEK(d) STRFTIME(d,'%Y')
    TIMESTAMP(s) TIME(s) BIT_LENGTH(s) CONCAT(s,s) CONCAT_WS('-',s,s) ENDS_WITH(s,'x') LEFT(s,2)
    LENGTH(s) LOWER(s) LPAD(s,3,'x') LTRIM(s) NORMALIZE(s) OCTET_LENGTH(s) REGEXP_LIKE(s,'x')
    REGEXP_REPLACE(s,'x','y') REPLACE(s,'x','y') REVERSE(s) RIGHT(s,2) RPAD(s,3,'x') RTRIM(s)
    SPLIT_PART(s,'x',1) STARTS_WITH(s,'x') STRING_TO_ARRAY(s,',') STRPOS(s,'x') STRPTIME(s,'%Y')
    SUBSTR(s,2) SUBSTR(s,2,3) UPPER(s) ARRAY_CONTAINS(l,1) ARRAY_GET(l,1) ARRAY_LENGTH(l)
    ARRAY_LOWER(l) ARRAY_MEAN(l) ARRAY_REVERSE(l) ARRAY_SUM(l) ARRAY_TO_STRING(l,',')
    ARRAY_UNIQUE(l) ARRAY_UPPER(l) a+b a-b a*b a/b a//b a%b -a +a s||s a=b a!=b a<b a<=b a>b a>=b
    f+0.5 f-0.5 f*0.5 f/0.5 f//0.5 f%0.5 f=0.5 f<0.5 f<=0.5 f>0.5 f>=0.5 f<=>0.5
    a&b a|b a<=>b s~'x' s!~*'x' s^@'x' l[1] t->'k' t->>'k' t.k s::int a=ANY(l)
"""
OF_ONE_ROW = [
    *PARTS.split(),
    *("p AND p", "p OR p", "NOT p", "p XOR p", "a IS NULL", "a IS NOT NULL", "p IS NOT FALSE"),
    *("a IS DISTINCT FROM b", "a NOT IN (1, 2)", "a IN (a, b)", "a BETWEEN 1 AND 2"),
    *("s LIKE '%x'", "s ILIKE 'x%'", "s NOT LIKE 'x'", "s RLIKE 'x'", "TRY_CAST(s AS INT)"),
    *("CASE WHEN p THEN a ELSE b END", "CASE a WHEN 1 THEN 2 END", "EXTRACT(DAY FROM d)"),
    *("SUBSTRING(s FROM 2 FOR 3)", "TRIM(BOTH 'x' FROM s)", "POSITION('x' IN s)", "a AS x"),
    *("d + INTERVAL '1 day'", "d > DATE '2020-01-01'", "a = ARRAY[1,2][1]"),
]


@pytest.mark.parametrize("text", OF_ONE_ROW)
def test_every_part_of_an_expression_over_one_row_is_known_by_its_name(text: str) -> None:
    expression = parse_sql(text)
    assert looks_across(expression) is None
    assert set(exact(expression).meta.root_names()) == set(expression.meta.root_names())


OTHERS = """
    AVG(a) MAX(a) MIN(a) SUM(a) TOTAL(f) COUNT(a) COUNT(*) FIRST(a) LAST(a) MEDIAN(a) STDDEV(a)
    VAR(a) CORR(a,b) COVAR(a,b) COVAR_POP(a,b) QUANTILE_CONT(a,.5) QUANTILE_DISC(a,.5)
    APPROX_QUANTILE(a,.5) STRING_AGG(s,',') ARRAY_AGG(a) UNNEST(l) ROW_NUMBER() COLUMNS('a')
    generate_series(1,3)
"""
WINDOWS = "RANK() LAG(a) NTILE(4) CUME_DIST() SUM(a) PERCENT_RANK() NTH_VALUE(a,2) FIRST_VALUE(a)"
ACROSS = [
    *OTHERS.split(),
    *(f"{function} OVER (ORDER BY a)" for function in WINDOWS.split()),
    *("COUNT(DISTINCT a)", "MAX(a) FILTER (WHERE b > 1)", "SUM(a) OVER (PARTITION BY b)"),
]


@pytest.mark.parametrize("text", ACROSS)
def test_what_looks_at_other_rows_is_told_apart(text: str) -> None:
    assert looks_across(parse_sql(f"a > COALESCE({text}, 1)"))


def test_what_is_not_known_counts_as_looking_across() -> None:
    """Such as what a later polars calls by another name: better refused than judged wrongly."""
    assert looks_across(pl.col("a") > pl.col("a").cum_sum()) == "CumSum"
    assert looks_across(pl.col("a") / 2) == "BinaryExpr"


TOO_LARGE = {  # what crashed polars, filled the memory or ended in a traceback
    "terms": "sample" + " + sample" * 10_000 + " > 0",
    "conditions": "sample = 1" + " OR sample = 1" * 2_000,
    "brackets": "(" * 9_000 + "sample" + ")" * 9_000 + " = 1",
    "levels": "sample = 1" + " AND sample = 1" * 90,
    "casts": "sample" + "::int" * 90 + " = 1",
    "concatenated": "response" + " || response" * 60 + " = 'x'",
    "divided": "sample" + " / 2" * 30 + " > 1",  # deep only once signs are added
    "copies": "NULLIF(" * 24 + "sample" + ", 1)" * 24 + " = 1",
    "copies of copies": "SPLIT_PART(" * 14 + "response" + ", 'x', 1)" * 14 + " = 'x'",
    "copies in a chain": "sample" + " IN (sample, prompt_tokens)" * 24,
    "characters": "id IN (" + ", ".join(f"'{n:016x}'" for n in range(9_000)) + ")",
    "pad": "LPAD(response, 4000000000, 'x') = 'x'",
    "pad that is measured": "LENGTH(RPAD(response, 2000000000)) > 1",
    "pad by a value": "RPAD(response, LENGTH(response) * 1000000) = 'x'",
    "replaced by itself": "REPLACE(response, '', response) = 'x'",
    "replaced thrice": "REPLACE(" * 3 + "response" + f", 'a', '{'a' * 99}')" * 3 + " = 'x'",
    "groups": f"REGEXP_REPLACE(response, '(.*)', '{'$1' * 300}') = 'x'",
    "joined": f"ARRAY_TO_STRING(STRING_TO_ARRAY(response, ''), '{'x' * 300}') = 'x'",
    "series": "ARRAY_LENGTH(generate_series(1, 1000000000000)) > 1",
    "series of a value": "ARRAY_LENGTH(generate_series(1, sample)) > 1",
}


@pytest.mark.parametrize("text", TOO_LARGE.values(), ids=TOO_LARGE.keys())
def test_what_would_crash_or_fill_the_memory_is_refused_before_a_row_is_read(
    text: str, tmp_path: Path
) -> None:
    with pytest.raises(
        UserError, match=r"^r\.yaml: rules\.sly: .*(at most|BETWEEN|long as)"
    ) as said:
        compile({"sly": text}, "r.yaml")
    assert len(str(said.value)) < 300
    if "levels" not in str(said.value):  # the signs that a rule adds nest too
        for part in ({"where": text}, {"map": {"question": text}}):
            with pytest.raises(UserError, match=r"r\.yaml: problems\.(where|map\.question): "):
                problems(tmp_path, part)


LARGE = [
    "id IN (" + ", ".join(f"'{n:016x}'" for n in range(4_000)) + ")",
    "sample IN (" + ", ".join(map(str, range(9_000))) + ")",
    "response LIKE '%" + "x y " * 400 + "%'",
    " AND ".join(f"response NOT LIKE '%{n} of them%'" for n in range(40)),
    "total_tokens BETWEEN 1 AND 9 AND sample NOT BETWEEN 4 AND 5 AND prompt_tokens BETWEEN 1 AND 9",
    "SPLIT_PART(source, '/', 2) = 'x' AND SUBSTR(response, 1, 9) IN ('a b', 'c')",
    "REPLACE(REPLACE(REPLACE(response, ',', ' and '), 'é', 'e'), '$', ' dollars') != 'x'",
    "LPAD(id, 20, '0') != 'x' AND CONCAT(id, '/', source, '/', response) != 'x'",
]


@pytest.mark.parametrize("text", LARGE)
def test_long_lists_and_ordinary_texts_are_not_too_large(text: str) -> None:
    (rule,) = compile({"long": text}, "r.yaml").rules
    assert (rule.name, rule.sql) == ("long", text)
