"""What is asked in a benchmark: the questions, the recipe, and the request that both make.

Asks nothing. The two sides send the same JSON; a test holds them to it.
"""

import json
from pathlib import Path
from typing import Any

# As long as a GSM8K question is at the median (230 characters). The number between the signs is
# what the stub teacher counts by.
QUESTION = (
    "#ID={n}# A farmer sells {n} boxes of apples on Monday and half as many on Tuesday. Each box "
    "holds 24 apples, and every apple is sold for 15 cents. After paying 120 dollars for the van, "
    "how much money, in dollars, is left of both days together?"
)
SAMPLING = {"temperature": 0.6, "top_p": 0.95, "max_tokens": 4096}
PRICE = {"input": 0.5, "output": 2.0}


def body(n: int) -> dict[str, Any]:
    """The chat request for question ``n``."""
    turns = [{"role": "user", "content": QUESTION.format(n=n)}]
    return {"model": "stub", "messages": turns, **SAMPLING}


def write_recipe(folder: Path, *, url: str, numbers: range, concurrency: int) -> Path:
    """Writes a prompts recipe and its problems to ``folder``; returns the recipe's path."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "problems.jsonl").open("w", encoding="utf-8") as lines:
        for n in numbers:
            lines.write(json.dumps({"question": QUESTION.format(n=n)}) + "\n")
    (folder / "plain.jinja").write_text("{{ question }}", encoding="utf-8")
    recipe = {
        "problems": {"file": "problems.jsonl"},
        "verify": None,
        "template": "plain.jinja",
        "teacher": {"model": "stub", "base_url": url, "concurrency": concurrency, "price": PRICE},
        "sampling": SAMPLING,
        "samples": 1,
    }
    path = folder / "recipe.yaml"
    path.write_text(json.dumps(recipe), encoding="utf-8")  # JSON is YAML
    return path
