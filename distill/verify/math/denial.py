r"""Words that deny an answer, take it back, give up, or offer it as one guess of several.

Every pattern starts at a word or a sentence and has bounded loops, so that all take linear time.
"""

import re

LINKS = 4  # of a chain of "not 5 but 6" that is followed


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.replace("_", " ") for word in text.split())


# A text without any of these needs no search by a pattern, which takes 20 times as long.
_DENYING = _words(
    "not_ n't n’t never neither nor_ cannot nicht kein non_ pas_ não nao_ nunca не ні niet inte_ nie_"
    " değil 不 非 no_ rather instead opposed unlike lugar vez lieu statt вместо ≠ != \\ne"
    " but_ other different than longer wrong"
)
_DOUBTING = _words("way doubt hardly think believe say agree claim that to_ guess assume expect")
_GIVING_UP = _words(
    "give_up gave giving know idea can't can’t cannot can_not couldn could_not unable able_to fail won't"
    " won’t refuse impossible out_of ran_out running_out skip pass quit stuck lost enough insufficient"
    " continued rindo no_sé no_lo puedo sais peux abandonne weiß kann gebe sei desisto non_ arrendo"
    " знаю сдаюсь могу 不 放弃 无法 解け わかり 分かり 모르 포기"
)
_GUESSING = _words(
    "guess maybe perhaps possib might_be could_be may_be either alternativ attempt candidate option_"
    " answer_ otherwise if_not try_ _or_ plan_ quizá vez_ peut vielleicht talvez forse воз может или"
    " 也许 可能 或者 猜 かもしれ 多分 아마"
)
_TAKING_BACK = _words(
    "wait actually rather scratch strike forget never disregard ignore _back retract withdraw wrong"
    " mistake correct changed meant_ fix_ revise i_mis forgot messed error slip typo edit: erratum"
    " let_me thought reflection closer should false erroneous invalid inaccurate _match _work add_up"
    " sense _right _fit satisfy _no, no. no: my_bad counted missed overlooked mixed confused dropped swapped mean_ but check_out sorry equivo _mal falso errad erro erreur fehler correc"
    " corrijo errei faux tromp falsch stimmt geirrt vertan verrechnet korrektur sbagliat неверно"
    " неправильно ошиб не_так исправ 不对 不對 错 錯 更正 有误 間違 違い 訂正 틀 잘못 정정 아니"
)

