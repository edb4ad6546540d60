"""What a number counts or measures: which words can be a unit, and how one unit becomes another.

Sizes are exact (SI brochure, 9th edition, tables 2 to 8; NIST SP 811, appendix B for inches, pounds
and gallons). A unit that is not in the table is a word, equal only to itself.
"""

import re
from collections.abc import Mapping
from fractions import Fraction


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Words that deny, in a few languages; beside them nothing is certain.
DENYING = _words(
    """not no never none nor cannot can't isn't aren't doesn't don't wrong incorrect false invalid
    fails fail failed rejected impossible excluded mistake nicht kein falsch non pas faux falso
    errado incorrecto incorreto mal"""
)
# Words that make the number another number, or a sentence about it: 3 dozen, 5 or 6, 2 more than x,
# 3 thirds, 5 is wrong.
CHANGING = DENYING | _words(
    """or and to than plus minus times over pi sqrt dozen dozens half halves
    hundred hundreds thousand thousands million billion trillion squared cubed mod modulo base
    choose either between through gross score scores brace trio trios quartet twins triplets
    fortnight grand ream factorial thirds third fourths quarter quarters fifth fifths sixths
    sevenths eighths ninths tenths hundredths thousandths pair pairs couple triple double twice
    power root remainder by divided multiplied if unless except but without instead error is are
    was were be does do did too almost nearly about around approximately roughly maybe perhaps
    possibly probably least most more less fewer greater smaller above below under
    halb halbe drittel viertel sechstel siebtel achtel neuntel zehntel hundertstel dutzend hundert
    tausend millionen milliarden tiers douzaine douzaines mille milliers milliard milliards mitad
    tercio tercios cuarto cuartos quinto quintos sexto sextos octavos novenos docena docenas cien
    cientos mil millones medios quartos terzi quarti quinti sesti dozzina milioni oder ou moins
    mehr weniger menos mais meno als que demi demis mitades quadrat hoch cuadrado fois mal vezes
    geteilt sauf paar paare paire paires par pares lakh lakhs crore crores mrd mio mio. myriads
    permille promille prozent elevenths twelfths hundredth
    squares"""
)
_METRIC = {"k": 3, "h": 2, "d": -1, "c": -2, "m": -3, "µ": -6, "n": -9, "M": 6, "G": 9}
_LONG = {"kilo": 3, "deci": -1, "centi": -2, "milli": -3, "micro": -6, "nano": -9, "mega": 6}
# dimension: the size of each unit in the first one
_SIZES: Mapping[str, Mapping[str, Fraction | int]] = {
    "length": {
        "m": 1, "meter": 1, "metre": 1, "inch": Fraction(254, 10_000), "in": Fraction(254, 10_000),
        "ft": Fraction(3048, 10_000), "foot": Fraction(3048, 10_000),
        "feet": Fraction(3048, 10_000),
        "yard": Fraction(9144, 10_000), "yd": Fraction(9144, 10_000),
        "mile": Fraction(1_609_344, 1000), "mi": Fraction(1_609_344, 1000),
        "米": 1, "厘米": Fraction(1, 100), "毫米": Fraction(1, 1000), "千米": 1000, "公里": 1000,
    },
    "time": {
        "s": 1, "sec": 1, "second": 1, "min": 60, "minute": 60, "h": 3600, "hr": 3600, "hour": 3600,
        "day": 86_400, "week": 604_800,
        "sekunde": 1, "sekunden": 1, "seconde": 1, "segundo": 1, "minuten": 60, "minuto": 60,
        "stunde": 3600, "stunden": 3600, "heure": 3600, "hora": 3600, "jour": 86_400,
        "秒": 1, "分钟": 60, "小时": 3600, "天": 86_400,
    },
    "months": {"month": 1, "year": 12, "decade": 120, "century": 1200, "centurie": 1200, "年": 12},
    "mass": {
        "g": 1, "gram": 1, "gramme": 1, "tonne": 10**6, "lb": Fraction("453.59237"),
        "pound": Fraction("453.59237"), "oz": Fraction("28.349523125"),
        "ounce": Fraction("28.349523125"), "克": 1, "千克": 1000, "公斤": 1000,
    },
    "volume": {"l": 1, "L": 1, "liter": 1, "litre": 1, "cc": Fraction(1, 1000)},
    "angle": {"°": 1, "degree": 1, "deg": 1, "度": 1},
    "radians": {"rad": 1, "radian": 1},
    "dollars": {
        "$": 1, "dollar": 1, "USD": 1, "usd": 1, "US": 1, "cent": Fraction(1, 100),
        "¢": Fraction(1, 100),
    },
    "euros": {"€": 1, "euro": 1, "EUR": 1}, "pounds": {"£": 1, "GBP": 1},
    "yen": {"¥": 1, "yen": 1, "円": 1}, "yuan": {"元": 1, "yuan": 1, "RMB": 1, "CNY": 1},
    "rupees": {"₹": 1, "Rs": 1, "rupee": 1, "INR": 1}, "roubles": {"₽": 1}, "won": {"원": 1},
    "power": {"W": 1, "watt": 1}, "energy": {"J": 1, "joule": 1}, "force": {"N": 1, "newton": 1},
    "voltage": {"V": 1, "volt": 1}, "current": {"A": 1, "ampere": 1, "amp": 1},
    "resistance": {"Ω": 1, "ohm": 1}, "frequency": {"Hz": 1, "hertz": 1},
    "charge": {"C": 1, "coulomb": 1}, "pressure": {"Pa": 1, "pascal": 1},
    "capacitance": {"F": 1, "farad": 1},
    "amount": {"mol": 1, "mole": 1}, "bytes": {"B": 1, "byte": 1, "bit": Fraction(1, 8)},
    "kelvin": {"K": 1, "kelvin": 1}, "celsius": {"°C": 1}, "fahrenheit": {"°F": 1},
    "units": {"unit": 1}, "percent": {"%": 1},
}  # fmt: skip
_PREFIXED = _words("m g l L W J N V A Ω Hz Pa mol s C F")
_LONG_PREFIXED = _words("meter metre gram gramme liter litre watt joule newton volt ampere second")
# Signs and words of other scripts that may follow a number at once.
_GLUED = re.compile(
    r"(?:€|£|¥|₹|₽|Ω|µ?m²|¢|[元个個米克秒度岁歳年月日天人只本次名张條条件块种支套组位双頁页点點时時分円원개명년월일번마리권]"
    r"|厘米|毫米|千米|公里|公斤|千克|小时|分钟|平方(?:厘|分|千)?米|立方(?:厘|分)?米|км|см|м|кг|г|руб|ч|мин)"
)
# A one-letter unit needs a space before it, because in 5m the letter may be a variable.
_LETTERS = frozenset("msgLlhNJWVAKCFTH")
_SHORT = _words(
    "cm mm km dm nm kg mg lb lbs oz ft in yd mi mph kph km/h m/s min hr hrs kWh ml mL cl dl am pm"
    " st nd rd th kN kJ kW kV Hz kHz MHz Pa kPa mol eV USD EUR GBP usd"
)
_WORD = re.compile(
    r"[A-Za-z$°Ωµ€£¥₹₽²³.'·&/()-]+(?:\^-?[0-9])?(?:[·/]?[A-Za-z]+(?:\^-?[0-9])?)*|\^-?[23]"
)
_FRACTION = re.compile(r"\\frac ?\{ ([^{}]{1,30}) \} ?\{ ([^{}]{1,30}) \}")  # of two texts
_PIECE = re.compile(r"([·*/ ]?)([^\W\d_]+|[°$€£¥₹₽¢%]C?F?)(?:\^?(-?[0-9²³]))?")


