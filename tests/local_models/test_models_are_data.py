"""A model with code of its own, pickles or pointers elsewhere is refused before it is read."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytest.importorskip("trl")
pytest.importorskip("peft")

from distill.commands.train import train
from distill.errors import Exit, UserError
from distill.generating.reach import who_answers
from distill.local_models import serve as serve_module
from distill.local_models.open import OR_ADAPTER, open_model, refuse_foreign
from distill.local_models.serve import serving
from distill.recipes.filters import FilterRecipe
from distill.recipes.load import load
from distill.recipes.places import Origin
from distill.recipes.prompts import PromptsRecipe
from distill.recipes.teachers import Serve
from distill.rows import SCHEMA
from distill.signals import score
from distill.signals.settings import Settings, placed
from tests.builders.hostile_models import ADAPTERS, HOSTILE, hostile, pickle_into
from tests.builders.hub_server import hub_server, run_client
from tests.builders.hub_state import LFS_SUFFIXES, Blob, Hub, Repo
from tests.builders.models import adapter, tiny
from tests.builders.recipes import naming

# What a recipe could say to have code run all the same; each is refused by itself, too.
TRUST = "sft: {max_steps: 1, use_cpu: true, model_init_kwargs: {trust_remote_code: true}}"
PLAIN = "sft: {max_steps: 1, use_cpu: true, gradient_checkpointing: false}"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny(tmp_path_factory.mktemp("honest"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    row = {
        "messages": [{"role": "user", "content": "What is 1"}],
        "reasoning": "1",
        "response": "2",
    }
    path = tmp_path_factory.mktemp("data") / "kept.jsonl"
    path.write_text(json.dumps({"id": "r", "sample": 0, **row}))
    return path


def recipe(folder: Path, base: Path | str, text: str = PLAIN) -> str:
    path = folder / "s.yaml"
    path.write_text(f"base: {base}\nlora: {{r: 4}}\n{text}\n")
    return str(path)


@contextmanager
def refused() -> Iterator[None]:
    with pytest.raises(UserError) as caught:
        yield
    assert "\n" not in str(caught.value)


def _train(model: Path, data: Path) -> None:
    train(recipe(model.parent, model), data, out=model.parent / "out")


def _train_with_trust(model: Path, data: Path) -> None:
    train(recipe(model.parent, model, TRUST), data, out=model.parent / "out")


def _score(model: Path, data: Path) -> None:
    by_user = Origin(path=Path("r.yaml"), given=frozenset({("score_model",)}))
    placed(Settings(), FilterRecipe(rules={}, score_model=str(model)), by_user)
    frame = SCHEMA.to_frame(eager=True).clear(1)
    score.measure(frame, Settings(score_model=str(model)))


def _serve(model: Path, data: Path) -> None:
    serve = Serve(engine="vllm")
    with serving(serve, model=str(model), log_file=model.parent / "log"):
        pytest.fail("it was served")


WAYS: list[Callable[[Path, Path], None]] = [_train, _train_with_trust, _score, _serve]


@pytest.fixture
def _no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve_module, "_check_installed", lambda _: None)
    monkeypatch.setattr(serve_module, "_script", lambda name: "/bin/false")


@pytest.mark.usefixtures("_no_server")
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", HOSTILE)
def test_nothing_of_a_hostile_folder_runs(
    kind: str, way: Callable[[Path, Path], None], base: Path, data: Path, tmp_path: Path
) -> None:
    model = hostile(base, tmp_path / "model", kind)
    with refused():
        way(model, data)
    assert not (tmp_path / "canary").exists()
    assert not (tmp_path / "log").exists()


@pytest.mark.parametrize("kind", ADAPTERS)
def test_nothing_of_a_hostile_adapter_runs(kind: str, base: Path, tmp_path: Path) -> None:
    model = adapter(tmp_path / "adapter", base, **ADAPTERS[kind])
    with refused():
        open_model(str(model), at="serve.model", needed=OR_ADAPTER)


@pytest.mark.parametrize("kind", ["a module", "a package"])
def test_merging_by_itself_refuses_too(kind: str, base: Path, tmp_path: Path) -> None:
    model = adapter(tmp_path / "adapter", base, **ADAPTERS[kind])
    line = [sys.executable, "-m", "distill.local_models.merge", str(model), str(tmp_path / "whole")]
    assert subprocess.run(line, capture_output=True, check=False).returncode != 0
    assert not (tmp_path / "whole").exists()


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_base_is_refused_through_its_adapter(
    kind: str, base: Path, tmp_path: Path
) -> None:
    model = adapter(tmp_path / "adapter", hostile(base, tmp_path / "base", kind))
    with refused():
        open_model(str(model), at="serve.model", needed=OR_ADAPTER).with_weights()
    assert not (tmp_path / "canary").exists()


def test_pickled_adapter_weights_are_not_read(base: Path, tmp_path: Path) -> None:
    model = adapter(tmp_path / "adapter", base)
    (model / "adapter_model.safetensors").unlink()
    pickle_into(model, "adapter_model.bin")
    with pytest.raises(UserError, match="pickled"):
        open_model(str(model), at="m", needed=OR_ADAPTER).with_weights()
    assert not (tmp_path / "canary").exists()


def test_an_adapter_of_an_adapter_is_refused(base: Path, tmp_path: Path) -> None:
    model = adapter(tmp_path / "two", adapter(tmp_path / "one", tmp_path / "two"))
    with pytest.raises(UserError, match=r"no config\.json"):
        open_model(str(model), at="m", needed=OR_ADAPTER)


def test_stray_pickles_beside_safetensors_are_never_read(
    base: Path, data: Path, tmp_path: Path
) -> None:
    names = ["training_args.bin", "pytorch_model.bin", "optimizer.pt", "rng_state.pth", "a.pkl"]
    for name in names:  # Trainer leaves the first one in every folder it writes
        pickle_into(base, name)
    try:
        name = recipe(tmp_path, base)
        assert train(name, data, out=tmp_path / "out", overrides=naming(name, "base")) is Exit.DONE
    finally:
        for name in names:
            (base / name).unlink()
    assert not (base.parent / "canary").exists()


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("pickled_weights", [False, True])
def test_a_checkpoint_that_somebody_planted_runs_no_code(
    whole: bool,
    pickled_weights: bool,
    base: Path,
    data: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    saving = PLAIN.replace("max_steps: 1", "max_steps: 2, save_strategy: steps, save_steps: 1")
    out, name = tmp_path / "out", recipe(tmp_path, base, saving)
    if whole:
        Path(name).write_text(Path(name).read_text().replace("lora: {r: 4}", "lora: null"))
    train(name, data, out=out, overrides=naming(name, "base"))
    (run,) = (out / "checkpoints").iterdir()
    kept = run / "checkpoint-1"
    (out / "train.json").unlink()
    for path in (run / "checkpoint-2").iterdir():
        path.unlink()
    (run / "checkpoint-2").rmdir()
    pickles = [path.name for path in kept.iterdir() if path.suffix in (".pt", ".bin", ".pth")]
    assert {"optimizer.pt", "scheduler.pt", "training_args.bin"} <= set(pickles)
    for file in (*pickles, "adapter_model.bin", "pytorch_model.bin"):
        pickle_into(kept, file)
    for path in kept.glob("*.safetensors") if pickled_weights else ():
        path.unlink()
    assert train(name, data, out=out, overrides=naming(name, "base")) is Exit.DONE
    assert "checkpoint-1 is passed over" in caplog.text
    assert not list(tmp_path.rglob("canary"))


@pytest.mark.parametrize("engine", ["vllm", "transformers"])
def test_who_answers_is_not_asked_of_a_hostile_folder(
    engine: str, base: Path, tmp_path: Path
) -> None:
    model = hostile(base, tmp_path / "model", "code of the model")
    problems = "problems: {reasoning_gym: [{name: chain_sum, size: 1, seed: 1}]}\n"
    path = tmp_path / "p.yaml"
    path.write_text(f"{problems}serve: {{engine: {engine}, model: {model}}}\n")
    with refused():
        who_answers(load(str(path), PromptsRecipe))


@pytest.mark.parametrize("base", ["/dev/zero", "{}", "{}/adapter_config.json"])
def test_who_answers_reads_no_base_that_is_no_model(base: str, tmp_path: Path) -> None:
    model = adapter(tmp_path / "adapter", base.format(tmp_path / "adapter"))
    with refused():
        refuse_foreign(str(model), at="serve.model")


# --- the Hub ---

CLIENT = """
import json
from distill.errors import UserError
from distill.local_models.open import OR_ADAPTER, open_model, refuse_foreign
said = {}
for name in NAMES:
    try:
        open_model(name, at="base", needed=OR_ADAPTER).with_weights()
        said[name] = None
    except UserError as error:
        said[name] = str(error)
