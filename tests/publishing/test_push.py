import json
import socket
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from distill.commands.push import push
from distill.errors import Exit, UserError
from distill.files.write import write_json
from distill.local_models.weights import SHIPPED
from distill.publishing.adapter import ORIGINALS
from distill.rows import Message
from tests.builders.hub_server import TOKEN, run_client
from tests.builders.hub_state import Hub
from tests.builders.models import tiny
from tests.builders.pushed import row, write_set, write_student

KEY = "sk-" + "0123456789abcdef" * 2
HUB_KEY = "hf_" + "abcdefghijklmnopq" * 2
BEARER = "Zq7" * 10
QUIET = "import logging, sys; logging.basicConfig(level='INFO', stream=sys.stderr)\n"


@pytest.fixture
def made(tmp_path: Path) -> Path:
    return write_set(tmp_path / "set", [row(i) for i in range(5)], [row(i) for i in range(5, 8)])


def pushing(path: Path, repo: str = "ada/set", **options: bool) -> str:
    call = f"push({str(path)!r}, {repo!r}, **{options!r})"
    return f"{QUIET}from distill.commands.push import push\nsys.exit({call})"


def client(code: str, hub: Hub | str, home: Path, token: str | None = TOKEN) -> str:
    """What a client that must succeed printed."""
    done = run_client(code, hub, home, token=token)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_pushed_set_is_read_back_row_for_row(hub: Hub, made: Path, tmp_path: Path) -> None:
    client(pushing(made), hub, tmp_path / "pusher")
    snippet = hub.files("dataset", "ada/set")["README.md"].decode().split("```python\n")[1]
    snippet = snippet.split("```")[0]  # what the card tells a stranger to do
    code = f"{snippet}\nimport json; print(json.dumps(list(rows)))"
    back = json.loads(client(code, hub, tmp_path / "reader").splitlines()[-1])
    kept = pl.read_parquet(sorted((made / "kept").glob("*.parquet")))
    assert back == kept.to_dicts()


def test_a_pushed_set_is_data_for_the_next_command(hub: Hub, made: Path, tmp_path: Path) -> None:
    client(pushing(made), hub, tmp_path / "pusher")
    code = (
        "import polars as pl; from distill.files.read import frames\n"
        f"pl.concat(frames('hf://datasets/ada/set')).write_parquet({str(tmp_path / 'read')!r})"
    )
    client(code, hub, tmp_path / "reader")
    kept = pl.read_parquet(sorted((made / "kept").glob("*.parquet")))
    assert pl.read_parquet(tmp_path / "read").equals(kept)


def test_a_set_is_private_unless_asked_and_closed_to_strangers(at: Hub, made: Path) -> None:
    assert push(made, "ada/set") == Exit.DONE
    assert at.created == [{"name": "ada/set", "type": "dataset", "private": True}]
    files = at.files("dataset", "ada/set")
    assert "README.md" in files
    addresses = [f"datasets/ada/set/resolve/main/{name}" for name in files]
    addresses += ["api/datasets/ada/set", "api/datasets/ada/set/tree/main"]
    for address in addresses:
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"{at.url}/{address}", timeout=10)
        assert refused.value.code == 401
        refused.value.close()


def test_public_is_published_only_when_asked(at: Hub, made: Path) -> None:
    push(made, "ada/set", public=True)
    assert at.created[0]["private"] is False
    with urllib.request.urlopen(f"{at.url}/datasets/ada/set/resolve/main/README.md") as card:
        assert card.status == 200


def test_a_repository_that_is_already_public_is_not_published_to_by_accident(
    at: Hub, made: Path
) -> None:
    at.add_repo("dataset", "ada/set", private=False)
    with pytest.raises(UserError, match=r"is public.*--public"):
        push(made, "ada/set")
    assert at.files("dataset", "ada/set") == {}
    assert at.uploads == []
    assert push(made, "ada/set", public=True) == Exit.DONE
    assert "README.md" in at.files("dataset", "ada/set")


def test_a_private_repository_is_not_said_to_be_published(at: Hub, made: Path) -> None:
    at.add_repo("dataset", "ada/set", private=True)
    with pytest.raises(UserError, match="is private"):
        push(made, "ada/set", public=True)
    assert at.files("dataset", "ada/set") == {}