def unit(rest: str) -> str | None:
    """The unit that follows a number ("" if nothing does); None if it may be anything else.

    >>> unit(" cm^2"), unit(" apples left"), unit("x"), unit(" is wrong"), unit("")
    ('cm^2', 'apples left', None, None, '')
    """
    text = rest.strip()
    if not text:
        return ""
    if "\\" in text or "{" in text:
        text = _FRACTION.sub(r"\1/\2", text)
        text = text.replace(r"\cdot", "·").replace(r"\times", "·").replace(r"\Omega", "Ω")
        text = text.replace(r"\upmu ", "µ").replace(r"\mu ", "µ")
        text = text.replace("{", "").replace("}", "").strip()
        text = re.sub(r"(?<![A-Za-z])([kMGmn]|µ) Ω", r"\1Ω", text)
        text = re.sub(r"\s*([·*/^])\s*", r"\1", re.sub(r"\s+(?=\^)|(?<=°) (?=[CF])", "", text))
    if not text:
        return ""
    if text[0] in "(（" and _GLUED.fullmatch(text[1:-1]):
        text = text[1:-1]
    if text[0] in "°$" or _GLUED.fullmatch(text):
        return text if len(text) < 3 or _GLUED.fullmatch(text) else unit(text[1:]) and text
    text = text.replace(" ^", "^")
    words = text.split()
    if len(words) > 12 or not all(map(_WORD.fullmatch, words)):
        return None
    first = re.split(r"[\^·/]", words[0])[0].rstrip(".")
    spaced = rest[:1] in " ^"
    short = first in _SHORT or (spaced and (first in _LETTERS or first in ("Ω", "°")))
    if not short and (not spaced or sum(map(str.isalpha, first)) < 2):
        return None
    if "^" in text and not known(text):
        return None
    changed = any(word.lower().strip(".()'") in CHANGING for word in words)
    return None if changed and words[0] != "in" else text


