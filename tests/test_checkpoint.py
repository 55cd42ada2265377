from __future__ import annotations

import io
import json
import os
import pickle
import re
import shutil
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import ml_dtypes  # noqa: F401 - makes "bfloat16" a dtype
import numpy as np
import pytest
from hub_server import COMMIT, Hub, serve
from huggingface_hub.errors import LocalEntryNotFoundError
from safetensors import safe_open
from safetensors.numpy import load_file, save, save_file

from vocalbio.encoders.checkpoint import open_checkpoint, write_checkpoint
from vocalbio.errors import ModelFileError, ModelUnavailableError, ParameterError

GOLDEN = Path(__file__).parent / "golden"
CONFIG = {"model_type": "wav2vec2", "hidden_size": 4}
PREPROCESSOR = {"do_normalize": True, "sampling_rate": 16_000}
TENSORS = {"norm.bias": np.arange(4, dtype=np.float32) / 4, "conv.weight": np.arange(6, dtype=np.float32).reshape(2, 3)}


def tensors_of(folder: Path | str) -> dict[str, np.ndarray]:
    return dict(open_checkpoint(folder).tensors())


def assert_same(found: dict[str, Any], expected: dict[str, np.ndarray]) -> None:
    assert set(found) == set(expected)
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name, strict=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that lacks only its weights."""
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    return tmp_path


# A folder


def test_a_written_checkpoint_is_read_back_as_it_was(tmp_path):
    write_checkpoint(tmp_path / "new" / "model", CONFIG, TENSORS, PREPROCESSOR)
    checkpoint = open_checkpoint(tmp_path / "new" / "model")
    assert checkpoint.name == str(tmp_path / "new" / "model")
    assert checkpoint.folder == tmp_path / "new" / "model"
    assert checkpoint.config == CONFIG
    assert checkpoint.preprocessor == PREPROCESSOR
    assert_same(dict(checkpoint.tensors()), TENSORS)
    assert sorted(os.listdir(checkpoint.folder)) == ["config.json", "model.safetensors", "preprocessor_config.json"]
    modes = {file.stat().st_mode for file in checkpoint.folder.iterdir()}
    assert modes == {(checkpoint.folder / "config.json").stat().st_mode}


def test_what_is_written_is_float32_in_c_order_and_marked_for_pytorch(tmp_path, rng):
    values = rng.normal(size=(3, 5))
    write_checkpoint(tmp_path, CONFIG, {"turned": values.T, "number": np.float64(0.1)}, None)
    assert_same(
        load_file(tmp_path / "model.safetensors"),
        {"turned": values.T.astype(np.float32), "number": np.array(0.1, dtype=np.float32)},
    )
    with safe_open(tmp_path / "model.safetensors", "numpy") as opened:
        assert opened.metadata() == {"format": "pt"}


def test_a_checkpoint_replaces_the_one_before_it(tmp_path):
    write_checkpoint(tmp_path, CONFIG, TENSORS, PREPROCESSOR)
    write_checkpoint(tmp_path, {"model_type": "hubert"}, {"other": np.zeros(1, np.float32)}, None)
    checkpoint = open_checkpoint(tmp_path)
    assert checkpoint.config == {"model_type": "hubert"}
    assert checkpoint.preprocessor is None
    assert set(dict(checkpoint.tensors())) == {"other"}


@pytest.mark.parametrize("crash_at", range(3))
def test_a_crash_while_writing_leaves_no_half_checkpoint(tmp_path, monkeypatch, crash_at):
    moved = []

    def crash(source: Path, target: Path) -> None:
        if len(moved) == crash_at:
            raise KeyboardInterrupt
        moved.append(target)
        os.rename(source, target)

    write_checkpoint(tmp_path, CONFIG, TENSORS, PREPROCESSOR)
    monkeypatch.setattr(os, "replace", crash)
    with pytest.raises(KeyboardInterrupt):
        write_checkpoint(tmp_path, CONFIG, {"other": np.zeros(1, np.float32)}, {"do_normalize": False})
    with pytest.raises(ModelFileError, match=r"holds no config\.json"):
        open_checkpoint(tmp_path)


def test_a_checkpoint_that_cannot_be_written_changes_nothing_and_says_why(tmp_path):
    write_checkpoint(tmp_path / "model", CONFIG, TENSORS, None)
    with pytest.raises(ParameterError, match="not plain JSON"):
        write_checkpoint(tmp_path / "model", {"dtype": np.float32}, {}, None)
    assert_same(tensors_of(tmp_path / "model"), TENSORS)
    (tmp_path / "file").touch()
    with pytest.raises(ParameterError, match=r"cannot write a checkpoint to .*file"):
        write_checkpoint(tmp_path / "file", CONFIG, TENSORS, None)


@pytest.mark.parametrize("stored", ["float16", "bfloat16", "float64", "int64"])
def test_stored_types_become_float32(folder, stored):
    values = np.array([[0.5, -2.0, 96.0]])
    save_file({"x": values.astype(np.dtype(stored))}, folder / "model.safetensors")
    assert_same(tensors_of(folder), {"x": values.astype(stored).astype(np.float32)})


def test_both_spellings_of_weight_norm_are_one(tmp_path):
    g, v = np.ones((1, 1, 3), np.float32), np.zeros((2, 2, 3), np.float32)
    write_checkpoint(tmp_path / "old", CONFIG, {"conv.weight_g": g, "conv.weight_v": v}, None)
    new = {"conv.parametrizations.weight.original0": g, "conv.parametrizations.weight.original1": v}
    write_checkpoint(tmp_path / "new", CONFIG, new, None)
    assert_same(tensors_of(tmp_path / "old"), new)
    assert_same(tensors_of(tmp_path / "new"), new)


def test_shards_are_read_as_one(folder):
    names = list(TENSORS)
    save_file({names[0]: TENSORS[names[0]]}, folder / "model-00001-of-00002.safetensors")
    save_file({names[1]: TENSORS[names[1]]}, folder / "model-00002-of-00002.safetensors")
    index = {"weight_map": {name: f"model-0000{i + 1}-of-00002.safetensors" for i, name in enumerate(names)}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert_same(tensors_of(folder), TENSORS)

    index["weight_map"]["norm.weight"] = "model-00002-of-00002.safetensors"
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ModelFileError, match=r"model-00002-of-00002\.safetensors lacks 1 tensors .* 'norm\.weight'"):
        tensors_of(folder)

    (folder / "model-00001-of-00002.safetensors").unlink()
    with pytest.raises(ModelFileError, match=r"model-00001-of-00002\.safetensors is missing, though model\.safe"):
        open_checkpoint(folder)


def test_shards_of_pytorch_are_read_too(folder):
    (folder / "pytorch_model-00001-of-00001.bin").write_bytes((GOLDEN / "zip.bin").read_bytes())
    index = {"weight_map": {"scalar": "pytorch_model-00001-of-00001.bin"}}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    assert tensors_of(folder)["scalar"] == 5.75
    index["weight_map"]["absent"] = "pytorch_model-00001-of-00001.bin"
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    with pytest.raises(ModelFileError, match=r"lacks 1 tensors .* 'absent'"):
        tensors_of(folder)


@pytest.mark.parametrize(
    ("index", "problem"),
    [
        ('{"weight_map": {"x": "../model.safetensors"}}', "no weight file of the same folder"),
        ('{"weight_map": {"x": "/etc/passwd"}}', "no weight file of the same folder"),
        ('{"weight_map": {}}', "names no weights"),
        ("{}", "weight_map"),
        ("[1]", "expected an object"),
        ('{"weight_map"', "JSONDecodeError"),
    ],
)
def test_a_damaged_index_is_named(folder, index, problem):
    (folder / "model.safetensors.index.json").write_text(index)
    with pytest.raises(ModelFileError, match=rf"model\.safetensors\.index\.json cannot be read .*{problem}"):
        open_checkpoint(folder)


def test_safetensors_are_preferred(tmp_path):
    write_checkpoint(tmp_path, CONFIG, TENSORS, None)
    (tmp_path / "pytorch_model.bin").write_bytes(b"would not be readable")
    assert_same(tensors_of(tmp_path), TENSORS)


def test_settings_of_the_preprocessor_may_lie_in_those_of_the_processor(folder):
    save_file(TENSORS, folder / "model.safetensors")
    assert open_checkpoint(folder).preprocessor is None
    nested = {"processor_class": "Wav2Vec2Processor", "feature_extractor": PREPROCESSOR}
    (folder / "processor_config.json").write_text(json.dumps(nested))
    assert open_checkpoint(folder).preprocessor == PREPROCESSOR
    (folder / "preprocessor_config.json").write_text(json.dumps({"do_normalize": False}))
    assert open_checkpoint(folder).preprocessor == {"do_normalize": False}


def test_the_weights_identity_is_that_of_their_bytes(tmp_path):
    write_checkpoint(tmp_path / "one", CONFIG, TENSORS, None)
    write_checkpoint(tmp_path / "two", {"model_type": "hubert"}, TENSORS, PREPROCESSOR)
    one = open_checkpoint(tmp_path / "one")
    before = one.weights
    assert re.fullmatch("sha256:[0-9a-f]{16}", before)
    assert open_checkpoint(tmp_path / "two").weights == before
    changed = {**TENSORS, "norm.bias": TENSORS["norm.bias"] + 1}
    write_checkpoint(tmp_path / "one", CONFIG, changed, None)
    assert one.weights != before


@pytest.mark.parametrize(
    ("damage", "cure"),
    [
        (lambda whole: whole[: len(whole) // 2], "copy or download it again"),
        (lambda whole: b"\xff" * 16 + whole[16:], "copy or download it again"),
        (lambda whole: b"", "copy or download it again"),
        (lambda whole: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "git lfs pull"),
    ],
    ids=["truncated", "overwritten", "empty", "pointer"],
)
@pytest.mark.parametrize("form", ["model.safetensors", "zip.bin", "legacy.bin"])
def test_damaged_weights_are_named_with_the_cure(folder, damage, cure, form):
    whole = save(TENSORS) if form == "model.safetensors" else (GOLDEN / form).read_bytes()
    file = folder / ("model.safetensors" if form == "model.safetensors" else "pytorch_model.bin")
    file.write_bytes(damage(whole))
    with pytest.raises(ModelFileError, match=rf"{re.escape(str(file))} cannot be read .*incomplete: .*{cure}"):
        tensors_of(folder)


def test_a_folder_that_is_no_checkpoint_says_what_it_lacks(tmp_path):
    with pytest.raises(ModelFileError, match=r"holds no config\.json"):
        open_checkpoint(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ModelFileError, match=r"holds no weights that can be read \(looked for model\.safetensors"):
        open_checkpoint(tmp_path)
    (tmp_path / "flax_model.msgpack").touch()
    with pytest.raises(ModelFileError, match=r"only flax_model\.msgpack.*from_flax=True"):
        open_checkpoint(tmp_path)
    (tmp_path / "tf_model.h5").touch()
    with pytest.raises(ModelFileError, match=r"only tf_model\.h5.*from_tf=True"):
        open_checkpoint(tmp_path)
    save_file(TENSORS, tmp_path / "model.safetensors")
    with pytest.raises(ModelFileError, match=r"config\.json cannot be read \(JSONDecodeError"):
        open_checkpoint(tmp_path)


def test_arguments_that_name_no_checkpoint_are_refused(folder):
    with pytest.raises(ParameterError, match="name_or_path is 3; expected a folder or a Hub name"):
        open_checkpoint(3)  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="is a folder and has no revisions"):
        open_checkpoint(folder, revision="main")
    with pytest.raises(ParameterError, match="revision is 3; expected"):
        open_checkpoint("owner/model", revision=3)  # type: ignore[arg-type]
    with pytest.raises(ModelUnavailableError, match=r"is a file; expected the folder"):
        open_checkpoint(folder / "config.json")


# pytorch_model.bin


def golden_values() -> dict[str, np.ndarray]:
    """The formula of tests/golden/make_bin.py."""
    quarters = np.arange(24, dtype=np.float32) / 4
    shared = quarters.reshape(4, 6)
    dtypes = ("float32", "float16", "bfloat16", "float64", "int64", "int32", "uint8")
    return {
        **{name: np.arange(8, dtype=np.float32).reshape(2, 4) for name in dtypes},
        "parameter": quarters[:3],
        "shared": shared,
        "transposed": shared.T,
        "columns": shared[1:3, 2:5],
        "repeated": np.stack([shared[2, :3]] * 2),
        "scalar": shared[3, 5, ...],
        "empty": np.empty((0, 3), np.float32),
        "conv.parametrizations.weight.original0": np.full((1, 1, 3), 2, np.float32),
        "conv.parametrizations.weight.original1": quarters[:12].reshape(2, 2, 3),
    }


@pytest.mark.parametrize("form", ["zip", "legacy"])
def test_pytorchs_own_files_are_read_without_it(folder, form, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)  # importing it would now fail
    (folder / "pytorch_model.bin").write_bytes((GOLDEN / f"{form}.bin").read_bytes())
    assert_same(tensors_of(folder), golden_values())


@pytest.mark.parametrize("zipped", [True, False])
def test_pytorchs_files_equal_what_pytorch_reads(folder, zipped):
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    module = torch.nn.Sequential(
        torch.nn.utils.parametrizations.weight_norm(torch.nn.Conv1d(4, 6, 3), dim=2), torch.nn.LayerNorm(6)
    )
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        state = module.to(dtype).state_dict()
        torch.save(state, folder / "pytorch_model.bin", _use_new_zipfile_serialization=zipped)
        assert_same(tensors_of(folder), {name: values.float().numpy() for name, values in state.items()})


class Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return os.mkdir, (str(self.marker),)


def in_zip(pickled: bytes, **members: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("archive/data.pkl", pickled)
        for name, content in members.items():
            archive.writestr(f"archive/data/{name.removeprefix('_')}", content)
    return packed.getvalue()


def in_legacy(pickled: bytes) -> bytes:
    return (
        pickle.dumps(0x1950A86A20F9469CFC6C, 2)
        + pickle.dumps(1001, 2)
        + pickle.dumps({"little_endian": True})
        + pickled
    )


@pytest.mark.parametrize("wrap", [in_zip, in_legacy, bytes])
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_malicious_pickle_is_refused_before_it_runs(folder, tmp_path, wrap, protocol):
    marker = tmp_path / "it ran"
    pickled = pickle.dumps({"weight": Trap(marker)}, protocol)
    (folder / "pytorch_model.bin").write_bytes(wrap(pickled))
    with pytest.raises(
        ModelFileError, match=r"pytorch_model\.bin asks to load \w+\.mkdir, which is no part of a tensor"
    ):
        tensors_of(folder)
    assert not marker.exists()
    pickle.loads(pickled)
    assert marker.exists(), "the trap does not work, so the test shows nothing"


@pytest.mark.parametrize(
    ("pickled", "forbidden"),
    [
        (b"cbuiltins\neval\n(S'1'\ntR.", "builtins.eval"),
        (b"(S'1'\nibuiltins\neval\n.", "builtins.eval"),
        (b"ctorch.hub\nload\n.", "torch.hub.load"),
        (b"ctorch._utils\n_rebuild_sparse_tensor\n.", "torch._utils._rebuild_sparse_tensor"),
        (b"\x80\x04\x8c\x0bcollections\x8c\x14OrderedDict.fromkeys\x93.", "collections.OrderedDict.fromkeys"),
        (b"\x80\x04\x8c\x05torch\x8c\x15FloatStorage.__init__\x93.", "torch.FloatStorage.__init__"),
        (b"cvocalbio.errors\nos\n.", "vocalbio.errors.os"),
    ],
)
def test_any_global_but_those_of_tensors_is_named(folder, pickled, forbidden):
    (folder / "pytorch_model.bin").write_bytes(in_zip(pickled))
    with pytest.raises(ModelFileError, match=rf"asks to load {re.escape(forbidden)}, "):
        tensors_of(folder)


def tensor_pickle(
    offset: str = "I0\n",
    size: str = "(I2\nI2\nt",
    stride: str = "(I2\nI1\nt",
    key: str = "S'0'\n",
    kind: str = "storage",
) -> bytes:
    """The pickle of a 2 x 2 tensor, in letters, one part of it changed."""
    storage = f"(S'{kind}'\nctorch\nFloatStorage\n{key}S'cpu'\nI4\ntQ"
    return f"(S'x'\nctorch._utils\n_rebuild_tensor_v2\n({storage}{offset}{size}{stride}I00\nNtRd.".encode()


def test_a_tensor_in_letters_is_read(folder):
    (folder / "pytorch_model.bin").write_bytes(in_zip(tensor_pickle(), _0=struct.pack("<4f", 1, 2, 3, 4)))
    assert_same(tensors_of(folder), {"x": np.array([[1, 2], [3, 4]], np.float32)})


@pytest.mark.parametrize(
    "changed",
    [
        {"offset": "I1\n"},
        {"offset": "I-1\n"},
        {"offset": "F0.0\n"},
        {"offset": "N"},
        {"size": "(I3\nI2\nt"},
        {"size": "(I4\nt"},
        {"size": "(I-2\nI2\nt"},
        {"size": "N"},
        {"stride": "(I999999999999\nI1\nt"},
        {"stride": "(I-2\nI1\nt"},
        {"size": f"(I{2**40}\nI{2**40}\nt", "stride": "(I0\nI0\nt"},
        {"stride": "(I2\nt"},
        {"key": "S'1'\n"},
        {"key": "S'../../secret'\n"},
        {"key": "I0\n"},
        {"kind": "module"},
    ],
)
def test_a_tensor_that_leaves_its_storage_is_refused(folder, changed):
    (folder / "pytorch_model.bin").write_bytes(in_zip(tensor_pickle(**changed), _0=struct.pack("<4f", 1, 2, 3, 4)))
    with pytest.raises(ModelFileError, match=r"pytorch_model\.bin cannot be read"):
        tensors_of(folder)


def test_what_is_no_table_of_tensors_is_refused(folder):
    (folder / "pytorch_model.bin").write_bytes(in_zip(pickle.dumps({"epoch": 3})))
    with pytest.raises(ModelFileError, match="it holds a int by a str; expected tensors by name"):
        tensors_of(folder)
    (folder / "pytorch_model.bin").write_bytes(in_zip(pickle.dumps(3)))
    with pytest.raises(ModelFileError, match="cannot be read"):
        tensors_of(folder)


def test_flipped_bits_are_noticed(folder):
    content = in_zip(tensor_pickle(), _0=struct.pack("<4f", 1, 2, 3, 4))
    (folder / "pytorch_model.bin").write_bytes(content.replace(struct.pack("<f", 3), struct.pack("<f", 5)))
    with pytest.raises(ModelFileError, match="Bad CRC-32"):
        tensors_of(folder)


def test_packed_storages_are_refused(folder):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", tensor_pickle())
        archive.writestr("archive/data/0", bytes(1000))
    (folder / "pytorch_model.bin").write_bytes(packed.getvalue())
    with pytest.raises(ModelFileError, match=r"data\.pkl is packed"):
        tensors_of(folder)


# The Hub. huggingface_hub reads the environment when it is imported, so it is asked from a process of its own.

ASK = """
import json, sys
from vocalbio.encoders.checkpoint import open_checkpoint
from vocalbio.errors import VocalbioError
try:
    found = open_checkpoint(sys.argv[1], **json.loads(sys.argv[2]))
    answer = {"folder": str(found.folder), "config": found.config, "preprocessor": found.preprocessor}
    answer["tensors"] = {name: values.tolist() for name, values in found.tensors()}
