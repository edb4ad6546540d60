r"""Words that deny an answer, give up, or offer it as one guess of several.

Every pattern starts at a word or a sentence and has bounded loops, so that all take linear time.
"""

import re

from distill.verify.math.signs import DENYING, DOUBTING, GIVING_UP, GUESSING, quiet

LINKS = 4  # of a chain of "not 5 but 6" that is followed


# What a value begins with: a number, a formula, bold text, the letter of an option.
VALUE = (
    r"(?-i:\$|\\[(\[]|\\[dt]?frac|\\boxed|\*\*|`|[-−]?\d"
    r"|\([A-J]\)|[A-HJ](?![\w'’])|I(?![\w'’]|\s[a-z]))"
)
_NOT = (
    r"(?:\bnot|n['’]t|\b(?:never|neither|cannot|nor|nicht|keine?|non|pas|não|nao|nunca|не|ні|niet"
    r"|inte|nie|değil|ej|ikke"
    r"|no(?= (?:es|son|era|puede)\b)|keinesfalls|keineswegs|jamais|niemals|mai|nigdy|bukan"
    r"|không(?: phải(?: là)?)?|není|δεν είναι"
    r"|ليست?"
    r"|नहीं|ไม่)|不是|不可能是|不为|不等于|并非|而非|不選|不选)"
)
_ADVERB = (
    r"(?:\s(?:be|equal(?: to)?|puede|ser|sein|être|kann|peut|равен|равна|является|say|write"
    r"|answer with|put|choose|pick|accept|the|a|an|just|simply"
    r"|exactly|actually|really|option|choice|answer"
    r"|value|number|es|é|è|est|la|el|die|der|opción|option|вариант)){0,4}"
)
_BEFORE = re.compile(
    rf"(?:(?<!if )(?:{_NOT}{_ADVERB}|\b(?:(?:any|every)thing (?:but|except)|all (?:but|except)"
    rf"|(?<!none )(?<!no )other than|different from"
    r"|by no means|far from|nowhere near|unlikely to be|(?:wrong|incorrect)(?: (?:answer|value"
    r"|result|option|choice))?|never been|fails? to be|reject(?:ed|ing)?"
    r"|rul(?:ed?|ing) out|discard(?:ed|ing)?|eliminat(?:ed?|ing)|exclud(?:ed?|ing)|dismiss(?:ed"
    r"|ing)?"
    r"|no longer|except|excluding|nothing like|(?:no"
    r"|little) reason to \w{1,12}"
    r"|(?:less|more|fewer|greater|larger|smaller|higher|lower|bigger) than|wrong to (?:say"
    r"|answer)))"
    r"[\s$*:(]{0,6}|(?:\\neq?|≠|\s!=)\s{0,3})$",
    re.IGNORECASE,
)
WRONG = (
    r"(?:not (?:quite |actually |really )?(?:right|correct|it|(?:the|my|our) (?:right |correct "
    r"|final |actual )?(?:answer|one|value|result|option|choice|solution))"
    r"|(?:common |typical |tempting )?wrong|incorrect|false|mistaken|erroneous|a mistake|an error"
    r"|in error|invalid"
    r"|inaccurate|impossible|off|too (?:small|big|large|few|many|low|high|much|little))\b"
)
_AFTER = re.compile(
    r"[\s$*)\]}'\"`\\,]{0,6}(?:(?:is|was|are|seems|looks|would be|must be|has to be)(?: (?:an?"
    r"|clearly|definitely|also"
    rf"|certainly|obviously|actually|simply|the))? {WRONG}(?! to )"
    r"|(?:isn['’]t|wasn['’]t|can['’]t be|cannot be|could not be) (?:right|correct|it\b|(?:the|my) "
    r"(?:right |correct |final )?(?:answer|one|value|result|option|choice|solution))"
    r"|(?:is|are)(?:n['’]t| not) a (?:valid |real |possible |correct )?(?:solution|root|answer"
    r"|option)"
    r"|(?:(?:do|does|did)(?:n['’]t| not)|won['’]t) (?:work|satisfy|fit|hold|match)|\?\s{0,3}(?:no"
    r"|nope|wrong)\b"
    r"|(?:no es|não é|non è|n['’]est pas) (?:la|a|une?|correct|válid)|(?:is|are) (?:excluded"
    r"|not possible|impossible|rejected|ruled out|discarded)|can be (?:ruled out|excluded"
    r"|eliminated|discarded)|(?:fails|leads to a contradiction)\b|(?:— )?не(?: ответ"
    r"|правильный ответ)|ist (?:falsch|nicht (?:die"
    r"|richtig))"
    r"|değil|(?:which )?(?:is|are) extraneous|\(?(?:extraneous|rejected|discarded|excluded"
    r"|inv[aá]lid|inadmissible)|(?:es|está|é|è"
    r"|est) (?:incorrect|fau[sx]|errad|sbagliat|mal\b)|(?:—\s)?(?:невер|неправ|не вер[не]"
    r"|не подход|хибн)"
    r"|(?:jest|to) (?:błędn|niepoprawn|nieprawidłow)|(?:is )?(?:onjuist|yanlış|salah\b)|(?:är fel"
    r"|er forkert|ist inkorrekt|stimmt nicht|klopt niet|es erróne|è errat)"
    r"|(?:是|为)?(?:不对|不正确|错误|错的|不是(?:答案|正确|解))|では(?:ない|ありません|なく)|じゃない|は(?:間違|誤|違|(?:答え|正解)ではな"
    r"|答えではあり)"
    r"|[이가은는]? ?(?:아니|아닙|틀[렸린]))",
    re.IGNORECASE,
)
_DOUBTED = re.compile(
    r"\b(?:no way|lying if|nobody|no one|a fool|a myth|disagree|(?<!without a )(?<!no )doubt"
    r"|if you (?:answer|say|write|put)|hardly"
    r"|(?:don['’]t|do not|can['’]t|cannot|didn['’]t"
    r"|wouldn['’]t) (?:think|believe"
    r"|say|agree|claim)|(?:false|wrong|untrue|incorrect|not true|not the case) (?:that|to)"
    r"|claim (?:that|the answer)|says|claims|told \w{1,12}"
    r"|(?:would|might|could|should) have been|used to be|no creo que|non credo che"
    r"|je ne (?:pense|crois) pas que|ich glaube nicht,? dass|não acho que"
    r"|(?:many|some|others|people|students|you|one|they|someone) (?:\w{1,12} )?(?:might |may "
    r"|would "
    r"|will |could |often )?(?:thinks?|says?|believes?|guess(?:es)?|assumes?|claims?))\b",
    re.IGNORECASE,
)
_THE_ANSWER_IS_NOT = re.compile(
    r"\b(?:answer|result|it)"
    r"(?:(?: is| was)(?: \w{1,12})? not|(?: isn| wasn)['’]t| can(?:no|['’])t be)"
    r"[\s$*:]{0,6}$",
    re.IGNORECASE,
)
_CLAUSE = re.compile(r"[,;.!?]\s|\b(?:but|so|hence|thus|therefore)\b", re.IGNORECASE)
_CONTRAST = re.compile(
    rf"[\s,;:(—–，、-]{{0,6}}(?:(?:and|but|y|et|und|e|а|и|而|a|i|en|och|og|ja|ve|dan|ale)\s?)?"
    rf"(?:{_NOT}{_ADVERB}\s?(?={VALUE})|(?:\bno|\bsino que no|\bei)\s(?={VALUE})"
    r"|\b(?:rather than|instead of|as opposed to|unlike|previously|formerly|originally|initially"
    r"|en lugar de|en vez de|au lieu de|statt"
    r"|anstatt|вместо)\b(?=[^=\n]{0,40}$)|(?:而不是|并非|而非|不是)(?=\s?(?:是|为)?\s?[\d$*\\A-J-]))",
    re.IGNORECASE,
)
_BUT = re.compile(
    r"\b(?:but|rather|sino|mais|sondern|mas|ma|а|which (?:is|equals)|it is|it['’]s"
    r"|we get)\b[\s:,]{0,3}"
    r"|而是",
    re.IGNORECASE,
)
_SO = re.compile(
    r"\b(?:so|thus|hence|therefore|then|donc|also|así que|luego|portanto|quindi|поэтому|значит)\b"
    r"[\s:,]{0,3}|所以|因此|故",
    re.IGNORECASE,
)
REASON = re.compile(
    r"[\s,(]{1,3}(?:since|because|where|which|whenever|if|given that|puisque|car|weil|da|porque"
    r"|parce que|denn|ya que|puesto que|pois|poiché|perché|ponieważ|çünkü|так как|потому что"
    r"|поскольку)\b|因为",
    re.IGNORECASE,
)
_VERB_LAST = re.compile(r"(?:\b(?:is|was|are|be|equals|es|ist|est|é|è)|=|是|为)$", re.IGNORECASE)
FAILS_TO = (
    r"(?:cannot|can['’]t|can not|couldn['’]t|could not|(?:am |are |was |were )?(?:unable"
    r"|not able) to"
    r"|fail(?:ed)? to|won['’]t|refuse to|impossible to)"
)
_GIVES_UP = re.compile(
    r"\b(?:(?:i|we|ll|must|to) give up|(?:i|we) gave up|giving up|give up[.!,;]"
    r"|(?:i|we) (?:don['’]t|do not|didn['’]t|did not) know|no idea|not known"
    rf"|(?:(?:i|we) (?:\w{{1,12}} )?|sorry,? ){FAILS_TO} (?:\w{{1,12}} )?(?:solve|answer|determine"
    r"|compute|find|help|complete|provide|say|tell|figure|decide|finish|do|see|assist|continue)"
    rf"|{FAILS_TO} (?:be (?:solved|determined|answered|found)|(?:solve|answer|determine"
    rf"|complete|finish"
    r"|do|find|say|help)(?: with)? (?:it|this|that|(?:the )?(?:problem|question|exercise|task"
    r"|step)))"
    r"|unable to (?:determine|solve|answer|complete)|not able to (?:finish|solve|answer)"
    r"|failed after|no (?:final )?answer (?:(?:was|is|has been|could be|can be) )?(?:found|reached"
    r"|obtained|given|available)|no (?:solution|result) (?:was )?found after"
    r"|(?:i|we) (?:ran|have run) out|(?:ran|running) out of (?:time|tokens|space)"
    r"|(?:i|i['’]m|i am) (?:skip|pass|quit|stuck|lost|stopped)|skipping (?:this|it|question"
    r"|problem|exercise)"
    r"|not enough (?:info|data|time)|insufficient (?:info|data)|to be continued|me rindo"
    r"|no (?:lo )?sé"
    r"|no puedo|je ne (?:sais|peux)|j['’]abandonne|ich (?:weiß|kann) (?:es )?nicht|ich gebe auf"
    r"|ich kann [^.\n]{0,40} nicht lösen|não sei|desisto|non (?:lo )?so|mi arrendo)\b"
    r"|не знаю|сдаюсь|не могу|我不知道|不会做|放弃|无法|不能确定|解け|わかりません|分かりません"
    r"|모르겠|포기",
    re.IGNORECASE,
)
_GUESS = re.compile(
    r"\b(?:guess(?:es)?|maybe|perhaps|possibly|might be|could be|may be|either|alternatively"
    r"|attempt|candidate|(?:option|answer|possibility) (?:\d|[a-z]\b)|otherwise|if not|try"
    r"|or else|or|plan [a-z]|quizás?|tal vez|peut-être"
    r"|vielleicht|talvez|forse|возможно|может быть|или)\b|也许|可能|或者|猜|かもしれ|多分|아마",
    re.IGNORECASE,
)