def convert(value: Fraction, ours: str, theirs: str) -> Fraction | None:
    """The value in ``theirs``; None if the two units do not measure the same, as far as we know.

    >>> convert(Fraction(5), "km", "m"), convert(Fraction(5), "km", "kg")
    (Fraction(5000, 1), None)
    """
    if ours == theirs:
        return value
    left, right = _measure(ours), _measure(theirs)
    if left is None or right is None or left[0] != right[0]:
        return None
    return value * left[1] / right[1]


def known(name: str) -> bool:
    """Whether it is a unit of the table, or made of such units."""
    return _measure(name) is not None


def scales(value: Fraction, other: Fraction, name: str) -> bool:
    """Whether one value in this unit may be the other in another unit: 2 minutes and 120."""
    measured = _measure(name)
    if measured is None or not other or len(measured[0]) > 2:
        return False
    factors = {measured[1]}
    for dimension, power in measured[0]:
        sizes = {_size(dimension, one) for one in _SIZES[dimension]}
        sizes |= {Fraction(10) ** n for n in _METRIC.values()} if len(sizes) > 2 else set()
        factors = {factor / size**power for factor in factors for size in sizes}
    return value != other and value / other in {1 / factor for factor in factors}


def _size(dimension: str, name: str) -> Fraction:
    return Fraction(_SIZES[dimension][name])


Measured = tuple[frozenset[tuple[str, int]], Fraction]


def _measure(name: str) -> Measured | None:
    """(the powers of what it measures, its size)."""
    name = re.sub(r"\b(?:square|sq\.?) ([a-zA-Z]+)", r"\1^2", name)
    name = re.sub(r"\bcubic ([a-zA-Z]+)", r"\1^3", name).replace(" per ", "/").replace("° ", "°")
    name = re.sub(r"\bmph\b", "mile/h", re.sub(r"\b(?:kph|kmh)\b", "km/h", name))
    powers: dict[str, int] = {}
    size, end = Fraction(1), 0
    for match in _PIECE.finditer(name.strip().rstrip(".")):
        found = _single(match[2])
        if match.start() != end or found is None:
            return None
        power = int((match[3] or "1").translate({0xB2: "2", 0xB3: "3"}))
        power = -power if match[1] == "/" else power
        powers[found[0]] = powers.get(found[0], 0) + power
        size, end = size * found[1] ** power, match.end()
    if end == 0 or end != len(name.strip().rstrip(".")):
        return None
    return frozenset((one, power) for one, power in powers.items() if power), size


def _single(word: str) -> tuple[str, Fraction] | None:
    for name in (word, word.lower(), word.removesuffix("s"), word.lower().removesuffix("s"),
                 word.lower().removesuffix("es")):  # fmt: skip
        for dimension, sizes in _SIZES.items():
            if sizes.get(name):
                return dimension, _size(dimension, name)
        for prefix, power in _METRIC.items():
            if name.startswith(prefix) and name[len(prefix) :] in _PREFIXED:
                found = _single(name[len(prefix) :])
                return found and (found[0], found[1] * Fraction(10) ** power)
        for prefix, power in _LONG.items():
            if name.startswith(prefix) and name[len(prefix) :] in _LONG_PREFIXED:
                found = _single(name[len(prefix) :])
                return found and (found[0], found[1] * Fraction(10) ** power)
    return None


def alike(ours: str, theirs: str) -> bool:
    """Whether two unknown units are the same word: 10 pages, 10 pages left, 1 page."""
    left, right = (re.split(r"[ (]", one.lower().strip("(."))[0] for one in (ours, theirs))
    return left.removesuffix("s") == right.removesuffix("s")