except VocalbioError as error:
    answer = {"error": type(error).__name__, "text": str(error)}
print(json.dumps(answer))
"""
FILES = {
    "config.json": json.dumps(CONFIG).encode(),
    "preprocessor_config.json": json.dumps(PREPROCESSOR).encode(),
    "model.safetensors": save(TENSORS),
    "pytorch_model.bin": b"not asked for",
    "tf_model.h5": b"not asked for",
    "README.md": b"not asked for",
}


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serve() as served:
        served.models["owner/model"] = FILES
        yield served


@pytest.fixture
def ask(hub: Hub, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Open a checkpoint in a process whose Hub is `hub` and whose cache is the test's."""

    def ask(name: str = "owner/model", environment: dict[str, str] | None = None, **arguments: Any) -> dict[str, Any]:
        own = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))},
            "HF_ENDPOINT": hub.endpoint,
            "HF_HOME": str(tmp_path / "home"),
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "NO_PROXY": "127.0.0.1",
            **(environment or {}),
        }
        command = [sys.executable, "-c", ASK, name, json.dumps(arguments)]
        done = subprocess.run(command, env=own, capture_output=True, text=True, timeout=20, check=False)
        assert done.returncode == 0, done.stderr
        return {**json.loads(done.stdout), "progress": done.stderr}

    return ask


