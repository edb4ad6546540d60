"""Finds where a text takes its answer back: "wait, this is wrong", "correction:"."""

import re
from itertools import chain

from distill.verify.math.denial import FAILS_TO, VALUE, WRONG
from distill.verify.math.signs import TAKING_BACK, quiet

_ADV = (
    r"(?: (?:all|clearly|actually|obviously|still|also|definitely|certainly|simply|just|probably"
    r"|totally|completely|quite|really))?"
)
_CONDITION = (
    r"(?: (?:the|all|any|both|our|that|its) (?:\w{1,12} ){0,2}(?:conditions?|equations?"
    r"|constraints?"
    r"|assumptions?|requirements?|facts?|givens?|statements?|problem|premises?|hypothes[ie]s"
    r"|data)\b"
    r"[^.!?\n]{0,60})"
)
_IS_WRONG = (
    rf"(?:(?:['’]s| is| was| seems| looks| must be| has to be| turns out to be){_ADV} {WRONG}"
    rf"|(?: isn['’]t| wasn['’]t| can['’]?t be| cannot be| could not be| couldn['’]t be){_ADV}"
    r" (?:right|correct|it|the (?:answer|case))\b"
    r"|(?: does| did)(?:n['’]t| not)(?: actually)? (?:work|match|add up|make sense|look right|fit"
    rf"|seem right|satisfy|check out)\b{_CONDITION}?"
    rf"| (?:(?:contradicts|fails|violates)\b{_CONDITION}|fails|leads to a contradiction"
    rf"|is a contradiction)\b"
    r"|(?: is|['’]s)(?: not|n['’]t)(?: a)? (?:reliable|valid|acceptable|allowed|possible)\b)"
)
# Where a sentence begins, or what follows a comma or a dash, with what people exclaim before they
# correct themselves.
_START = re.compile(
    r"[.!?;:,…—–。！？；，、\n()\]*$}-][\s*_>\"“(\[#\\$.]{0,12}"
    r"(?:\b(?:but|oh|ah|wait|hold on|hang on|hm{1,4}|no|nope|oops|whoops|actually|sorry|apologies"
    r"|my apologies|my bad|however|unfortunately|well|uh|um|ok|okay|so|and|in fact|a|small|minor"
    r"|quick|please|hence|thus|therefore|i (?:now )?(?:see|think|realize|realise|notice)(?: that)?"
    r"|(?:on|after|upon|when) [a-z]{1,12}ing(?: [a-z]{1,9})?"
    r"|espera|perdón|attendez|pardon|moment|halt|nein|non|não|стоп|подожди(?:те)?|нет|espere"
    r"|aspetta)\b"
    r"[\s,.!:;…—–-]{1,6}|(?:等等|等一下|抱歉)[\s，。！,]{0,3}){0,4}$",
    re.IGNORECASE,
)
_EXCLAIMED = re.compile(
    r"\b(?:wait|hold on|hang on|hm+|no|nope|oops|whoops|actually|sorry)\b", re.I
)
_THIS_IS_WRONG = re.compile(
    rf"\b(?:(?:this|that|it)(?: (?:answer|result|value|one))?{_IS_WRONG}|wrong|incorrect"
    r"|there(?:['’]s| is| are) no (?:such \w{1,12}|solutions?)|no solution exists|(?:oops|whoops"
    r"|not|kidding|just kidding"
    r"|withdrawn|retracted)(?![-–—,])|(?:don['’]t|do not) trust (?:this|that|it)[^.!?\n]{0,20}"
    r"|something(?: is|['’]s) (?:wrong|off)[^.!?\n]{0,20})"
    r"(?=\W{0,3}(?:$|[.,;:!?…—–\n-]|because|since|as\b|and|but|so\b|though))",
    re.IGNORECASE,
)
_TAKEN_BACK = re.compile(
    r"\b(?:(?:no|oh),? wait\b|wait,? no\b|actually,? no\b|no,? (?:actually|sorry)\b"
    rf"|actually,? (?={VALUE}[^\s]{{0,12}}(?:[.!]\s|[.!]?$))"
    r"|actually,? (?:it|the (?:answer|value|result)|that|this)(?:['’]s| is)(?=\s{0,2}(?-i:"
    rf"{VALUE}))|or is it\b|(?:or )?rather[,:]? (?={VALUE})"
    rf"|it(?:['’]s| is) (?={VALUE}\S{{0,12}} (?:actually|rather|instead)[.!]?\s{{0,3}}(?:$|\n))"
    rf"|(?:oops|sorry)[,.!]\s{{1,2}}(?:it['’]s |it is )?(?={VALUE})"
    r"|(?:scratch|scrap|strike|forget|cancel) (?:that|this|it)\b|never ?mind\b"
    r"|(?:disregard|ignore) (?:that|this|it|my|the (?:above|previous|last|first|earlier"
    r"|box|answer))\b"
    r"|take (?:that|this|it) back|i (?:(?:take|took) (?:that|this|it) back|retract\b|withdraw\b"
    r"|(?:was|am) (?:wrong"
    r"|mistaken)\b(?! (?:earlier|before|at first))"
    r"|stand corrected|(?:have )?changed? my mind|meant\b|need to (?:correct|fix|revise)"
    r"|mis(?:read|counted|calculated|took|spoke|interpreted|understood|applied)\b|miscounted"
    r"|forgot (?:(?:one|two|an?|the|that|about)\b|to (?!mention|say|note|tell|explain))"
    r"|messed up|got (?:that|this|it) wrong)"
    r"|i(?:['’]m|['’]ve| have| just| also){0,2} (?:wrong|mistaken)\b"
    r"|i(?:['’]ve| have| just| also){0,2} (?:made|found|spotted|noticed|see) (?:a|an|my|the)"
    r" (?:\w{1,20} )?(?:mistake|error|slip|typo)"
    r"|there(?:['’]s| is| was) (?:a|an) (?:\w{1,20} )?(?:mistake|error) (?:above|in (?:my|step|the"
    r" (?:above|calc|comp|reasoning|work|solution|previous)))"
    r"|correction\b(?! (?:to|of) the (?:problem|question|statement|text))|erratum|(?:corrected"
    r"|revised|updated)(?: (?:answer|result|value"
    r"|solution))?\s?:"
    rf"|(?:it|that|this)(?:['’]s| is) actually (?={VALUE})|my (?:mistake|bad|error)\b"
    rf"|i mean,? (?:it['’]s )?(?={VALUE})"
    r"|i (?:double|over|under)[- ]?counted|i (?:missed|overlooked|mixed up|confused|dropped"
    r"|swapped)\b"
    rf"|not (?={VALUE}[^\s]{{0,12}},? but\b)"
    rf"|(?:make (?:that|it)|i(?:['’]d| would)? now (?:say|think|get|find)"
    rf"(?: it(?:['’]s| is))?)\s(?={VALUE})"
    rf"|(?:i|we) {FAILS_TO} (?:solve|answer|do) (?:this|it|that|the)"
    r"(?: (?:one|problem|question|exercise))?(?=[.!]?\s{0,3}(?:$|\n))"
    rf"|(?={VALUE}[^\s,]{{0,12}}, (?:rather|actually|instead)[.!]?\s{{0,3}}(?:$|\n))"
    r"|let me (?:correct|fix|revise)|i should(?: have|['’]ve) (?:add|subtract|multipl|divid"
    r"|includ|count|doubl|halv|tak|squar|round"
    r"|said|written|put|got|answer|convert)|(?:i|we) (?:don['’]t|do not) "
    r"(?:think|believe) (?:this|that|it)(?:['’]s| is) (?:right|correct|it)\b"
    r"|i(?:['’]m| am) not (?:so )?sure (?:this|that|it)(?:['’]s| is) (?:right|correct)\b"
    r"|(?:i|we) (?:think|believe) (?:this|that|it)(?:['’]s| is) (?:wrong|incorrect)\b"
    r"|on (?:second thoughts?|(?:further )?reflection|closer (?:look|inspection|examination))\b"
    r"|(?:my|the|this|that)(?: (?:above|previous|earlier|first|last|boxed|final|initial|given"
    r"|original))*"
    r" (?:answer|result|value|solution|calculation|computation|reasoning|work|box|claim|guess"
    rf"|number|option|choice)(?: above| i gave| given| in the box)?{_IS_WRONG}"
    rf"|the (?:above|previous){_IS_WRONG}"
    r"|(?:it|that|this|the (?:answer|value|result|box)) should (?:have been|read|(?:actually "
    r"|rather "
    rf"|really |instead )?be (?={VALUE}))"
    r"|(?:that|this) (?:was|is) a (?:\w{1,12} )?(?:mistake|error|slip)\b"
    # other languages
    r"|(?:esto|eso|isso|isto) (?:(?:no|não) )?(?:es|está|é) (?:incorrect|correct|mal\b|equivocad"
    r"|falso"
    r"|errad)|me equivoqué"
    r"|(?:cometí|cometi|j['’]ai fait|ho fatto|ich habe) (?:un|une|einen)? ?(?:error|erro|erreur"
    r"|errore"
    r"|fehler)|corre(?:cción|ção)\b|corrijo|errei\b|(?:c['’]|ce n['’])est (?:faux|incorrect"
    r"|pas (?:correct|juste))"
    r"|je me suis trompé"
    r"|das (?:ist (?:falsch|nicht richtig)|stimmt (?:so )?nicht)|ich habe mich (?:geirrt|vertan"
    r"|verrechnet)"
    r"|korrektur\b"
    r"|(?:questo )?è sbagliato|ho sbagliato|correzione\b"
    r"|(?:это )?(?:неверно|неправильно|ошибка|не так)|я ошиб|исправ"
    r")|(?:这个?(?:答案|结果)?)?(?:不对|不對|错了|錯了|这是错|這是錯|这不对|不满足|不符合|所以无解|更正|修正|等一下|等等|我算错|我错|算错了"
    r"|上面(?:的?答案)?(?:是)?(?:错|有误)"
    r"|答案(?:有误|错)|間違(?:い|え)|違います|訂正|틀렸|틀린|잘못|정정|아니,"
    r")",
    re.IGNORECASE,
)


