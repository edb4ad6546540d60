"""Identifies a model by its weights, so that a retrained student is never taken for the old one."""

import hashlib
from pathlib import Path

import orjson

WEIGHTS = ("*.safetensors", "*.gguf", "*.bin")
PIECES, PIECE = 256, 2**16  # of a file of weights; bytes
MEANING = (
    *("config.json", "adapter_config.json", "generation_config.json", "chat_template.jinja"),
    *("tokenizer.json", "tokenizer_config.json"),
)


def model_digest(model: str) -> str:
    """``name sha256:16 hex`` of a file or folder here; a Hub id or shipped name as it is.

    An adapter's base, whose folder adapter_config.json names, counts too.
    """
    path = Path(model).expanduser()
    if path.is_file():
        return f"{path.name} sha256:{_sum([path])}"
    if not path.is_dir():
        return model
    files = [*(path / name for name in MEANING), *(f for p in WEIGHTS for f in path.glob(p))]
    return f"{path.name} sha256:{_sum(sorted(f for f in files if f.is_file()))}{_base(path)}"


def sampled_digest(folder: Path) -> str:
    """16 hex digits of a model's files: of large weights, their size and PIECES of each file.

    All of them would take a minute for 70B. Another training of the same model changes every piece.
    """
    whole = hashlib.sha256()
    for path in (folder / name for name in MEANING):
        whole.update(path.name.encode() + (path.read_bytes() if path.is_file() else b""))
    for path in sorted(folder.glob("*.safetensors")):
        size = path.stat().st_size
        whole.update(f"{path.name} {size}".encode())
        with path.open("rb") as file:
            for start in range(0, size, max(size // PIECES, PIECE)):
                file.seek(start)
                whole.update(file.read(PIECE))
    return whole.hexdigest()[:16]


def _sum(files: list[Path]) -> str:
    whole = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            whole.update(hashlib.file_digest(file, "sha256").digest())
    return whole.hexdigest()[:16]


def _base(adapter: Path) -> str:
    config = adapter / "adapter_config.json"
    if not config.is_file() or (adapter / "config.json").is_file():  # whole weights of its own
        return ""
    base = str(orjson.loads(config.read_bytes()).get("base_model_name_or_path", ""))
    return f" on {model_digest(base)}" if base and Path(base) != adapter else ""
