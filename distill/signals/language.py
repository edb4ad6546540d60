"""How much of a trace is in a script that its question does not use.

Latin and Greek letters are at home everywhere (formulas, code). Another script is at home if the
question has a letter of it, asks for a translation or names a language that is written in it; where
the question is unknown, if the trace itself is mostly written in it. Kana brings Han with it, as in
Japanese.
"""

import numpy as np
import polars as pl

from distill.rows import all_turns
from distill.signals.patterns import plain
from distill.signals.settings import Settings

COLUMNS: dict[str, pl.DataType] = {
    "foreign_chars": pl.UInt32(),
    "foreign_share": pl.Float64(),
    "script_switches": pl.UInt32(),
    "home_share": pl.Float64(),
}
VERSION = 4
COST = 1

MOSTLY = 0.5  # of the letters

_KNOWN = ("Han", "Hangul", "Cyrillic", "Arabic", "Hebrew", "Devanagari", "Thai")
_ANY = r"[\p{L}--\p{Latin}--\p{Greek}--\p{Common}--\p{Inherited}]"
SCRIPTS = {
    **{name: rf"\p{{{name}}}" for name in _KNOWN},
    "Kana": r"[\p{Hiragana}\p{Katakana}]",
    "other": r"[\p{L}--\p{Latin}--\p{Greek}--\p{Common}--\p{Inherited}--\p{Hiragana}--\p{Katakana}"
    + "".join(rf"--\p{{{name}}}" for name in _KNOWN)
    + "]",
}
# The languages of each script, as questions in English, German, French, Spanish, Italian and
# Portuguese name them, and as those in Han, Japanese, Korean and Cyrillic do.
_LANGUAGES = {
    "Han": (
        "chinese|mandarin|cantonese|hanzi|kanji|japanese|chinesisch|chinois|chino|cinese|chinês"
        "|japanisch|japonais|japonés|giapponese|japonês",
        "日语|日文|日語|中国語|중국어|일본어|по-китайски|китайск|по-японски|японск",
    ),
    "Kana": (
        "japanese|hiragana|katakana|japanisch|japonais|japonés|giapponese|japonês",
        "日语|日文|日語|일본어|по-японски|японск",
    ),
    "Hangul": (
        "korean|hangul|koreanisch|coréen|coreano",
        "韩语|韩文|韓語|韓国語|по-корейски|корейск",
    ),
    "Cyrillic": (
        "russian|ukrainian|bulgarian|serbian|macedonian|belarusian|kazakh|mongolian|cyrillic"
        "|russisch|russe|ruso|rusa|russo|russa",
        "俄语|俄文|俄語|ロシア語|러시아어|烏克蘭|乌克兰语",
    ),
    "Arabic": (
        "arabic|persian|farsi|urdu|pashto|uyghur|arabisch|arabe|árabe|arabo",
        "阿拉伯语|阿拉伯文|アラビア語|아랍어|арабск|波斯语",
    ),
    "Hebrew": (
        "hebrew|yiddish|hebräisch|hébreu|hebreo|ebraico",
        "希伯来|ヘブライ語|히브리어|иврит",
    ),
    "Devanagari": ("hindi|sanskrit|marathi|nepali|devanagari", "印地语|ヒンディー語|힌디어|хинди"),
    "Thai": ("thai|thailändisch|thaï|tailandés", "泰语|泰文|タイ語|태국어|тайск"),
    "other": (
        "georgian|armenian|tamil|telugu|kannada|malayalam|bengali|bangla|gujarati|punjabi|sinhala"
        "|burmese|khmer|lao|amharic|tibetan",
        "грузинск|армянск|格鲁吉亚语|亚美尼亚语",
    ),
}
# The Chinese remainder theorem is no language: a name counts where a language is meant.
_NAMED = (
    r"(?i)\b(?:in|into|to|from|auf|ins|aus|en|al|au|em|ao|speaks?|learn|write)\s+(?:the\s+)?"
    r"(?:\p{L}+\s+)?(?:%s)\s*(?:$|[^\p{L}\s]|(?:and|or|with|the|as|for|by|using|about|on|that"
    r"|which|is|are|to|if|please|und|et|y|e|über|sur|sobre|su)\b)"
    r"|\b(?:%s)\s+(?:words?|names?|terms?|phrases?|sentences?|characters?|letters?|scripts?|poems?"
    r"|alphabet|language|translations?|equivalents?|idioms?|proverbs?|sayings?|verbs?|nouns?"
    r"|expressions?|spelling|grammar|text|for|surnames?|greetings?|titles?|haikus?|lyrics)\b"
    r"|\b(?:%s)(?:e[mnrs]?)?\s+(?:wort|wörter|wörtern|namen?|begriffe?|ausdr[uü]ck\w*|sätze?|titel"
    r"|schrift\w*|zeichen|alphabet|buchstaben?)\b"
    r"|\b(?:mots?|noms?|titre|palabras?|nombres?|título|parol[ae]|nom[ei]|palavras?|nomes?|termo"
    r"|términos?|phrases?|frases?|frasi|caract\w+|letras?|lettres?)\s+(?:%s)(?:e?s|a|as)?\b"
    r"|(?:%s)"
)
# What may be answered in any script.
_TRANSLATES = (
    r"(?i)\b(?:translat|transliterat|etymolog|übersetz|tradui|traduc|traduz|tradur)|\blanguages\b"
    r"|翻译|翻譯|译成|翻訳|訳し|번역|перевед|перевод"
)
# What is Latin in any language's thought: code, formulas and their commands, names of variables.
_NEUTRAL = plain(
    r"(?s)```.*?(?:```|$)|`[^`\n]*`|\$\$.*?\$\$|\$[^$\n]*\$|\\\(.*?\\\)|\\\[.*?\\\]|\\[A-Za-z]+"
    r"|https?://\S+|\b[A-Za-z]{1,2}\b"
)
# The owner of a theorem, in his own letters: "Чебышёв's" is a name, not a slip.
_NAME = plain(r"[\p{Lu}--\p{Latin}--\p{Greek}]\p{Ll}+['’]s\b")
_SLICE = 64  # rows looked at together, so that they stay in a core's own cache