_LONGEST_TURN = 2_000  # characters after an answer that are searched for such a sentence
_NOTHING = (
    r"(?:no (?:(?:real|valid|actual|integer|possible) )?(?:solutions?|answer"
    r"|such \w{1,12})(?: exists?)?|none"
    r"|undefined|impossible|does(?: not|n['’]t) exist|no (?:hay|tiene) soluci[oó]n(?:es)?"
    r"|pas de solution|aucune solution|keine Lösung(?:en)?|não há solução|nessuna soluzione"
    r"|нет решений|решений нет|brak rozwiązań|无解|解なし|해가 없다)"
)
# "Fix: 8", "no, it's 8": a value after such a word is another answer, if the sentence ends there.
_CORRECTED = re.compile(
    r"(?:\b(?:no(?! es|\s{1,3}(?:\$|-?\d))|nope|non|nein|não|нет|anzi|sorry|pardon|perdón|desculpe"
    r"|entschuldigung"
    r"|oops|whoops"
    r"|edit|update|updated|fix|fixed|redo|redone|better|changed|correct(?:ed|ion|ing)"
    r"|corre(?:cción|ção)|korrektur|error|erreur|erro"
    r"|mistake|amend(?:ed|ment)|revised|recalculat(?:ed|ing|ion)|recomput(?:ed|ing)"
    r"|на самом деле|na verdade|en realidad|falsch|falso|faux)\b|아니[다요]?|→|⇒|->|=>)"
    r"(?:[\s,:;.!—–*(-]|['’]s\b|\b(?:it|is|to|es|é|è|est|ist|corrected|the|answer|value|result"
    r"|should|be|say|this|that"
    r"|actually|instead|c['’]est|la respuesta|это|ответ)\b){1,16}"
    rf"(?={VALUE}[^\s]{{0,12}}(?:[.!)\]*]{{0,3}}\s{{0,3}}(?:$|\n)))",
    re.IGNORECASE,
)
_EARLIER = re.compile(r"\b(?:earlier|previously|initially|at first)[, ]{1,2}$", re.IGNORECASE)
_AGAIN = re.compile(
    r"\blet me (?:re-?(?:do|think|consider|compute|calculate|count)|start (?:over|again)"
    r"|try (?:this |it |that )?(?:once )?(?:more|again))\b",
    re.IGNORECASE,
)
LONGEST_END = 60  # characters of a text's end in which "same result" is looked for
_SAME = re.compile(r"\b(?:same|confirms?|yes|indeed|again|also|no)\b[^\n]{0,40}$", re.IGNORECASE)


