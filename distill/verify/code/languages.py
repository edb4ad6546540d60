"""Languages other than Python: how their programs are recognised, compiled and started."""

import re
from dataclasses import dataclass
from pathlib import Path

from distill.jail.inside.build import PROGRAM
from distill.jail.mounts import Mounts
from distill.jail.program import Build
from distill.jail.tools import compiler_mounts, runtime_mounts, tool

# Runs the JavaScript of descriptor 3 as the main module, because ``node FILE`` needs a name.
_NODE = """
const {readFileSync} = require("fs"), text = readFileSync(3, "utf8");
const main = new module.constructor("solution.js");
main.paths = [];
process.mainModule = main;
const no = /^(Cannot use (import|'import.meta)|Unexpected token 'export'|await is only)/;
try {
  main._compile(text, "solution.js");
} catch (error) {
  const later = error.code === "ERR_REQUIRE_ASYNC_MODULE";
  if (!later && !(error instanceof SyntaxError && no.test(error.message))) throw error;
  const url = text.replaceAll("import.meta.url", '"file:///tmp/solution.mjs"');
  import("data:text/javascript;base64," + Buffer.from(url).toString("base64"));
}
"""
# No files, which would be left behind; few threads even on a machine of many cores.
_NO_FILES = ("-XX:-UsePerfData", "-XX:+UseSerialGC", "-XX:ActiveProcessorCount=2")


@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    """One language; ``compile`` and ``run`` use {tool}, {linker}, {main} and {program}."""

    name: str
    marks: tuple[str, ...]  # of fenced blocks, without the version at their end
    tools: tuple[str, ...]  # any of these compiles it, or runs it if there is no ``compile``
    package: str  # of Debian
    file: str  # {main}: Java's class
    compile: tuple[tuple[str, ...], ...] = ()  # tried in turn; none: the source is run as it is
    run: tuple[str, ...] = ("{program}",)
    made: str = "made"
    whole: tuple[re.Pattern[str], ...]  # a complete program matches all of these
    unmarked: re.Pattern[str] | None = None  # matches only this language
    # What a compiler or a program prints if a library is missing, or the compiler is too old.
    missing: re.Pattern[str]


_C_MISSING = re.compile(
    r"fatal error: \S+ (No such file|file not found)|unrecognized .*-std="
    r"|undefined reference to .(omp_|GOMP_|__atomic_)"
    # from C++20 and C++23, missing in libraries of 2022
    r"|.(zip\w*|enumerate|chunk\w*|slide|stride|to|fold_\w+|print|println|format|expected|flat_\w+"
    r"|mdspan|cartesian_product|contains|byteswap|generator). is not a member of .std"
)
_C = ("-DONLINE_JUDGE", "-O2", "-w", "-pipe", "-fno-diagnostics-color", "-o", "made")
LANGUAGES = (
    Language(
        name="cpp",
        marks=("cpp", "c++", "cc", "cxx", "g++"),
        tools=("g++", "clang++"),
        package="g++",
        file="main.cpp",
        compile=tuple(
            ("{tool}", f"-std=gnu++{year}", *_C, "main.cpp") for year in ("20", "2b", "17", "11")
        ),
        whole=(re.compile(r"#\s*include"), re.compile(r"\bmain\s*\(")),
        unmarked=re.compile(r"#\s*include\s*<(bits/stdc\+\+\.h|[a-z_]+)>"),
        missing=_C_MISSING,
    ),
    Language(
        name="c",
        marks=("c", "gcc"),
        tools=("gcc", "clang"),
        package="gcc",
        file="main.c",
        compile=(("{tool}", "-std=gnu17", *_C, "main.c", "-lm"),),
        whole=(re.compile(r"#\s*include"), re.compile(r"\bmain\s*\(")),
        unmarked=re.compile(r"#\s*include\s*<std(io|lib)\.h>"),
        missing=_C_MISSING,
    ),
    Language(
        name="rust",
        marks=("rust", "rs"),
        tools=("rustc",),
        package="rustc",
        file="main.rs",
        compile=(
            (
                *("{tool}", "--edition=2021", "-O", "-Awarnings", "-Cstrip=symbols"),
                *("-Clinker={linker}", "-o", "made", "main.rs"),
            ),
        ),
        whole=(re.compile(r"\bfn\s+main\s*\("),),
        unmarked=re.compile(r"\bfn\s+main\s*\(\s*\)"),
        # unknown crates and imports; features and methods of another year
        missing=re.compile(r"error\[E0(432|433|463|599|658)\]"),
    ),
    Language(
        name="go",
        marks=("go", "golang"),
        tools=("go",),
        package="golang-go",
        file="main.go",
        compile=(("{tool}", "build", "-ldflags=-s -w", "-o", "made", "main.go"),),
        whole=(re.compile(r"\bpackage\s+main\b"), re.compile(r"\bfunc\s+main\s*\(")),
        unmarked=re.compile(r"^package\s+main\s*$", re.MULTILINE),
        missing=re.compile(
            r"is not in (GOROOT|std)|cannot find package|no required module|requires go1"
            r"|undefined: (min|max|clear|\w+\.\w+)\b|cannot range over"
        ),
    ),
    Language(
        name="java",
        marks=("java",),
        tools=("javac",),
        package="default-jdk-headless",
        file="{main}.java",
        compile=(
            (
                *("{tool}", *(f"-J{one}" for one in _NO_FILES), "-J-XX:TieredStopAtLevel=1"),
                *("-proc:none", "-nowarn", "-encoding", "UTF-8", "-d", "made", "{main}.java"),
            ),
        ),
        run=("{java}", *_NO_FILES, "-Xss64m", "-Xmx768m", "-cp", "{program}", "{class}"),
        whole=(re.compile(r"\bclass\b|\binterface\b"), re.compile(r"\bmain\s*\(")),
        unmarked=re.compile(r"\bpublic\s+static\s+void\s+main\s*\("),
        missing=re.compile(
            r"package \S+ does not exist|not supported in -source|-preview to"
            r"|symbol:\s+method (getFirst|getLast|removeFirst|removeLast|reversed|clamp)\("
        ),
    ),
    Language(
        name="javascript",
        marks=("javascript", "js", "node", "nodejs"),
        tools=("node",),
        package="nodejs",
        file="solution.js",
        run=("{tool}", "--stack-size=60000", "-e", _NODE),
        whole=(re.compile(r"readFileSync|readSync|process\s*\.\s*stdin|\breadline\b"),),
        missing=re.compile(r"Cannot find (module|package)"),
    ),
)
PYTHON = ("python", "py", "ipython", "jupyter", "pypy", "cython")
LONGEST_MARK = 40  # characters of a mark that are read
_VERSION = re.compile(r"[-\s]?[0-9.]+\Z")
_BY_MARK = {mark: one for one in LANGUAGES for mark in one.marks}


