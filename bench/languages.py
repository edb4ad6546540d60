"""distill's check of programs in other languages against a bare compiler and process, in one run.

    python -m bench.languages            seconds for each program, its compiler included

Each program adds two numbers, is compiled once and run with every input. The other side compiles
and runs the same with the same options as you would by hand: it is no jail, and takes what a
program wrote for right as it stands. Languages that are not installed are left out.
"""

import argparse
import json
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench.machine import header
from bench.table import table
from distill.jail.inside.build import PROGRAM
from distill.verify.code import check_all
from distill.verify.code.languages import LANGUAGES, Toolchain, toolchain

PROGRAMS = {
    "cpp": "#include <bits/stdc++.h>\nusing namespace std;\nint main() { long long a, b;"
    " cin >> a >> b; cout << a + b << endl; }",
    "c": '#include <stdio.h>\nint main(void) { long long a, b; scanf("%lld %lld", &a, &b);'
    ' printf("%lld\\n", a + b); return 0; }',
    "rust": "fn main() { let mut s = String::new(); std::io::stdin().read_line(&mut s).unwrap();"
    " let v: Vec<i64> = s.split_whitespace().map(|x| x.parse().unwrap()).collect();"
    ' println!("{}", v[0] + v[1]); }',
    "go": 'package main\nimport "fmt"\nfunc main() { var a, b int64; fmt.Scan(&a, &b);'
    " fmt.Println(a + b) }",
    "java": "import java.util.*;\npublic class Main { public static void main(String[] x) {"
    " Scanner s = new Scanner(System.in); System.out.println(s.nextLong() + s.nextLong()); } }",
    "javascript": "const [a, b] = require('fs').readFileSync(0, 'utf8').split(' ').map(Number);\n"
    "console.log(a + b);",
}
Cases = list[tuple[str, str]]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--inputs", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    cases = [(f"{n} {n * n}\n", f"{n + n * n}\n") for n in range(1, options.inputs + 1)]
    print(header(Path.cwd()), end=f"\ninputs    {options.inputs}, the best of rounds\n\n")
    rows = []
    for language in LANGUAGES:
        tools = toolchain(language)
        if tools is not None:
            bare, ours = _bare(tools, cases), _ours(language.name, cases)
            took = [_best(side, options.rounds) for side in (bare, ours)]
            rows.append([language.name, *(f"{one:.2f}" for one in took)])
    print(table(["language", "bare, no jail, s", "distill, s"], rows))


def _best(side: Callable[[], bool], rounds: int) -> float:
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        assert side()
        times.append(time.perf_counter() - began)
    return min(times)


def _ours(name: str, cases: Cases) -> Callable[[], bool]:
    gold = json.dumps({"inputs": [a for a, _ in cases], "outputs": [b for _, b in cases]})
    items = [(gold, f"```{name}\n{PROGRAMS[name]}\n```")]
    return lambda: check_all(items)[0].label == "correct"


def _bare(tools: Toolchain, cases: Cases) -> Callable[[], bool]:
    source = PROGRAMS[tools.language.name]

    def side() -> bool:
        with tempfile.TemporaryDirectory() as folder:
            command = [word.replace(PROGRAM, f"{folder}/made") for word in tools.command(source)]
            if not tools.language.compile:
                Path(folder, "made").write_text(source)
                command = [str(tools.tool), f"{folder}/made"]
            for build in tools.builds(source)[:1]:
                Path(folder, build.file).write_text(source)
                subprocess.run(build.command, cwd=folder, check=True, capture_output=True)
            return all(_writes(command, given) == wanted for given, wanted in cases)

    return side


def _writes(command: list[str], given: str) -> str:
    return subprocess.run(command, input=given, capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    main()