# How a sentence begins that turns against what was said before it, and what it ends with.
_TURN = re.compile(
    r"(?:^|[.!?。！？\n]|…)[\s*_>(\[#-]{0,8}(?:"
    r"(?:(?:but|however|yet|still|unfortunately|pero|sin embargo|no obstante|mais|cependant"
    r"|toutefois|aber|jedoch|allerdings|doch|mas|porém|contudo|ma|però|tuttavia|но|однако|ale"
    r"|jednak|maar|echter|men|ama|fakat|ancak)\b|但是?|不过|然而|しかし|ただし|でも|하지만|그러나)"
    r"|((?:actually|wait|hold on|hang on|edit|update|correction|hmm+|oops|whoops|sorry|on second"
    r" thoughts?|in fact|no|nope|espera|en realidad|perdón|attendez|en fait|erreur|moment|halt"
    r"|eigentlich|korrektur|na verdade|espere|aspetta|in realtà|стоп|подождите|на самом деле"
    r"|исправление)\b|等等|等一下|更正|其实|いや|待って|訂正|잠깐|정정))"
    r"[\s,:;，、：.!*…—–-]{0,6}",
    re.IGNORECASE,
)
_TO_ANOTHER = re.compile(
    rf"(?:\b(?:so|thus|hence|therefore|which (?:gives|makes|means|leaves)|giving|making|leaving"
    rf"|por (?:lo )?tanto"
    r"|así que|luego|donc|also|daher|somit|portanto|logo|quindi|dunque|значит|поэтому|więc|dus"
    r"|alltså)\b|所以|因此|故|だから|よって|ので|따라서|그래서|므로)"
    rf"([^.!?。！？\n]{{0,60}}?(?:{VALUE}[^\n。]{{0,40}}?|{_NOTHING}))[.!。)\]*]{{0,3}}\s{{0,3}}(?:$"
    rf"|\n)",
    re.IGNORECASE,
)
_IS_ANOTHER = re.compile(
    rf"(\b(?:it|(?:the|my) (?:(correct|right|true|actual|real) |\w{{1,12}} )?(?:answer|total"
    rf"|result|value|count|number|sum"
    r"|probability|area))"
    rf" (?:is|must be|should be|becomes|equals) (?:{VALUE}[^\s]{{0,40}}?))"
    r"[.!。)\]*]{0,3}\s{0,3}(?:$|\n)",
    re.IGNORECASE,
)
_OF_OTHERS = re.compile(
    r"\b(?:not|(?:reject|discard|exclud|ignor)(?:e|ed)?|steps?|lines?|divide|multiply|see|use"
    r"|section|second|larger|smaller"
    r"|more|fewer|neither|only one)\b|n['’]t\b|不",
    re.IGNORECASE,
)
# A sentence that checks, supposes, or speaks of something else takes nothing back.
_ASIDE = re.compile(
    r"\b(?:check(?:s|ed|ing)?|verif\w{1,6}|confirm\w{0,3}|substitut\w{1,4}|plug\w{0,4}|would|if"
    r"|were"
    r"|other(?:s|wise)?|another|unless|faster|quicker|note|problem|likewise|similarly|same"
    r"|again)\b"
    r"|如果|若|验证|检查",
    re.IGNORECASE,
)