def assert_is_the_model(answer: dict[str, Any]) -> None:
    assert "text" not in answer, answer["text"]
    assert answer["config"] == CONFIG
    assert answer["tensors"] == {name: values.tolist() for name, values in TENSORS.items()}


def test_a_hub_name_is_downloaded_once_and_only_what_is_needed(hub, ask):
    answer = ask(environment={"TQDM_POSITION": "-1"})  # shows progress where there is no terminal, too
    assert_is_the_model(answer)
    assert answer["preprocessor"] == PREPROCESSOR
    assert answer["folder"].endswith(f"models--owner--model/snapshots/{COMMIT}")
    assert "100%" in answer["progress"]
    assert sorted(hub.downloads()) == ["config.json", "model.safetensors", "preprocessor_config.json"]
    hub.requests.clear()
    assert_is_the_model(ask())
    assert_is_the_model(ask(revision=COMMIT))
    assert_is_the_model(ask(local_files_only=True, environment={"HF_HUB_OFFLINE": "1"}))
    assert hub.requests == []


def test_a_model_without_safetensors_and_preprocessor_is_cached_as_well(hub, ask):
    hub.models["owner/model"] = {"config.json": b"{}", "pytorch_model.bin": (GOLDEN / "zip.bin").read_bytes()}
    first = ask()
    assert first["preprocessor"] is None
    assert first["tensors"]["scalar"] == 5.75
    hub.requests.clear()
    assert ask()["tensors"] == first["tensors"]
    assert hub.requests == []