# What a value begins with: a number, a formula, bold text, the letter of an option.
_VALUE = r"(?:\$|\\[(\[]|\\[dt]?frac|\\boxed|\*\*|`|[-−]?\d|\([A-J]\)|[A-J](?![\w'’]))"
_NOT = (
    r"(?:\bnot|n['’]t|\b(?:never|neither|cannot|nor|nicht|keine?|non|pas|não|nao|nunca|не|ні|niet"
    r"|inte|nie|değil|no(?= (?:es|son|era)\b))|不是|不为|不等于|并非|而非|不選|不选)"
)
_ADVERB = (
    r"(?:\s(?:be|equal(?: to)?|the|a|an|just|simply|exactly|actually|really|option|choice|answer"
    r"|value|number|es|é|è|est|la|el|die|der|opción|option|вариант)){0,4}"
)
_BEFORE = re.compile(
    rf"(?:(?<!if )(?:{_NOT}{_ADVERB}|\b(?:(?:any|every)thing (?:but|except)|all (?:but|except)|(?<!none )(?<!no )other than|different from"
    r"|no longer|except|excluding"
    r"|(?:less|more|fewer|greater|larger|smaller|higher|lower|bigger) than|wrong to (?:say|answer)))"
    r"[\s$*:(]{0,6}|(?:\\neq?|≠|!=)\s{0,3})$",
    re.IGNORECASE,
)
_WRONG = (
    r"(?:not (?:quite |actually |really )?(?:right|correct|it|(?:the|my|our) (?:right |correct "
    r"|final |actual )?(?:answer|one|value|result|option|choice|solution))"
    r"|wrong|incorrect|false|mistaken|erroneous|a mistake|an error|in error|invalid|inaccurate)\b"
)
_AFTER = re.compile(
    r"[\s$*)\]}'\"`\\,]{0,6}(?:(?:is|was|are|seems|looks|would be)(?: (?:clearly|definitely|also"
    rf"|certainly|obviously|actually|simply|the))? {_WRONG}(?! to )"
    r"|(?:isn['’]t|wasn['’]t|can['’]t be|cannot be|could not be) (?:right|correct|it\b|(?:the|my) "
    r"(?:right |correct |final )?(?:answer|one|value|result|option|choice|solution))"
    r"|(?:is|are)(?:n['’]t| not) a (?:valid |real |possible |correct )?(?:solution|root|answer|option)"
    r"|(?:do|does|did)(?:n['’]t| not) (?:work|satisfy|fit|hold|match)|\?\s{0,3}(?:no|nope|wrong)\b"
    r"|(?:no es|não é|non è|n['’]est pas) (?:la|a|une?|correct|válid)|ist (?:falsch|nicht (?:die|richtig))"
    r"|(?:es|está|é|è|est) (?:incorrect|fau[sx]|errad|sbagliat|mal\b)|(?:неверн|неправил|не подход)"
    r"|(?:是|为)?(?:不对|不正确|错误|错的|不是)|では(?:ない|ありません|なく)|じゃない|は(?:間違|誤|違|答えではな|答えではあり)"
    r"|[이가은는]? ?(?:아니|아닙|틀[렸린]))",
    re.IGNORECASE,
)
_DOUBTED = re.compile(
    r"\b(?:no way|doubt|hardly|(?:don['’]t|do not|can['’]t|cannot|didn['’]t|wouldn['’]t) (?:think|believe"
    r"|say|agree|claim)|(?:false|wrong|untrue|incorrect|not true|not the case) (?:that|to)|claim(?:s|ed)?"
    r"|(?:many|some|others|people|students|you|one|they|someone) (?:\w{1,12} )?(?:might |may |would "
    r"|will |could |often )?(?:thinks?|says?|believes?|guess(?:es)?|assumes?|expects?|claims?))\b",
    re.IGNORECASE,
)
_CLAUSE = re.compile(r"[,;.!?]\s|\b(?:but|so|hence|thus|therefore)\b", re.IGNORECASE)
_CONTRAST = re.compile(
    rf"[\s,;:(—–，、-]{{0,6}}(?:(?:and|but|y|et|und|e|а|и|而)\s?)?"
    rf"(?:{_NOT}{_ADVERB}\s?(?={_VALUE})|(?:\bno|\bsino que no)\s(?={_VALUE})"
    r"|\b(?:rather than|instead of|as opposed to|unlike|en lugar de|en vez de|au lieu de|statt"
    r"|anstatt|вместо)\b|而不是|并非|而非|不是)",
    re.IGNORECASE,
)
_BUT = re.compile(
    r"\b(?:but|rather|sino|mais|sondern|mas|ma|а|which (?:is|equals)|it is|it['’]s)\b[\s:,]{0,3}|而是",
    re.IGNORECASE,
)
_SO = re.compile(
    r"\b(?:so|thus|hence|therefore|then|donc|also|así que|luego|portanto|quindi|поэтому|значит)\b"
    r"[\s:,]{0,3}|所以|因此|故",
    re.IGNORECASE,
)
REASON = re.compile(
    r"[\s,(]{1,3}(?:since|because|where|which|whenever|if|given that|puisque|car|weil|da|porque|так как"
    r"|поскольку)\b|因为",
    re.IGNORECASE,
)
_VERB_LAST = re.compile(r"(?:\b(?:is|was|are|be|equals|es|ist|est|é|è)|=|是|为)$", re.IGNORECASE)
_GIVES_UP = re.compile(
    r"\b(?:(?:i|we|ll|must|to) give up|(?:i|we) gave up|giving up|give up[.!,;]|(?:don['’]t|do not|didn['’]t|did not) know|no idea|not know"
    r"|(?:cannot|can['’]t|can not|couldn['’]t|could not|unable to|not able to|failed (?:to|after)|fail to"
    r"|won['’]t|refuse to|impossible to) (?:\w+ )?(?:solve|answer|determine|compute|find|help|complete"
    r"|provide|say|tell|figure|decide|be (?:solved|determined|answered)|finish|do|see|assist|continue)"
    r"|ran out|running out|out of (?:time|tokens|space)|(?:i|i['’]m) (?:skip|pass|quit|stuck|lost)"
    r"|not enough (?:info|data|time)|insufficient|to be continued|me rindo|no (?:lo )?sé"
    r"|no puedo|je ne (?:sais|peux)|j['’]abandonne|ich (?:weiß|kann) (?:es )?nicht|ich gebe auf"
    r"|não sei|desisto|non (?:lo )?so|mi arrendo)\b"
    r"|не знаю|сдаюсь|не могу|我不知道|不会做|放弃|无法|不能确定|解け|わかりません|分かりません|모르겠|포기",
    re.IGNORECASE,
)
_GUESS = re.compile(
    r"\b(?:guess(?:es)?|maybe|perhaps|possibly|might be|could be|may be|either|alternatively"
    r"|attempt|candidate|(?:option|answer|possibility) (?:\d|[a-z]\b)|otherwise|if not|try|or else|or|plan [a-z]|quizás?|tal vez|peut-être"
    r"|vielleicht|talvez|forse|возможно|может быть|или)\b|也许|可能|或者|猜|かもしれ|多分|아마",
    re.IGNORECASE,
)