def turned(after: str) -> str | None:
    """What a sentence after an answer comes to that turns against it: "but …, so it is 8".

    >>> turned("However, we counted one twice, so there are 8."), turned("But 3 + 4 = 7.")
    (' there are 8', None)
    """
    for match in _TURN.finditer(after[-_LONGEST_TURN:]):
        line = after[-_LONGEST_TURN:][match.end() :].partition("\n")[0][:300]
        if _ASIDE.search(line):
            continue
        found = _TO_ANOTHER.search(line) or _IS_ANOTHER.search(line)
        if (
            found is not None
            and (match[1] or found.re is _TO_ANOTHER or found[2])
            and not _OF_OTHERS.search(found[1])
        ):
            return found[1]
    return None


def kept(after: str, *, at_once: int = 20) -> str | None:
    """What follows the last words that take an answer back; None if there are none.

    ``after`` follows the answer; "this is wrong" is about it within ``at_once`` characters, or
    after "wait" and the like.
    """
    if quiet(after, TAKING_BACK):
        return None
    last = -1
    for match in chain(_TAKEN_BACK.finditer(after), _CORRECTED.finditer(after)):
        if match.end() > last and _start_of(after, match) is not None:
            last = match.end()
    for match in _AGAIN.finditer(after):
        end = max(match.end(), len(after) - LONGEST_END)
        if not _SAME.search(after, end) and _start_of(after, match) is not None:
            last = max(last, match.end())
    digit = next((at for at, char in enumerate(after) if char.isdigit()), len(after))
    of_another_from = max(after.find("?"), digit) if "?" in after else len(after)
    for match in _THIS_IS_WRONG.finditer(after):
        said = _start_of(after, match)
        of_another = of_another_from < match.start()
        if said is None or of_another:
            continue
        if match.start() <= at_once or _EXCLAIMED.search(said):
            last = max(last, match.end())
    return after[last:] if last >= 0 else None


def _start_of(text: str, match: re.Match[str]) -> str | None:
    """What is exclaimed between the start of its sentence and the match; None in mid-sentence."""
    before = text[max(0, match.start() - 80) : match.start()]
    if _EARLIER.search(before):
        return None
    found = _START.search("\n" + before if match.start() <= 80 else before)
    return None if found is None else found[0]