def of_mark(mark: str) -> str:
    """``python`` or a language's name, from the mark of a block or problem; else ``""``.

    >>> of_mark("C++17"), of_mark("py3"), of_mark("text")
    ('cpp', 'python', '')
    """
    plain = _VERSION.sub("", mark.strip().lower()[:LONGEST_MARK])
    if plain in PYTHON:
        return "python"
    found = _BY_MARK.get(plain)
    return found.name if found else ""


def of_source(source: str) -> str:
    """The language of a source that is unmarked and not Python; else ``""``."""
    found = (one for one in LANGUAGES if one.unmarked and one.unmarked.search(source))
    return next((one.name for one in found), "")


def named(name: str) -> Language:
    """The language of that name, which must be in the table."""
    return next(one for one in LANGUAGES if one.name == name)


@dataclass(frozen=True, slots=True)
class Toolchain:
    """A language on this machine."""

    language: Language
    tool: Path
    helper: Path | None  # what links, or what runs what was compiled

    @property
    def compiler_mounts(self) -> Mounts:
        """The jail that its compiler needs."""
        return compiler_mounts(*(path for path in (self.tool, self.helper) if path))

    @property
    def runtime_mounts(self) -> Mounts:
        """The jail that its programs need."""
        if self.language.compile and self.language.name != "java":
            return Mounts()
        return runtime_mounts(self.tool)

    def builds(self, source: str) -> list[Build]:
        """The ways to compile it."""
        one = self.language
        words = self._words(source)
        file = one.file.format_map(words)
        return [
            Build(source, file, one.made, tuple(word.format_map(words) for word in command))
            for command in one.compile
        ]

    def command(self, source: str) -> tuple[str, ...]:
        """The command that runs the compiled program, or the source itself."""
        words = self._words(source)
        return tuple(
            word if word is _NODE else word.format_map(words) for word in self.language.run
        )

    def _words(self, source: str) -> dict[str, str]:
        names = java_names(source) if self.language.name == "java" else JavaNames("", "")
        return {
            "tool": str(self.tool),
            "linker": str(self.helper),
            "java": str(self.helper),
            "program": PROGRAM,
            "main": names.file,
            "class": names.main,
        }


def toolchain(language: Language) -> Toolchain | None:
    """The language's tools on this machine; None if an unprivileged user cannot start them."""
    found = tool(*language.tools)
    if found is None:
        return None
    if language.name == "rust":
        linker = tool("gcc", "clang")
        return Toolchain(language, found, linker) if linker else None
    if language.name == "java":
        return Toolchain(language, found, found.parent / "java")
    return Toolchain(language, found, None)


# An unclosed one matches up to the end, which keeps the time linear in the length.
_NO_CODE = re.compile(
    r"//[^\n]*|/\*.*?(?:\*/|\Z)|\"\"\".*?(?:\"\"\"|\Z)"
    r"|\"(?:\\.|[^\"\\\n])*\"?|'(?:\\.|[^'\\\n])*'?",
    re.DOTALL,
)
_TOKEN = re.compile(r"[{};]|\b(?:class|enum|record|interface)\s+(\w+)|\bvoid\s+main\s*\(")
_PACKAGE = re.compile(r"^\s*package\s+([\w.]+)\s*;")


@dataclass(frozen=True, slots=True)
class JavaNames:
    """The names that javac and java need."""

    file: str  # the outermost public class, after which the file must be named
    main: str  # the class with the main method, with its package


def java_names(source: str) -> JavaNames:
    """``Main`` if no class is found; a static main method goes before one that is not static."""
    code = _NO_CODE.sub(" ", source)
    package = _PACKAGE.match(code)
    depth, start, outer = 0, 0, "Main"
    public, mains = "", dict[bool, str]()
    for token in _TOKEN.finditer(code):
        before = code[max(start, token.start() - 200) : token.start()].split()
        if token[0] in "{};":
            depth += {"{": 1, "}": -1, ";": 0}[token[0]]
            start = token.end()
        elif token[1] and depth == 0:
            outer = token[1]
            public = public or (outer if "public" in before else "")
        elif not token[1]:
            mains.setdefault("static" in before, outer)
    main = mains.get(True) or mains.get(False) or outer
    return JavaNames(public or main, f"{package[1]}.{main}" if package else main)