def test_shards_come_from_the_hub_and_a_missing_one_is_named(hub, ask):
    index = {"weight_map": {name: f"model-{name}.safetensors" for name in TENSORS}}
    sharded = {f"model-{name}.safetensors": save({name: values}) for name, values in TENSORS.items()}
    sharded |= {"config.json": FILES["config.json"], "model.safetensors.index.json": json.dumps(index).encode()}
    hub.models["owner/model"] = {name: content for name, content in sharded.items() if "bias" not in name}
    answer = ask()
    assert answer["error"] == "ModelFileError"
    assert "has no model-norm.bias.safetensors" in answer["text"]
    hub.models["owner/model"] = sharded
    assert_is_the_model(ask())


def test_a_hub_out_of_reach_is_told_with_the_ways_out(hub, ask):
    for answer in (
        ask(environment={"HF_HUB_OFFLINE": "1"}),
        ask(local_files_only=True),
        ask(environment={"HF_ENDPOINT": "http://127.0.0.1:9"}),
    ):
        assert answer["error"] == "ModelUnavailableError"
        for word in ("'owner/model'", "network", "HF_HUB_OFFLINE", "local_files_only", "a folder", "HF_HUB_CACHE"):
            assert word in answer["text"]
    assert hub.requests == []


def test_only_a_preprocessor_that_nobody_looked_for_does_not_stop_an_offline_start(hub, ask, tmp_path):
    assert_is_the_model(ask())
    cached = next((tmp_path / "home").glob("**/preprocessor_config.json"))
    cached.unlink()
    for answer in (ask(environment={"HF_HUB_OFFLINE": "1"}), ask(local_files_only=True)):
        assert_is_the_model(answer)
        assert answer["preprocessor"] is None
    assert ask()["preprocessor"] == PREPROCESSOR