def denied_before(text: str) -> bool:
    """Whether the end of ``text`` denies what follows it: "it is not "."""
    near = text[-40:]
    return not quiet(near, DENYING) and _BEFORE.search(near) is not None


def denied_later(after: str, answer: str) -> bool:
    """Whether ``after`` says that the answer is not ``answer``."""
    if not answer or len(answer) > 80 or quiet(after, DENYING):
        return False
    return any(
        _THE_ANSWER_IS_NOT.search(after[max(0, match.start() - 60) : match.start()])
        or denied_after(after[match.end() : match.end() + 60])
        for match in re.finditer(rf"(?<![\w.]){re.escape(answer)}(?![\w.]*\d)", after[:4_000])
    )


def doubted(before: str) -> bool:
    """Whether the clause at the end of ``before`` doubts what follows or leaves it to others."""
    near = before[-120:]
    return not quiet(near, DOUBTING) and _DOUBTED.search(_CLAUSE.split(near)[-1]) is not None


def denied_after(text: str) -> bool:
    """Whether the start of ``text`` denies what it follows: " is wrong"."""
    return _AFTER.match(text) is not None


def hedged(text: str) -> bool:
    """Whether it offers a guess, or one of several."""
    return not quiet(text, GUESSING) and _GUESS.search(text) is not None


def gives_up(text: str) -> bool:
    """Whether it says that there is no answer."""
    return not quiet(text, GIVING_UP) and _GIVES_UP.search(text) is not None


def affirmed(sentence: str) -> str:
    """What a sentence says is the case, without what it says is not; "" if there is nothing.

    >>> affirmed("7, not 5"), affirmed("not 5 but 7"), affirmed("not 5"), affirmed("not possible")
    ('7', '7', '', 'not possible')
    """
    if quiet(sentence, DENYING):
        return sentence
    for _ in range(LINKS):
        denial = _CONTRAST.search(sentence)
        if denial is None:
            return sentence
        before = sentence[: denial.start()].strip(" *")
        if (reason := REASON.search(before)) and reason.start():
            return before[: reason.start()]
        onwards = _SO.search(sentence, denial.end())
        if onwards is None and not any(map(str.isdigit, before)):
            onwards = _BUT.search(sentence, denial.end())
        if onwards is None:
            return "" if _VERB_LAST.search(before) else before
        sentence = sentence[onwards.end() :]
    return ""