print(json.dumps(said))
"""


def client(names: list[str]) -> str:
    return CLIENT.replace("NAMES", repr(names))


def upload(hub: Hub, name: str, folder: Path) -> None:
    files = {
        path.relative_to(folder).as_posix(): Blob(
            path.read_bytes(), lfs=path.name.endswith(LFS_SUFFIXES)
        )
        for path in folder.rglob("*")
        if path.is_file()
    }
    hub.add_repo("model", name, private=False).commit(files)


def test_nothing_of_a_hostile_repository_runs_and_code_is_not_even_fetched(
    base: Path, tmp_path: Path
) -> None:
    # a repository has no links, and its files lie in no folder of ours
    kinds = [kind for kind in HOSTILE if "link" not in kind and kind != "a pipe"]  # of a disk
    with hub_server("hf_x") as hub:
        names = []
        for number, kind in enumerate(kinds):
            folder = hostile(base, tmp_path / f"m{number}" / "model", kind)
            names.append(f"owner/m{number}")
            upload(hub, names[-1], folder)
        made = run_client(client(names), hub, tmp_path / "home", token=None)
        assert made.returncode == 0, made.stderr
        said = json.loads(made.stdout)
        fetched = [path for _, path, _ in hub.requests if "/resolve/" in path]
    assert [kinds[n] for n, name in enumerate(names) if said[name] is None] == []
    assert not [path for path in fetched if path.lower().endswith((".py", ".so", ".bin"))]
    assert not [
        path for path in fetched if path.startswith("/owner/m0/")
    ]  # its code is named first
    assert not list(tmp_path.rglob("canary"))


HUB_TRAIN = """
from distill.commands.train import train
train({recipe!r}, {data!r}, out={out!r})
"""


def test_what_was_checked_on_the_hub_is_what_is_loaded(
    base: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evil = hostile(base, tmp_path / "evil", "code of the model")
    with hub_server("hf_x") as hub:
        upload(hub, "owner/base", base)
        repo = hub.repos["model", "owner/base"]
        first = repo.commits[-1][0]
        # as soon as it was looked at, the branch moves to another commit, with code in it
        real = Repo.tree

        def then_move(self: Repo, revision: str) -> tuple[str, dict[str, Blob]] | None:
            found = real(self, revision)
            if len(self.commits) == 2:
                self.commit({p.name: Blob(p.read_bytes(), lfs=False) for p in evil.iterdir()})
            return found

        monkeypatch.setattr(Repo, "tree", then_move)
        code = HUB_TRAIN.format(
            recipe=recipe(tmp_path, "owner/base"), data=str(data), out=str(tmp_path / "out")
        )
        made = run_client(code, hub, tmp_path / "home", token=None)
        assert made.returncode == 0, made.stderr
        files = [path for _, path, _ in hub.requests if "/resolve/" in path]
    assert files
    assert [path for path in files if f"/resolve/{first}/" not in path] == []
    assert not list(tmp_path.rglob("canary"))
    told = json.loads((tmp_path / "out" / "adapter_config.json").read_text())
    assert told["base_model_name_or_path"] == "owner/base"
    # and without the Hub, from the cache
    again = code.replace("/out'", "/again'")
    made = run_client(again, "http://127.0.0.1:9", tmp_path / "home", token=None)
    assert made.returncode == 0, made.stderr
    assert (tmp_path / "again" / "train.json").exists()