def test_what_the_hub_refuses_is_told_in_words(hub, ask):
    hub.models["owner/gated"] = FILES
    hub.gated.add("owner/gated")
    hub.models["owner/text"] = {"README.md": b""}
    hub.models["owner/tf"] = {"config.json": b"{}", "tf_model.h5": b""}
    for name, arguments, kind, words in (
        ("owner/absent", {}, "ModelUnavailableError", "the Hub has no such model; check the spelling"),
        ("owner/gated", {}, "ModelUnavailableError", "is gated on the Hub: accept its terms"),
        ("owner/model", {"revision": "v9"}, "ModelUnavailableError", "has no revision 'v9'"),
        ("owner/text", {}, "ModelFileError", "holds no config.json"),
        ("owner/tf", {}, "ModelFileError", "only tf_model.h5"),
    ):
        answer = ask(name, **arguments)
        assert (answer["error"], words in answer["text"]) == (kind, True), answer


@pytest.mark.parametrize(
    "name",
    [
        "./no/such",
        "../such",
        "/no/such",
        "~/no/such",
        "no/such/folder",
        "no-such",
        "~nobody-of-this-name/x",
        "",
        "a b/c",
    ],
)
def test_a_mistyped_folder_is_never_asked_of_the_hub(name):
    with pytest.raises(ModelUnavailableError, match=r"there is no folder .* so the Hub was not asked"):
        open_checkpoint(name)


