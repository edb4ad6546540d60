"""Whether a trace says who its teacher is, or declines to answer.

Names count only where the text speaks of itself: "GPT-4 was made by OpenAI" is knowledge, "I was
made by OpenAI" is what a student would repeat of itself.
"""

import polars as pl

from distill.signals.patterns import plain
from distill.signals.settings import Settings

COLUMNS: dict[str, pl.DataType] = {
    "teacher_named": pl.UInt32(),
    "ai_phrases": pl.UInt32(),
    "refused": pl.Boolean(),
}
VERSION = 2
COST = 1

_NAMED = (
    *(
        "DeepSeek",
        "Deepseek",
        "深度求索",
        "OpenAI",
        "ChatGPT",
        "GPT-?[345o]",
        "Anthropic",
        "Claude",
    ),
    *("Gemini", "Google", "Bard", "Qwen", "QwQ", "Tongyi", "通义", "Alibaba", "阿里", "Meta AI"),
    *("Llama", "LLaMA", "Mistral", "Moonshot", "Kimi", "月之暗面", "Zhipu", "智谱", "ChatGLM"),
    *("Doubao", "豆包", "字节跳动", "ERNIE", "文心一言", "百度", "MiniMax", "Grok", "xAI"),
    *("Microsoft", "Phi-[34]"),
)
_NAMES = rf"(?:{'|'.join(_NAMED)})"
_BE = r"\b(?:I am|I'm|I’m|I was|[Aa]s)"
_ROLE = r"(?:model|assistant|AI|chatbot|bot|LLM|system|version|instance)\b"
_MADE = r"(?:made|created|developed|trained|built|designed|released|provided)"
_NEAR = r"[^.!?。！？\n]"
# "I'm reminded of Claude Shannon" and "it made me think of Google" speak of others: between self
# and name stands only what the self is, or that it was made.
_LEAK = plain(
    rf"(?:{_BE}|\b[Mm]y name is)(?: (?:just|only|actually|called|named|the))* {_NAMES}"
    rf"(?:$|-\w|[^-\w ]| (?:[^A-Z\s]|{_ROLE}))"
    rf"|{_BE}(?: \w+)? (?:an?|the|your) (?:{_NEAR}{{0,40}}?{_ROLE}{_NEAR}{{0,40}}?{_NAMES}"
    rf"|{_NAMES}[-\w. ]{{0,20}} {_ROLE})"
    rf"|{_BE}(?: \w+)? {_MADE}{_NEAR}{{0,30}}? (?:by|at|from) {_NEAR}{{0,25}}?{_NAMES}"
    rf"|\b[Mm]y (?:creator|developer|maker)s?{_NEAR}{{0,60}}?{_NAMES}"
    rf"|{_NAMES} (?:has |have )?{_MADE} me\b|\b{_MADE} me(?:,| is| was| at| by)* {_NAMES}"
    rf"|(?:我是|我叫|我由|我的开发者|作为){_NEAR}{{0,60}}?{_NAMES}"
    rf"|{_NAMES}(?:'s|’s)? (?:usage |content |use )?(?:policy|policies|guidelines)"
)
_AI = plain(
    r"\b[Aa]s an? (?:AI|artificial intelligence|(?:large )?language model)\b"
    r"|\bI(?: am|'m|’m) (?:just |only )?an? "
    r"(?:AI|artificial intelligence|(?:large )?language model)\b"
    r"|作为一?[个名]?(?:AI|人工智能|大?语言模型)|我是一?[个名]?(?:AI|人工智能|大?语言模型)"
)
# How a refusal begins; "I can't find a mistake" is none, so the verb is needed.
_REFUSAL = (
    r"(?i)^\W{0,3}(?:(?:i['’]?m|i am) (?:really |very )?sorry|sorry|i apologi[sz]e|unfortunately)?"
    r"[,.!]?\s*(?:but )?(?:i(?:['’]m| am) (?:unable|not able|not allowed)|i (?:can['’]?t|cannot"
    r"|can not|won['’]t|will not|must decline)|as an ai[^.\n]{0,40}, i (?:can['’]?t|cannot))"
    r"(?: to)? (?:help|assist|provide|comply|support|engage|answer|fulfill|create|generate|discuss"
    r"|do that|continue|participate|offer|share|give)"
    r"|^\W{0,3}(?:很?抱歉|对不起)[，,]?\s*(?:但?我)?(?:不能|无法|没办法)|^\W{0,3}我(?:不能|无法)(?:提供|帮助|协助|回答)"
)


def measure(frame: pl.DataFrame, settings: Settings) -> pl.DataFrame:
    """teacher_named and ai_phrases: in thought and response; refused: how the response begins."""
    texts = [pl.col(name).fill_null("") for name in ("reasoning", "response")]
    # few texts have any name, and looking for names alone is four times as fast
    naming = [pl.when(text.str.contains(_NAMES)).then(text).fill_null("") for text in texts]
    opening = texts[1].str.strip_chars_start().str.slice(0, 300)
    return frame.select(
        teacher_named=_total(naming, _LEAK),
        ai_phrases=_total(texts, _AI),
        refused=opening.str.contains(_REFUSAL),
    )


def _total(texts: list[pl.Expr], pattern: str) -> pl.Expr:
    return pl.sum_horizontal(text.str.count_matches(pattern) for text in texts).cast(pl.UInt32)