def test_data_and_card_arrive_in_one_commit(at: Hub, made: Path) -> None:
    push(made, "ada/set")
    (_, before), (_, after) = at.repos["dataset", "ada/set"].commits
    assert list(before) == [".gitattributes"]
    assert list(after)[1:] == [
        "data/train-00000-of-00002.parquet",
        "data/train-00001-of-00002.parquet",
        "report.json",
        "README.md",
    ]


def test_a_second_push_sends_nothing(at: Hub, made: Path) -> None:
    push(made, "ada/set")
    uploads, commits = list(at.uploads), len(at.repos["dataset", "ada/set"].commits)
    at.requests.clear()
    assert push(made, "ada/set") == Exit.DONE
    assert len(uploads) == 2
    assert at.uploads == uploads
    assert len(at.repos["dataset", "ada/set"].commits) == commits
    assert not [r for r in at.requests if "commit" in r[1] or r[0] == "PUT"]


def test_an_interrupted_push_leaves_no_half_and_goes_on_where_it_was(at: Hub, made: Path) -> None:
    at.refuse["POST .*/commit/main"] = 403  # all bytes are up, but not yet part of the repository
    with pytest.raises(UserError, match="403"):
        push(made, "ada/set")
    assert at.files("dataset", "ada/set") == {}
    assert len(at.uploads) == 2
    at.refuse.clear()
    push(made, "ada/set")
    assert len(at.uploads) == 2
    assert "README.md" in at.files("dataset", "ada/set")


def test_another_set_is_replaced_whole_and_only_with_force(
    at: Hub, made: Path, tmp_path: Path
) -> None:
    push(made, "ada/set")
    other = write_set(tmp_path / "other", [row(i) for i in range(20, 23)])
    before = at.files("dataset", "ada/set")
    with pytest.raises(UserError, match="--force"):
        push(other, "ada/set")
    assert at.files("dataset", "ada/set") == before
    push(other, "ada/set", force=True)
    after = at.files("dataset", "ada/set")
    shard = other / "kept" / "part-00000.parquet"
    assert set(after) == {"data/train-00000-of-00001.parquet", "report.json", "README.md"}
    assert after["data/train-00000-of-00001.parquet"] == shard.read_bytes()


def test_what_others_keep_in_the_repository_stays(at: Hub, made: Path) -> None:
    at.add_repo("dataset", "ada/set", private=True, LICENSE=b"mine")
    push(made, "ada/set")
    assert at.files("dataset", "ada/set")["LICENSE"] == b"mine"


def test_an_endpoint_may_end_with_a_slash(
    at: Hub, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", f"{at.url}/")
    assert push(made, "ada/set") == Exit.DONE
    assert "README.md" in at.files("dataset", "ada/set")


def test_a_dry_run_contacts_nobody(hub: Hub, made: Path, tmp_path: Path) -> None:
    done = run_client(pushing(made, dry_run=True), hub, tmp_path / "home", token=None)
    assert done.returncode == 0, done.stderr
    assert hub.requests == []
    size = (made / "kept" / "part-00001.parquet").stat().st_size
    assert f"would send data/train-00001-of-00002.parquet, {size:,} bytes" in done.stderr
    assert "README.md" in done.stderr
    assert "dataset ada/set (private)" in done.stderr


# ---- the token


def assert_no_trace_of(secret: str, done: subprocess.CompletedProcess[str], folder: Path) -> None:
    assert secret not in done.stdout + done.stderr
    for path in folder.rglob("*"):
        assert not path.is_file() or secret.encode() not in path.read_bytes(), path


@pytest.mark.parametrize(
    ("refused", "status", "step"),
    [
        (".*", 401, "HF_TOKEN"),
        (".*", 403, "write"),
        (".*", 500, "later"),
        ("POST .*/preupload", 403, "write"),
        ("PUT /lfs/", 403, "write"),  # wrapped twice by the client
        ("POST .*/commit", 412, "meanwhile"),
    ],
)
def test_the_token_is_in_no_output_file_or_error(
    hub: Hub, made: Path, tmp_path: Path, refused: str, status: int, step: str
) -> None:
    hub.refuse[refused] = status  # and that server repeats the token in its answer
    done = run_client(pushing(made), hub, tmp_path / "home", token=TOKEN)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("distill.errors.UserError: ada/set: the Hub answered")
    assert str(status) in last
    assert step in last
    assert "During handling of" not in done.stderr  # the client's error, with the request in it
    assert_no_trace_of(TOKEN, done, tmp_path)


def test_a_push_that_works_leaves_no_token_either(hub: Hub, made: Path, tmp_path: Path) -> None:
    done = run_client(pushing(made), hub, tmp_path / "home", token=TOKEN)
    assert done.returncode == 0
    assert_no_trace_of(TOKEN, done, tmp_path)
    assert not any(TOKEN.encode() in data for data in hub.files("dataset", "ada/set").values())


def test_without_a_token_nobody_is_asked(hub: Hub, made: Path, tmp_path: Path) -> None:
    done = run_client(pushing(made), hub, tmp_path / "home", token=None)
    assert "HF_TOKEN: not set" in done.stderr.splitlines()[-1]
    assert hub.requests == []


def test_a_wrong_token_is_named_as_the_cause(hub: Hub, made: Path, tmp_path: Path) -> None:
    done = run_client(pushing(made), hub, tmp_path / "home", token=HUB_KEY)
    assert "401" in done.stderr.splitlines()[-1]
    assert hub.repos == {}


def test_anothers_namespace_is_refused_with_the_next_step(at: Hub, made: Path) -> None:
    with pytest.raises(UserError, match=r"grace/set: .*403.*next: check the owner"):
        push(made, "grace/set")


def test_a_hub_that_is_not_there_is_one_line(made: Path, tmp_path: Path) -> None:
    with socket.socket() as taken:  # bound and not listening: every connection is refused
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        done = run_client(pushing(made), url, tmp_path / "home", token=TOKEN)
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"distill.errors.UserError: {url.removeprefix('http://')}: cannot")
    assert_no_trace_of(TOKEN, done, tmp_path)