_ADV = (
    r"(?: (?:all|clearly|actually|obviously|still|also|definitely|certainly|simply|just|probably"
    r"|totally|completely|quite|really))?"
)
_IS_WRONG = (
    rf"(?:(?:['’]s| is| was| seems| looks| must be| has to be| turns out to be){_ADV} {_WRONG}"
    rf"|(?: isn['’]t| wasn['’]t| can['’]?t be| cannot be| could not be| couldn['’]t be){_ADV}"
    r" (?:right|correct)\b"
    r"|(?: does| did)(?:n['’]t| not)(?: actually)? (?:work|match|add up|make sense|look right|fit"
    r"|seem right|satisfy|check out)\b)"
)
# Where a sentence begins, or what follows a comma or a dash, with what people exclaim before they
# correct themselves.
_START = re.compile(
    r"[.!?;:,…—–。！？；，、\n)\]*$}-][\s*_>\"“(\[#\\$.]{0,12}"
    r"(?:\b(?:but|oh|ah|wait|hold on|hang on|hm{1,4}|no|nope|oops|whoops|actually|sorry|apologies"
    r"|my apologies|my bad|however|unfortunately|well|uh|um|ok|okay|so|and|in fact|a|small|minor"
    r"|quick|please|i (?:now )?(?:see|think|realize|realise|notice)(?: that)?"
    r"|(?:on|after|upon|when) [a-z]{1,12}ing(?: [a-z]{1,9})?"
    r"|espera|perdón|attendez|pardon|moment|halt|nein|non|não|стоп|подожди(?:те)?|нет|espere|aspetta)\b"
    r"[\s,.!:;…—–-]{1,6}|(?:等等|等一下|抱歉)[\s，。！,]{0,3}){0,4}$",
    re.IGNORECASE,
)
_EXCLAIMED = re.compile(
    r"\b(?:wait|hold on|hang on|hm+|no|nope|oops|whoops|actually|sorry)\b", re.I
)
_THIS_IS_WRONG = re.compile(
    rf"\b(?:(?:this|that|it)(?: (?:answer|result|value|one))?{_IS_WRONG}|wrong|incorrect)"
    r"(?=\W{0,3}(?:$|[.,;:!?…—–\n-]|because|since|as\b|and|but|so\b|though))",
    re.IGNORECASE,
)
_TAKEN_BACK = re.compile(
    r"\b(?:(?:no|oh),? wait\b|wait,? no\b|actually,? no\b|no,? (?:actually|sorry)\b"
    rf"|actually,? (?=(?-i:{_VALUE})[^\s]{{0,12}}(?:[.!]\s|[.!]?$))"
    r"|actually,? (?:it|the (?:answer|value|result)|that|this)(?:['’]s| is)(?=\s{0,2}(?-i:"
    rf"{_VALUE}))|(?:or )?rather[,:]? (?={_VALUE})"
    r"|(?:scratch|strike|forget) (?:that|this|it)\b|never ?mind\b"
    r"|(?:disregard|ignore) (?:that|this|it|my|the (?:above|previous|last|first|earlier"
    r"|box|answer))\b"
    r"|i (?:(?:take|took) (?:that|this|it) back|retract\b|withdraw\b|(?:was|am) (?:wrong|mistaken)\b"
    r"|stand corrected|(?:have )?changed? my mind|meant\b|need to (?:correct|fix|revise)"
    r"|mis(?:read|counted|calculated|took|spoke|interpreted|understood|applied)\b|miscounted"
    r"|forgot to (?:add|divide|multiply|subtract|include|count|account|square|carry|take)"
    r"|messed up|got (?:that|this|it) wrong)"
    r"|i(?:['’]m|['’]ve| have| just| also){0,2} (?:wrong|mistaken)\b"
    r"|i(?:['’]ve| have| just| also){0,2} (?:made|found|spotted|noticed|see) (?:a|an|my|the)"
    r" (?:\w{1,20} )?(?:mistake|error|slip|typo)"
    r"|there(?:['’]s| is| was) (?:a|an) (?:\w{1,20} )?(?:mistake|error) in (?:my|the (?:above"
    r"|calc|comp|reasoning|work|solution|previous))"
    r"|correction\b|edit:|erratum|(?:corrected|revised|updated)(?: (?:answer|result|value|solution))?\s?:"
    rf"|my (?:mistake|bad|error)\b|i mean,? (?:it['’]s )?(?={_VALUE})"
    r"|i (?:double|over|under)[- ]?counted|i (?:missed|overlooked|mixed up|confused|dropped|swapped)\b"
    rf"|not (?={_VALUE}[^\s]{{0,12}},? but\b)"
    rf"|no[,:.—–-]{{1,3}}\s?(?=(?-i:{_VALUE})[^\s]{{0,12}}(?:[.!]\s|[.!]?$))"
    r"|let me (?:re-?do|re-?think|correct|fix|revise|re-?consider|start over"
    r"|try (?:this |it |that )?(?:once )?(?:more|again))"
    r"|on (?:second thoughts?|(?:further )?reflection|closer (?:look|inspection|examination))\b"
    r"|(?:my|the|this|that)(?: (?:above|previous|earlier|first|last|boxed|final|initial|given|original))*"
    r" (?:answer|result|value|solution|calculation|computation|reasoning|work|box|claim|guess"
    rf"|number|option|choice)(?: above| i gave| given| in the box)?{_IS_WRONG}"
    rf"|the (?:above|previous){_IS_WRONG}"
    r"|(?:it|that|this|the (?:answer|value|result|box)) should (?:have been|read|(?:actually |rather "
    rf"|really |instead )?be (?={_VALUE}))"
    r"|(?:that|this) (?:was|is) a (?:\w{1,12} )?(?:mistake|error|slip)\b"
    # other languages
    r"|(?:esto|eso|isso|isto) (?:es|está|é) (?:incorrect|mal\b|equivocad|falso|errad)|me equivoqué"
    r"|(?:cometí|cometi|j['’]ai fait|ho fatto|ich habe) (?:un|une|einen)? ?(?:error|erro|erreur|errore"
    r"|fehler)|correc(?:ción|ção|tion)\b|corrijo|errei\b|c['’]est (?:faux|incorrect)|je me suis trompé"
    r"|das (?:ist falsch|stimmt (?:so )?nicht)|ich habe mich (?:geirrt|vertan|verrechnet)|korrektur\b"
    r"|(?:questo )?è sbagliato|ho sbagliato|correzione\b"
    r"|(?:это )?(?:неверно|неправильно|ошибка|не так)|я ошиб|исправ"
    r")|(?:不对|不對|错了|錯了|这是错|這是錯|这不对|更正|我算错|我错|算错了|上面(?:的?答案)?(?:是)?(?:错|有误)"
    r"|答案(?:有误|错)|間違(?:い|え)|違います|訂正|틀렸|틀린|잘못|정정|아니,"
    r")",
    re.IGNORECASE,
)