def test_a_name_that_the_hub_could_not_have_is_told(hub, ask):
    answer = ask("owner/mo--del")
    assert (answer["error"], "nor can a Hub name be so" in answer["text"]) == ("ModelUnavailableError", True), answer
    assert hub.requests == []


def test_an_interrupted_download_is_resumed_at_once_or_by_the_next_try(hub, ask):
    hub.misfortunes["model.safetensors"] = ["cut"]
    answer = ask()
    if "text" in answer:  # before version 1, huggingface_hub gives up and resumes when asked again
        assert "check the network and try again" in answer["text"]
        answer = ask()
    assert_is_the_model(answer)
    assert hub.downloads().count("model.safetensors") == 2


def test_a_connection_lost_between_two_files_is_not_taken_for_a_file_that_is_not_there(monkeypatch, tmp_path):
    def lose(name: str, file: str, revision: str | None) -> str:
        if file == "config.json":
            return str(tmp_path / "config.json")
        raise LocalEntryNotFoundError("connection lost")

    monkeypatch.setattr("huggingface_hub.utils.get_session", mock.Mock())
    monkeypatch.setattr("huggingface_hub.hf_hub_download", lose)
    monkeypatch.setattr("huggingface_hub.file_exists", lambda *_, **__: False)
    with pytest.raises(ModelUnavailableError, match=r"LocalEntryNotFoundError: connection lost.*check the network"):
        open_checkpoint("nobody/model-that-is-nowhere")


def test_after_a_download_that_broke_off_the_next_one_succeeds(hub, ask):
    hub.misfortunes["model.safetensors"] = ["cut", "fail"]
    answer = ask()
    assert answer["error"] == "ModelUnavailableError"
    assert "check the network and try again" in answer["text"]
    hub.misfortunes.clear()
    assert_is_the_model(ask())


@pytest.mark.parametrize("damage", [lambda whole: whole[:-3], lambda whole: whole[:8] + b"?" * 20 + whole[28:]])
def test_damaged_weights_in_the_cache_are_told_and_come_anew_once_deleted(hub, ask, tmp_path, damage):
    hub.models["owner/model"] = {**FILES, "model.safetensors": damage(FILES["model.safetensors"])}
    answer = ask()
    cache = tmp_path / "home" / "hub" / "models--owner--model"
    assert answer["error"] == "ModelFileError"
    assert "model.safetensors cannot be read" in answer["text"]
    assert f"delete {cache} and load again" in answer["text"]
    hub.models["owner/model"] = FILES
    shutil.rmtree(cache)
    assert_is_the_model(ask())
