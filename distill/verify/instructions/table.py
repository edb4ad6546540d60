"""Maps each of IFEval's 25 instructions to the function that checks it."""

from collections.abc import Callable, Mapping

from distill.verify.instructions import amounts, content, layout, tongue
from distill.verify.instructions.asked import Asked

# A text instead of yes or no is the reason why it cannot be decided.
TABLE: Mapping[str, Callable[[Asked, str], bool | str]] = {
    "change_case:capital_word_frequency": amounts.capital_words,
    "change_case:english_capital": tongue.english_capital,
    "change_case:english_lowercase": tongue.english_lowercase,
    "combination:repeat_prompt": content.repeats_prompt,
    "combination:two_responses": layout.two_responses,
    "detectable_content:number_placeholders": content.placeholders,
    "detectable_content:postscript": content.postscript,
    "detectable_format:constrained_response": content.constrained,
    "detectable_format:json_format": layout.is_json,
    "detectable_format:multiple_sections": layout.sections,
    "detectable_format:number_bullet_lists": layout.bullets,
    "detectable_format:number_highlighted_sections": layout.highlights,
    "detectable_format:title": content.title,
    "keywords:existence": content.has_keywords,
    "keywords:forbidden_words": content.lacks_forbidden,
    "keywords:frequency": content.keyword_frequency,
    "keywords:letter_frequency": content.letter_frequency,
    "language:response_language": tongue.response_language,
    "length_constraints:nth_paragraph_first_word": content.first_word,
    "length_constraints:number_paragraphs": layout.paragraphs,
    "length_constraints:number_sentences": amounts.number_sentences,
    "length_constraints:number_words": amounts.number_words,
    "punctuation:no_comma": content.no_comma,
    "startend:end_checker": content.ends,
    "startend:quotation": layout.quoted,
}
