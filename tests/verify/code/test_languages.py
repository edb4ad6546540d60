"""Programs in other languages than Python: found, compiled, run in jails and judged."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from distill.errors import UserError
from distill.jail.mounts import PLAIN
from distill.verify import Isolation, Verdict
from distill.verify.code import check_all, compiled, own_answer
from distill.verify.code.fences import blocks
from distill.verify.code.languages import LANGUAGES, java_names, named, of_mark, toolchain
from distill.verify.code.response import script
from distill.verify.workers.threads import PROGRAM_THREADS
from tests.builders.jails import needs_jail

CASES = [{"in": f"{a} {b}\n", "out": f"{a + b}\n"} for a, b in ((1, 2), (40, 2), (10**9, 10**9))]
SUM = json.dumps({"kind": "stdin", "cases": CASES})
CPP = """#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <iostream>
#include <new>
#include <string>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <vector>
using namespace std;
long long a, b;
int main() { cin >> a >> b; @ }
"""
RIGHT = {
    "cpp": CPP.replace("@", "cout << a + b << endl;"),
    "c": "#include <stdio.h>\nint main() {\n  long long a, b;\n"
    '  scanf("%lld %lld", &a, &b);\n  printf("%lld\\n", a + b);\n  return 0;\n}',
    "rust": "use std::io::*;\nfn main() {\n    let mut s = String::new();\n"
    "    stdin().read_to_string(&mut s).unwrap();\n    let v: Vec<i64> = s.split_whitespace()"
    ".map(|x| x.parse().unwrap()).collect();\n    let (a, b) = (v[0], v[1]);\n"
    '    println!("{}", a + b);\n}',
    "go": 'package main\n\nimport "fmt"\n\nfunc main() {\n\tvar a, b int64\n'
    "\tfmt.Scan(&a, &b)\n\tfmt.Println(a + b)\n}",
    "java": "import java.util.*;\n\nclass Pair { }\n\npublic class Adder {\n"
    "    public static void main(String[] args) {\n        Scanner in = new Scanner(System.in);\n"
    "        long a = in.nextLong(), b = in.nextLong();\n        System.out.println(a + b);\n"
    "    }\n}",
    "javascript": "const fs = require('fs');\n"
    "const [a, b] = fs.readFileSync(0, 'utf8').split(/\\s+/).map(Number);\n"
    "if (require.main === module) console.log(a + b);",
}


@pytest.fixture(scope="module", autouse=True)
def _no_jail_stays() -> Iterator[None]:
    yield
    PROGRAM_THREADS.close()


def says(name: str, source: str, gold: str = SUM, **options: Any) -> Verdict:
    if toolchain(named(name)) is None:
        pytest.skip(f"no toolchain: apt-get install {named(name).package}")
    return check_all([(gold, f"So:\n\n```{name}\n{source}\n```\n")], **options)[0]


@needs_jail
@pytest.mark.parametrize(
    "how", [Isolation(), Isolation(paranoid=True), Isolation(unsafe_no_sandbox=True)], ids=str
)
@pytest.mark.parametrize("name", RIGHT)
def test_right_programs_are_told_from_wrong_ones_in_every_language(
    name: str, how: Isolation
) -> None:
    source = RIGHT[name]
    right = says(name, source, isolation=how)
    found = (right.label, right.method, right.answer)
    assert found == ("correct", "tests", f"{source}\n"), right.detail
    assert right.detail.endswith(f"block: {name}")
    wrong = says(name, source.replace("a + b", "a - b"), isolation=how)
    assert (wrong.label, wrong.method) == ("wrong", "output"), wrong.detail
    broken = says(name, source + "\n@@@", isolation=how)
    assert (broken.label, broken.method) == (
        "wrong", "died" if name == "javascript" else "compile_error",
    )  # fmt: skip


@needs_jail
@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("cpp", "#include <boost/any.hpp>\nint main() {}"),
        ("rust", "use rand::Rng;\nfn main() {}"),
        ("go", 'package main\n\nimport "github.com/a/b"\n\nfunc main() { b.C() }'),
        ("go", 'package main\n\nimport "strings"\n\nfunc main() { strings.NoSuchYet("a") }'),
        ("cpp", "#include <vector>\nint main() { return std::byteswap(1); }"),
        ("java", "import org.apache.commons.lang3.*;\nclass A { void main() {} }"),
        ("javascript", "const _ = require('lodash');\nconsole.log(3);"),
    ],
)
def test_a_library_that_is_not_there_makes_nothing_wrong(name: str, source: str) -> None:
    verdict = says(name, source)
    assert (verdict.label, verdict.method) == ("unverifiable", "missing_module")


HOSTILE = [
    ("while (1) { char *p = new char[1 << 20]; memset(p, 1, 1 << 20); }", "timeout", "memory"),
    ("vector<long long> v(1LL << 40); cout << v[7];", "timeout", "memory"),
    ("while (1) fork();", "timeout", "killed"),
    ("for (volatile int x = 1; x;) ;", "timeout", "killed"),
    ("sleep(1000);", "timeout", "killed"),
    ("while (1) puts(\"flood\");", "wrong", "flooded"),
    ("while (1) cerr << string(1 << 16, 120);", "wrong", "flooded"),
    ("for (int i = 0;; i++) close(open((\"/tmp/\" + to_string(i)).c_str(), O_CREAT, 0600));",
     "wrong", "flooded"),
    ("*(volatile int *)0 = 1;", "wrong", "died"),
    ("cout << a + b << endl; return 3;", "wrong", "died"),
    ("throw 1;", "wrong", "died"),
    ("cout << (socket(AF_INET, SOCK_STREAM, 0) < 0 ? -1 : a + b) << endl;", "wrong", "output"),
    ("cout << (open(\"/etc/passwd\", O_RDONLY) < 0 ? -1 : a + b) << endl;", "wrong", "output"),
    ("cout << (open(\"/usr/x\", O_CREAT | O_WRONLY, 0600) < 0 ? -1 : a + b) << endl;",
     "wrong", "output"),
    ("cout << (ptrace(PTRACE_ATTACH, 1, 0, 0) < 0 ? -1 : a + b) << endl;", "wrong", "output"),
    ("kill(-1, 9); kill(1, 9); kill(getppid(), 9); cout << a + b << endl;", "correct", "tests"),
    ("cout << a + b << endl; if (!fork()) { setsid(); sleep(1000); }", "correct", "tests"),
    ("for (int fd = 0; fd < 99; fd++) write(fd, \"garbage\", 7); cout << a + b << endl;",
     "wrong", "output"),
]  # fmt: skip


def unspoiled() -> bool:
    """Whether an honest program, quick to compile, passes in the jails of the one before."""
    return says("cpp", RIGHT["c"]).label == "correct"


@needs_jail
@pytest.mark.parametrize(("body", "label", "method"), HOSTILE)
def test_a_hostile_program_gets_nothing_and_spoils_nothing(
    body: str, label: str, method: str
) -> None:
    source = "#include <csignal>\n" + CPP.replace("@", body)
    # Only what never ends by itself has to wait; a busy machine may be slow to fill a memory.
    verdict = says("cpp", source, timeout_s=4 if method == "killed" else 60)
    assert (verdict.label, verdict.method) == (label, method), verdict.detail
    assert unspoiled()


@needs_jail
@pytest.mark.parametrize(
    "source",
    [
        '#include "/etc/passwd"\nint main() {}',
        '#include "/dev/zero"\nint main() {}',
        'asm(".incbin \\"/etc/passwd\\"");\nint main() {}',
        "int a[1 << 28] = {1};\nint main() { return a[1]; }",
        "template <int N> struct F { typename F<N + 1>::T x; };\nF<0> f;\nint main() {}",
        '#include "main.cpp"\nint main() {}',
    ],
)
def test_a_source_that_attacks_its_compiler_is_no_error(source: str) -> None:
    assert says("cpp", source).label in ("wrong", "unverifiable", "timeout")
    assert unspoiled()


@needs_jail
@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("java", "class A { static int f(int n) { return n == 0 ? 0 : f(n - 1) + 1; }\n"
         "  public static void main(String[] x) { java.util.Scanner s ="
         " new java.util.Scanner(System.in);\n"
         "    System.out.println(s.nextLong() + s.nextLong() + f(100000) - 100000); } }"),
        ("java", "package a.b;\n/* class Z { void main( } */ interface I { }\n"
         "record P(long a, long b) { }\npublic class A {\n"
         "  public static void main(String... x) throws Exception {\n    var r = new"
         " java.io.BufferedReader(new java.io.InputStreamReader(System.in));\n"
         "    var w = r.readLine().split(\" \");\n"
         "    var p = new P(Long.parseLong(w[0]), Long.parseLong(w[1]));\n"
         "    System.out.println(p.a() + p.b()); } }"),
        ("cpp", "#include <iostream>\nlong long f(int n) { volatile char c[100]; c[0] = 1;"
         " return n ? f(n - 1) + c[0] : 0; }\nint main() { long long a, b; std::cin >> a >> b;\n"
         "  std::cout << a + b + f(1000000) - 1000000 << '\\n'; }"),
        ("cpp", "#include <bits/stdc++.h>\nstatic int big[50000000];\nint main() {"
         " long long a, b; std::cin >> a >> b; big[49999999] = 1;\n std::cout << a + b; }\r\n"),
        (
            "javascript",
            "let s = '';\nfor await (const part of process.stdin) s += part;\n"
            "console.log(s.split(' ').map(Number).reduce((a, b) => a + b));",
        ),
        (
            "javascript",
            "/*\nimport the numbers\n*/\nlet [a, b] = require('fs').readFileSync(0, 'utf8')"
            ".split(' ').map(Number);\nif (require.main === module) console.log(a + b);",
        ),
        (
            "java",
            "public class Solution { long add(long a, long b) { return a + b; } }\n"
            "class Main { public static void main(String[] x) { var s ="
            " new java.util.Scanner(System.in);\n  System.out.println("
            "new Solution().add(s.nextLong(), s.nextLong())); } }",
        ),
        (
            "cpp",
            "#include <cstdio>\nint main() {\n#ifndef ONLINE_JUDGE\n"
            '  freopen("input.txt", "r", stdin);\n#endif\n'
            '  long long a, b; char s[99]; gets(s); sscanf(s, "%lld %lld", &a, &b);\n'
            '  printf("%lld", a + b); }',
        ),
        ("javascript", "import fs from 'fs';\nconst [a, b] = fs.readFileSync('/dev/stdin', 'utf8')"
         ".split(' ').map(Number);\nconsole.log(a + b);"),
        ("javascript", "let s = '';\nprocess.stdin.on('data', d => s += d).on('end', () =>"
         " console.log(s.split(' ').map(Number).reduce((a, b) => a + b)));"),
        ("javascript", "const rl = require('readline').createInterface({input: process.stdin});\n"
         "rl.on('line', s => console.log(s.split(' ').map(Number).reduce((a, b) => a + b)));"),
        ("rust", "use std::thread;\nfn main() { let mut s = String::new();"
         " std::io::stdin().read_line(&mut s).unwrap();\n let v: Vec<i64> = s.trim().split(' ')"
         ".map(|x| x.parse().unwrap()).collect();\n let t = thread::Builder::new()"
         ".stack_size(1 << 28).spawn(move || v[0] + v[1]).unwrap();\n"
         " println!(\"{}\", t.join().unwrap()); }"),
    ],
)  # fmt: skip
def test_what_honest_programs_do_works(name: str, source: str) -> None:
    verdict = says(name, source)
    assert verdict.label == "correct", verdict.detail


@needs_jail
def test_megabytes_pass_in_both_directions() -> None:
    text = "x" * 99 + "\n"
    gold = json.dumps({"kind": "stdin", "cases": [{"in": text * 80_000, "out": text * 80_000}]})
    source = "#include <cstdio>\nint main() { int c; while ((c = getchar()) != EOF) putchar(c); }"
    assert says("cpp", source, gold).label == "correct"


def test_without_its_compiler_a_program_is_unverifiable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "toolchain", lambda _: None)
    verdict = check_all([(SUM, f"```cpp\n{RIGHT['cpp']}\n```")], isolation=Isolation())[0]
    assert (verdict.label, verdict.method) == ("unverifiable", "no_compiler")
    assert verdict.detail == "cpp: apt-get install g++"


@needs_jail
def test_a_jail_that_does_not_hold_is_our_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def weak(*_: object) -> None:
        raise UserError("it reads a file")

    monkeypatch.setattr(compiled, "prove", weak)
    verdict = says("cpp", RIGHT["cpp"])
    assert (verdict.label, verdict.method, verdict.detail) == (
        "error", "jail_failed", "it reads a file",
    )  # fmt: skip


def test_built_programs_run_where_no_compiler_is() -> None:
    found = toolchain(named("cpp"))
    if found is None:
        pytest.skip("no toolchain: apt-get install g++")
    assert found.runtime_mounts == PLAIN
    assert "/usr/bin" in found.compiler_mounts.folders


# --- which program, in which language ---

PY = "```python\na, b = map(int, input().split())\nprint(a + b)\n```\n"
HELPER = "```python\ndef add(a, b):\n    return a + b\n```\n"
CPP_BLOCK = f"```cpp\n{RIGHT['cpp']}```\n"
PIECE = "```cpp\nlong long x = 1LL * a * b;\n```\n"


@pytest.mark.parametrize(
    ("response", "language"),
    [
        (PY, "python"),
        (CPP_BLOCK, "cpp"),
        (CPP_BLOCK.replace("cpp", "C++17"), "cpp"),
        (CPP_BLOCK.replace("```cpp", "```"), "cpp"),
        (HELPER + CPP_BLOCK, "cpp"),
        (PY + "The same in C++:\n" + CPP_BLOCK, "cpp"),
        (CPP_BLOCK + PY, "python"),
        (PY + PIECE, "python"),
        (CPP_BLOCK + HELPER, "cpp"),
        (CPP_BLOCK + "The key part:\n```cpp\nint main() { cin >> a >> b; }\n```\n", "cpp"),
        ("```text\nint main() {}\n```\n", None),
        ("```kotlin\nfun main() {}\n```\n", None),
        (f"```java\n{RIGHT['java']}\n```\n```\n3 4\n```\n", "java"),
    ],
)
def test_the_program_is_the_last_that_runs_by_itself(response: str, language: str | None) -> None:
    found = script(response)
    assert (found.language if found else None) == language
    if found and language == "cpp":
        assert "#include" in found.source


def test_a_reference_may_say_the_language() -> None:
    both = PY + CPP_BLOCK
    assert getattr(script(both, language="python"), "language", "") == "python"
    assert getattr(script(CPP_BLOCK + PY, language="cpp"), "language", "") == "cpp"
    assert script(PY, language="cpp") is None


@needs_jail
def test_a_reference_in_another_language_is_tried_in_it() -> None:
    if toolchain(named("cpp")) is None:
        pytest.skip("no toolchain: apt-get install g++")
    for said in ({}, {"language": "C++20"}):
        gold = json.dumps({"cases": CASES, "solution": RIGHT["cpp"], **said})
        response = own_answer(gold)
        assert isinstance(response, str)
        assert check_all([(gold, response)])[0].label == "correct"


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("public class A { public static void main(String[] a) {} }", ("A", "A")),
        ("class P { } class Q { static class R { } static void main(", ("Q", "Q")),
        ('class A { String s = "class B { void main("; } class C { void main(', ("C", "C")),
        ("package x.y; enum E { } class F { void main(", ("F", "x.y.F")),
        ("public class S { int f; } class M { static public void main(", ("S", "M")),
        ("class T { void main() { } } class M { public static void main(", ("M", "M")),
        ("", ("Main", "Main")),
    ],
)
def test_the_classes_of_a_java_program_are_found(source: str, found: tuple[str, str]) -> None:
    names = java_names(source)
    assert (names.file, names.main) == found


def test_no_two_languages_share_a_mark() -> None:
    marks = [mark for one in LANGUAGES for mark in one.marks]
    assert len(marks) == len(set(marks))
    assert [of_mark(mark) for mark in ("Python3", "c++14", "JS", "java 17", "", "json")] == [
        "python", "cpp", "javascript", "java", "", "",
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["/*", "void ", "class  ", '"\\', "'", "//", '/*"', '"""\\'])
def test_a_long_source_is_read_in_linear_time(text: str) -> None:
    """Quadratic, these would take minutes: the test would be ended."""
    names = java_names(text * 50_000)
    name = "class" if text.startswith("class") else "Main"  # no word is forbidden as a name here
    assert (names.file, names.main) == (name, name)
    assert list(blocks("~" * 100_000 + "`")) == []
    assert list(blocks("```" + "1" * 100_000 + "x\nfoo\n```")) == []