# ---- keys in what is sent


@pytest.mark.parametrize(
    "other",
    [
        {"reasoning": f"the key is {KEY}, I think"},
        {"response": f"Authorization: Bearer {BEARER}"},
        {"gold": KEY},
        {"messages": (Message(role="user", content="hi"), Message(role="user", content=KEY))},
        {"teacher": HUB_KEY},
    ],
)
def test_a_key_in_a_row_stops_the_push_before_anything_is_sent(
    at: Hub, tmp_path: Path, other: dict[str, Any]
) -> None:
    made = write_set(tmp_path / "set", [row(0), row(1)], [row(2), row(3, **other)])
    with pytest.raises(UserError) as stopped:
        push(made, "ada/set")
    said = str(stopped.value)
    assert row(3).id in said
    assert "part-00001.parquet" in said
    assert not any(secret in said for secret in (KEY, HUB_KEY, BEARER))
    assert at.requests == []


def test_words_that_only_start_like_a_key_do_not_stop_a_push(at: Hub, tmp_path: Path) -> None:
    text = "a risk-free-but-long-hyphenated-word, sk-learn, hf_hub, and the bearer of bad news"
    made = write_set(tmp_path / "set", [row(0, reasoning=text)])
    assert push(made, "ada/set") == Exit.DONE


def test_a_key_in_the_report_stops_the_push(at: Hub, made: Path) -> None:
    report = json.loads((made / "report.json").read_text())
    write_json(made / "report.json", report | {"recipe": {"note": KEY}})
    with pytest.raises(UserError, match=r"report\.json: holds what looks like an API key") as said:
        push(made, "ada/set")
    assert KEY not in str(said.value)
    assert at.requests == []


# ---- students


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real LoRA adapter, its tokenizer and its base (in base/), tiny and untrained."""
    folder = tmp_path_factory.mktemp("trained")
    base = tiny(folder / "base")
    make = f"""