def measure(frame: pl.DataFrame, settings: Settings) -> pl.DataFrame:
    """foreign_share: of all characters, null for an empty trace. home_share: see there."""
    found = pl.DataFrame(
        {
            "row": pl.int_range(frame.height, dtype=pl.UInt32, eager=True),
            "chars": frame.select(
                pl.sum_horizontal(pl.col("reasoning", "response").fill_null("").str.len_chars())
            ).to_series(),
        }
    )
    counted = _abroad(_suspects(frame))
    joined = found.join(counted, on="row", how="left", maintain_order="left")
    foreign = pl.col("foreign").fill_null(0)
    return joined.select(
        foreign_chars=foreign.cast(pl.UInt32),
        foreign_share=pl.when(pl.col("chars") > 0).then(foreign / pl.col("chars")),
        script_switches=pl.col("switches").fill_null(0).cast(pl.UInt32),
        home_share=_home_shares(frame),
    )


def _suspects(frame: pl.DataFrame) -> pl.DataFrame:
    """The rows with any letter that is neither Latin nor Greek: row, asked, thought, trace.

    Nearly every trace is ASCII but for symbols, so only the rest is looked at by script.
    """
    texts = frame.select(
        pl.int_range(pl.len(), dtype=pl.UInt32).alias("row"),
        pl.col("reasoning", "response").fill_null(""),
        asked=all_turns(),
    )
    rows = []
    for part in texts.iter_slices(_SLICE):
        both = part.select(pl.concat_str("reasoning", "response").cast(pl.Binary)).to_series()
        rest = pl.Series([_beyond_ascii(text) for text in both], dtype=pl.Binary)
        rows.append(part.filter(rest.cast(pl.String).str.contains(_ANY)))
    return pl.concat(rows) if rows else texts


def _beyond_ascii(text: bytes) -> bytes:
    """The characters of a UTF-8 text that are not ASCII."""
    if text.isascii():
        return b""
    data = np.frombuffer(text, dtype=np.uint8)
    return data[data > 0x7F].tobytes()


def _abroad(texts: pl.DataFrame) -> pl.DataFrame:
    """Of each row: letters of scripts that are not at home, and how often the thought begins any.

    A letter that is at home ends a stretch; symbols and digits do not.
    """
    texts = texts.with_columns(pl.col("reasoning", "response").str.replace_all(_NAME, "'s"))
    trace = pl.concat_str("reasoning", "response", separator="\n")
    # the question says what is at home; where it is unknown, the trace itself
    seen = texts.select(
        "row",
        "reasoning",
        "asked",
        trace=trace,
    ).with_columns(letters=_not_at_home())
    some = pl.col("letters") != ""
    strange = pl.concat_str(pl.lit("["), "letters", pl.lit("]"))
    stretch = pl.concat_str(strange, pl.lit(r"(?:\PL*"), strange, pl.lit(")*"))
    return seen.select(
        "row",
        foreign=pl.col("trace").str.count_matches(pl.when(some).then(strange)),
        switches=pl.col("reasoning").str.count_matches(pl.when(some).then(stretch)),
    ).cast({"foreign": pl.Int64, "switches": pl.Int64})


def _not_at_home() -> pl.Expr:
    """The classes of letters that are not at home in a row, side by side."""
    asked = pl.col("asked")
    anything = asked.str.contains(_TRANSLATES)
    home = {}
    for name, script in SCRIPTS.items():
        latin, others = _LANGUAGES[name]
        named = asked.str.contains(plain(_NAMED % (*[latin] * 4, others)))
        told = asked.str.contains(script) | named | anything
        home[name] = pl.coalesce(told, _share("trace", script) >= MOSTLY).fill_null(value=False)
    home["Han"] |= (home["Kana"] & asked.is_not_null()).fill_null(value=False)
    return pl.concat_str(
        pl.when(home[name]).then(pl.lit("")).otherwise(pl.lit(script))
        for name, script in SCRIPTS.items()
    )


def _home_shares(frame: pl.DataFrame) -> pl.Series:
    r"""Of a thought's letters, the share that is in the question's script, 0..1.

    1 where the question is mostly Latin or Greek (``foreign_share`` is for those) or unknown, where
    it asks for a translation, and where the thought has no letters. Code, formulas, LaTeX commands,
    addresses and words of one or two Latin letters do not count.
    """
    texts = frame.select(
        pl.int_range(pl.len(), dtype=pl.UInt32).alias("row"), "reasoning", asked=all_turns()
    )
    asked = texts.filter(pl.col("asked").str.len_bytes() > pl.col("asked").str.len_chars())
    asked = asked.filter(_share("asked", _ANY) >= MOSTLY)
    asked = asked.filter(~pl.col("asked").str.contains(_TRANSLATES))
    bare = asked.with_columns(
        thought=pl.col("reasoning").fill_null("").str.replace_all(_NEUTRAL, " ")
    )
    shares = bare.select("row", share=_share("thought", _ANY).fill_nan(None))
    joined = texts.select("row").join(shares, on="row", how="left", maintain_order="left")
    return joined["share"].fill_null(1.0)


def _share(text: str, script: str) -> pl.Expr:
    return _count(text, script) / _count(text, r"\p{L}")


def _count(text: str, script: str) -> pl.Expr:
    return pl.col(text).str.count_matches(script).cast(pl.Int64)
