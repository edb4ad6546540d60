"""Made what lies beside this file; see README.md. Run it with that version only."""

import argparse
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.builders.teacher_server import completion, refusal, teacher_server

HERE = Path(__file__).parent
RECIPES = ("prompts.yaml", "bench.yaml", "filters.yaml", "student.yaml", "plain.jinja")
PORT = 8731  # the recipe's
CHAT = (
    "{% for turn in messages %}<|start|>{{ turn.role }}\n{{ turn.content }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant\n{% endif %}"
)
COUNT = 12
WRONG, SECOND, REFUSED, CUT, DOWN = 1, 2, 3, 4, 9  # what becomes of these sums; the rest are right


def terms(number: int) -> tuple[int, int]:
    return 11 + number, 3 * number + 2


def answer(body: dict[str, Any], n: int) -> Any:
    """The teacher; ``n`` counts requests with the same last turn."""
    a, b = (int(word.rstrip("?")) for word in body["messages"][-1]["content"].split()[2::2])
    number = a - 11
    if number == REFUSED:
        return refusal(400)
    if number == DOWN:
        return refusal(503)
    off = number == WRONG or (number == SECOND and n == 1)
    thought = {"reasoning_content": f"To {a} I add {b}, which is {a + b + off}."}
    if number == CUT:
        return completion("", message=thought, finish_reason="length")
    return completion(f"\\boxed{{{a + b + off}}}", message=thought)


def distill(folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    here = os.environ | {"PYTHONPATH": str(HERE.parents[1]), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "distill", *arguments]
    return subprocess.Popen(command, cwd=folder, env=here)


def make_run(folder: Path) -> None:
    """Ten of twelve sums; the one that is answered 503 is given up after some two minutes."""
    with teacher_server(answer, port=PORT):
        done = distill(folder, "generate", "prompts.yaml", "-o", "run", "--limit", "10")
        assert done.wait(600) == 1  # one was refused for good, too


def make_base(folder: Path) -> None:
    """A Llama of 16 dimensions, whose tokenizer is learnt from the sums."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    words = Tokenizer(models.BPE())
    words.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    words.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|start|>", "<|end|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    learn = trainers.BpeTrainer(vocab_size=300, special_tokens=special, initial_alphabet=alphabet)
    texts = [line["question"] for line in map(json.loads, (folder / "sums.jsonl").open())]
    words.train_from_iterator([*texts, "To 11 I add 2, which is 13. user assistant think"], learn)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words, eos_token=special[2], pad_token=special[0], chat_template=CHAT
    )
    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=512,
        bos_token_id=0,
        eos_token_id=2,
        pad_token_id=0,
        tie_word_embeddings=True,
    )
    LlamaForCausalLM(config).save_pretrained(folder / "base")
    tokenizer.save_pretrained(folder / "base")


def settle(folder: Path) -> None:
    """One file for each ledger, and no locks."""
    for path in folder.glob("*/ledger.sqlite"):
        with closing(sqlite3.connect(path)) as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for path in folder.rglob("*"):
        if path.is_file() and path.name in (".lock", "ledger.sqlite-wal", "ledger.sqlite-shm"):
            path.unlink()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="a new folder")
    folder: Path = parser.parse_args().folder
    folder.mkdir()
    for name in RECIPES:
        shutil.copy(HERE / name, folder)
    sums = [(a, b) for a, b in map(terms, range(COUNT))]
    lines = [json.dumps({"question": f"What is {a} + {b}?", "answer": str(a + b)}) for a, b in sums]
    (folder / "sums.jsonl").write_text("\n".join(lines) + "\n")
    make_run(folder)
    make_base(folder)
    assert distill(folder, "filter", "filters.yaml", "run", "-o", "set").wait() == 0
    assert distill(folder, "train", "student.yaml", "set", "-o", "student").wait() == 0
    with teacher_server(answer, port=PORT) as server:
        at = ["--model", f"{server.url}#student", "--set", "teacher.known_as=the-student"]
        more = ["-o", "scores", "--limit", "3"]
        assert distill(folder, "eval", "bench.yaml", *at, *more).wait() == 0
    settle(folder)


if __name__ == "__main__":
    main()