from peft import LoraConfig, get_peft_model
from transformers import AutoTokenizer, LlamaForCausalLM
model = LlamaForCausalLM.from_pretrained({str(base)!r})
model.name_or_path = "ada/base"
student = get_peft_model(model, LoraConfig(r=2, target_modules="all-linear"))
student.peft_config["default"].base_model_name_or_path = "ada/base"
student.save_pretrained({str(folder / "student")!r})
student.generation_config.save_pretrained({str(folder / "student")!r})
AutoTokenizer.from_pretrained({str(base)!r}).save_pretrained({str(folder / "student")!r})
"""
    client(make, "http://127.0.0.1:9", folder / "home", token=None)
    student = folder / "student"
    write_json(student / "train.json", {"base": "ada/base", "examples": 12, "recipe": {}})
    write_json(student / "proof.json", {"proved": True})
    (student / "train.jsonl").write_text('{"step":1,"loss":2.5}\n')
    (student / "train.png").write_bytes(b"\x89PNG")
    for name in ("optimizer.pt", "training_args.bin", ".lock", "train.log"):
        (student / name).write_bytes(b"not for others")
    (student / "checkpoint-1").mkdir()
    (student / "checkpoint-1" / "adapter_model.safetensors").write_bytes(b"\0" * 8)
    return folder


def test_an_adapter_comes_back_byte_for_byte_and_its_card_runs(
    hub: Hub, trained: Path, tmp_path: Path
) -> None:
    student, base = trained / "student", trained / "base"
    hub.add_repo(
        "model", "ada/base", private=True, **{p.name: p.read_bytes() for p in base.iterdir()}
    )
    client(pushing(student, "ada/student"), hub, tmp_path / "pusher")
    files = hub.files("model", "ada/student")
    snippet = files["README.md"].decode().split("```python\n")[1].split("```")[0]
    code = (
        "from huggingface_hub import snapshot_download; print(snapshot_download('ada/student'))\n"
        + snippet.replace("4096", "4")
    )
    folder = Path(client(code, hub, tmp_path / "reader").splitlines()[0])
    back = {p.name: p.read_bytes() for p in folder.iterdir() if p.name != ".gitattributes"}
    assert back == files
    wanted = {"adapter_config.json", "adapter_model.safetensors", "tokenizer.json", "train.json"}
    assert wanted | {"proof.json", "train.jsonl", "train.png"} <= set(back)
    assert "](train.png)" in files["README.md"].decode()
    assert all(data == (student / n).read_bytes() for n, data in back.items() if n != "README.md")


def test_what_only_training_needs_is_not_published(at: Hub, trained: Path) -> None:
    push(trained / "student", "ada/student")
    files = at.files("model", "ada/student")
    assert not {"optimizer.pt", "training_args.bin", ".lock", "train.log"} & set(files)
    assert not [name for name in files if "/" in name]
    assert at.created == [{"name": "ada/student", "type": "model", "private": True}]


@pytest.mark.parametrize("name", ["tokenizer_config.json", "proof.json"])
def test_a_key_in_a_students_file_stops_the_push(
    at: Hub, trained: Path, tmp_path: Path, name: str
) -> None:
    copy = tmp_path / "student"
    copy.mkdir()
    for path in (trained / "student").iterdir():
        if path.is_file():
            (copy / path.name).write_bytes(path.read_bytes())
    write_json(copy / name, {"note": KEY})
    with pytest.raises(UserError, match=f"{name}: holds") as said:
        push(copy, "ada/student")
    assert KEY not in str(said.value)
    assert at.requests == []


def test_a_key_in_the_weights_header_stops_the_push(at: Hub, tmp_path: Path) -> None:
    header = json.dumps({"__metadata__": {"run": KEY}}).encode()
    weights = len(header).to_bytes(8, "little") + header
    (tmp_path / "adapter_model.safetensors").write_bytes(weights)
    write_json(tmp_path / "adapter_config.json", {})
    write_json(tmp_path / "train.json", {})
    with pytest.raises(UserError, match=r"adapter_model\.safetensors: holds"):
        push(tmp_path, "ada/student")
    assert at.requests == []


@pytest.mark.parametrize(
    ("trained_on", "named"),
    [
        ("smollm2-135m-instruct", "HuggingFaceTB/SmolLM2-135M-Instruct"),
        ("ada/base", "ada/base"),
    ],
)
def test_an_adapter_names_its_base_by_hub_id_and_no_path_is_published(
    at: Hub, tmp_path: Path, caplog: pytest.LogCaptureFixture, trained_on: str, named: str
) -> None:
    path = str(tmp_path / "home" / "models" / "weights")
    student = write_student(tmp_path / "student", path, trained_on=trained_on)
    before = (student / "adapter_config.json").read_bytes()
    with caplog.at_level("INFO", "distill"):
        assert push(student, "ada/student") == Exit.DONE
    sent = at.files("model", "ada/student")
    config = json.loads(sent["adapter_config.json"])
    assert config == json.loads(before) | {"base_model_name_or_path": named}
    assert not [name for name, data in sent.items() if str(tmp_path).encode() in data]
    assert f"base_model: {named}\n" in sent["README.md"].decode()
    assert f'AutoModelForCausalLM.from_pretrained("{named}")' in sent["README.md"].decode()
    assert (student / "adapter_config.json").read_bytes() == before
    assert f"sent with base_model_name_or_path: {named}" in caplog.text
    assert ("the original weights" in caplog.text) == (trained_on != named)
    commits = len(at.repos["model", "ada/student"].commits)
    push(student, "ada/student")  # and the second time it is known to be there
    assert len(at.repos["model", "ada/student"].commits) == commits


@pytest.mark.parametrize("trained_on", ["/home/ada/models/mine", "models/mine", "mine"])
def test_an_adapter_of_a_folder_is_refused_with_the_next_step(
    at: Hub, tmp_path: Path, trained_on: str
) -> None:
    student = write_student(tmp_path / "student", "/home/ada/models/mine", trained_on=trained_on)
    with pytest.raises(
        UserError, match=r"next: train it with a Hub id as base:, or distill merge"
    ) as said:
        push(student, "ada/student")
    assert "\n" not in str(said.value)
    assert at.requests == []


def test_a_key_in_a_rewritten_config_stops_the_push(at: Hub, tmp_path: Path) -> None:
    student = write_student(tmp_path / "student", "/home/ada/weights", trained_on="ada/base")
    config = json.loads((student / "adapter_config.json").read_text())
    write_json(student / "adapter_config.json", config | {"revision": KEY})
    with pytest.raises(UserError, match=r"adapter_config\.json: holds"):
        push(student, "ada/student")
    assert at.requests == []


def test_every_shipped_model_has_originals_on_the_hub() -> None:
    assert set(ORIGINALS) == set(SHIPPED)


# ---- what cannot be pushed


def test_anything_else_is_refused_with_what_was_found(at: Hub, made: Path, tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "todo.txt").touch()
    with pytest.raises(UserError, match=r"neither .* found todo\.txt"):
        push(tmp_path / "notes", "ada/set")
    with pytest.raises(UserError, match="no such folder"):
        push(tmp_path / "nowhere", "ada/set")
    with pytest.raises(UserError, match="a file"):
        push(made / "report.json", "ada/set")
    write_json(made / "train.json", {})
    with pytest.raises(UserError, match=r"both kept/ and train\.json"):
        push(made, "ada/set")
    assert at.requests == []


def test_a_set_that_is_not_finished_or_empty_is_refused(at: Hub, made: Path) -> None:
    (made / "report.json").rename(made / "aside.json")
    with pytest.raises(UserError, match=r"report\.json: missing .* finish its distill filter"):
        push(made, "ada/set")
    (made / "aside.json").rename(made / "report.json")
    (made / "kept" / "part-00000.parquet").write_bytes(b"PAR1 cut short")
    with pytest.raises(UserError, match="not readable Parquet"):
        push(made, "ada/set")
    for shard in (made / "kept").iterdir():
        shard.unlink()
    with pytest.raises(UserError, match="nothing to push"):
        push(made, "ada/set")


@pytest.mark.parametrize("repo_id", ["set", "a/b/c", "ada/../set", "ada/se t", TOKEN, HUB_KEY])
def test_a_name_that_is_no_repository_is_refused(at: Hub, made: Path, repo_id: str) -> None:
    with pytest.raises(UserError, match="not a repository's name") as said:
        push(made, repo_id)
    assert TOKEN not in str(said.value)
    assert HUB_KEY not in str(said.value)
    assert at.requests == []


def test_a_data_set_of_the_hub_that_is_json_is_read(hub: Hub, tmp_path: Path) -> None:
    """An array beside what the package datasets says of it; nothing else is there."""
    row = json.dumps([{"question": "1 + 1?", "response": "2"}])
    files = {"data/train.json": row, "dataset_infos.json": "{}"}
    put = "".join(
        f"api.upload_file(path_or_fileobj={text.encode()!r}, path_in_repo={name!r}, "
        "repo_id='ada/raw', repo_type='dataset')\n"
        for name, text in files.items()
    )
    made = "from huggingface_hub import HfApi; api = HfApi()\n"
    made += "api.create_repo('ada/raw', repo_type='dataset')\n"
    client(QUIET + made + put, hub, tmp_path / "pusher")
    code = (
        "from distill.files.read import frames\n"
        "print([row for part in frames('hf://datasets/ada/raw') for row in part['response']])"
    )
    assert client(code, hub, tmp_path / "reader").strip() == "['2']"