def _has(text: str, words: tuple[str, ...]) -> bool:
    return any(map(text.lower().__contains__, words))


def denied_before(text: str) -> bool:
    """Whether the end of ``text`` denies what follows it: "it is not "."""
    near = text[-40:]
    return _has(near, _DENYING) and _BEFORE.search(near) is not None


def doubted(before: str) -> bool:
    """Whether the clause at the end of ``before`` doubts what follows, or says who else thinks so."""
    near = before[-120:]
    return _has(near, _DOUBTING) and _DOUBTED.search(_CLAUSE.split(near)[-1]) is not None


def denied_after(text: str) -> bool:
    """Whether the start of ``text`` denies what it follows: " is wrong"."""
    return _AFTER.match(text) is not None


def hedged(text: str) -> bool:
    """Whether it offers a guess, or one of several."""
    return _has(text, _GUESSING) and _GUESS.search(text) is not None


def gives_up(text: str) -> bool:
    """Whether it says that there is no answer."""
    return _has(text, _GIVING_UP) and _GIVES_UP.search(text) is not None


def affirmed(sentence: str) -> str:
    """What a sentence says is the case, without what it says is not; "" if there is nothing.

    >>> affirmed("7, not 5"), affirmed("not 5 but 7"), affirmed("not 5"), affirmed("not possible")
    ('7', '7', '', 'not possible')
    """
    if not _has(sentence, _DENYING):
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


def kept(after: str, *, at_once: int = 20) -> str | None:
    """What follows the last words that take an answer back; None if there are none.

    ``after`` follows the answer; "this is wrong" is about it within ``at_once`` characters, or
    after "wait" and the like.
    """
    if not _has(after, _TAKING_BACK):
        return None
    last = -1
    for match in _TAKEN_BACK.finditer(after):
        if _start_of(after, match) is not None:
            last = match.end()
    for match in _THIS_IS_WRONG.finditer(after):
        said = _start_of(after, match)
        if said is not None and (match.start() <= at_once or _EXCLAIMED.search(said)):
            last = max(last, match.end())
    return after[last:] if last >= 0 else None


def _start_of(text: str, match: re.Match[str]) -> str | None:
    """What is exclaimed between the start of its sentence and the match; None in mid-sentence."""
    before = text[max(0, match.start() - 80) : match.start()]
    found = _START.search("\n" + before if match.start() <= 80 else before)
    return None if found is None else found[0]
