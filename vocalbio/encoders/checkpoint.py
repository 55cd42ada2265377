"""Checkpoints in Hugging Face's form: found in a folder, the local cache or on the Hub; read without PyTorch."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import re
import shutil
import struct
import tempfile
import zipfile
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from vocalbio.errors import ModelFileError, ModelUnavailableError, ParameterError, VocalbioError, required_for

__all__ = ["Checkpoint", "open_checkpoint", "write_checkpoint"]

CONFIG = "config.json"
PREPROCESSORS = ("preprocessor_config.json", "processor_config.json")
"""The second is what the processors of transformers 5 write; it holds the feature extractor's settings inside."""
WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")
"""In the order of preference."""
FOREIGN_WEIGHTS = {"tf_model.h5": "from_tf", "flax_model.msgpack": "from_flax"}
HUB_NAME = re.compile(r"\w[\w.-]*/\w[\w.-]*", re.ASCII)
WEIGHT_NORM = {
    ".weight_g": ".parametrizations.weight.original0",
    ".weight_v": ".parametrizations.weight.original1",
}
STORAGES = {
    "FloatStorage": "float32",
    "DoubleStorage": "float64",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
}
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
SHIPPED = {"compact": Path(__file__).parent / "shipped" / "compact"}
"""Checkpoints in the wheel, by name."""


@dataclass(frozen=True)
class Checkpoint:
    """
    A checkpoint on this machine; its weights are read only when asked for.

    Attributes
    ----------
    name : str
        What was asked for: a folder or a Hub name.
    folder : pathlib.Path
        Where ``config.json`` lies.
    config : dict
        ``config.json``.
    preprocessor : dict or None
        ``preprocessor_config.json`` (or the feature extractor's part of ``processor_config.json``);
        None where there is none.
    """

    name: str
    folder: Path
    config: dict[str, Any]
    preprocessor: dict[str, Any] | None

    @property
    def weights(self) -> str:
        """
        The identity of the weights wherever their folder lies.

        ``"sha256:"`` and the first 16 hexadecimal digits over the bytes of the weight files.
        """
        files = [(file, file.stat()) for file in _weight_files(self.folder)]
        return _digest(tuple((str(file), stat.st_size, stat.st_mtime_ns) for file, stat in files))

    def tensors(self) -> Iterator[tuple[str, np.ndarray]]:
        """
        Read the weights, one tensor at a time.

        Yields
        ------
        name : str
            As stored, except that both spellings of weight norm become the newer one: ``X.weight_g`` is
            ``X.parametrizations.weight.original0``, ``X.weight_v`` is ``X.parametrizations.weight.original1``.
        values : numpy.ndarray of float32
            Whatever the stored type.

        Raises
        ------
        ModelFileError
            If a weight file is damaged, incomplete, or holds anything but tensors.
        """
        for file, expected in _weight_files(self.folder).items():
            read = _read_safetensors if file.suffix == ".safetensors" else _read_bin
            for name, values in read(file, expected):
                for old, new in WEIGHT_NORM.items():
                    if name.endswith(old):
                        name = name.removesuffix(old) + new
                yield name, values


def open_checkpoint(
    name_or_path: str | os.PathLike[str], *, revision: str | None = None, local_files_only: bool = False
) -> Checkpoint:
    """
    Find a checkpoint: one in the wheel, else a folder, else the local Hugging Face cache, else the Hub.

    ``"compact"`` is the one in the wheel, wherever the program runs; a folder of that name is ``"./compact"``, or a
    path instead of text. The Hub is asked only for a name of the form ``"owner/name"``, and only if the cache does not
    hold all that is needed. Only the configuration, the preprocessor's and the weights in one form are fetched:
    safetensors where there are any, else ``pytorch_model.bin``, which is read without running anything that is in it.

    Parameters
    ----------
    name_or_path : str or path
        ``"compact"``, a folder, or a Hub name such as ``"facebook/wav2vec2-base-960h"``. What starts with ``.``, ``/``
        or ``~`` or has more than one slash is a folder.
    revision : str, optional
        Branch, tag or commit of a Hub name; None: the main branch.
    local_files_only : bool
        Never ask the Hub.

    Returns
    -------
    Checkpoint

    Raises
    ------
    ModelUnavailableError
        If there is no such folder, or the model is neither in the cache nor to be had from the Hub.
    ModelFileError
        If the folder or the model on the Hub is no checkpoint, or is incomplete.
    ParameterError
        If `name_or_path` is no text or path, or a folder comes with a revision.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from vocalbio.encoders.checkpoint import open_checkpoint, write_checkpoint
    >>> folder = tempfile.mkdtemp()
    >>> write_checkpoint(folder, {"model_type": "wav2vec2"}, {"norm.bias": np.zeros(4)}, None)
    >>> checkpoint = open_checkpoint(folder)
    >>> checkpoint.config["model_type"], [(name, values.shape) for name, values in checkpoint.tensors()]
    ('wav2vec2', [('norm.bias', (4,))])
    """
    if not isinstance(name_or_path, (str, os.PathLike)):
        raise ParameterError(f"name_or_path is {name_or_path!r}; expected a folder or a Hub name such as 'owner/name'")
    if not isinstance(revision, (str, type(None))):
        raise ParameterError(f"revision is {revision!r}; expected a branch, a tag or a commit")
    name = os.fspath(name_or_path)
    path = os.path.expanduser(name)
    shipped = SHIPPED.get(name) if isinstance(name_or_path, str) else None
    if shipped or os.path.isdir(path):
        if revision is not None:
            where = "in the wheel" if shipped else "a folder"
            raise ParameterError(f"revision is {revision!r}, but {name} is {where} and has no revisions; leave it out")
        folder = shipped or Path(path)
    elif os.path.isfile(path):
        raise ModelUnavailableError(f"{name} is a file; expected the folder that holds it and {CONFIG}")
    elif name.startswith((".", "/", "~")) or not HUB_NAME.fullmatch(name):
        raise ModelUnavailableError(
            f"there is no folder {name!r}, and it is not a Hub name, so the Hub was not asked; expected a folder that "
            f"holds {CONFIG} and weights, or a name of the form 'owner/name'"
        )
    else:
        folder = _from_hub(name, revision, local_files_only)
    if not (folder / CONFIG).is_file():
        raise ModelFileError(f"{folder} holds no {CONFIG}; expected a checkpoint as save_pretrained writes it")
    _weight_files(folder)
    return Checkpoint(name, folder, _read_json(folder / CONFIG), _preprocessor(folder))


def write_checkpoint(
    folder: str | os.PathLike[str],
    config: dict[str, Any],
    tensors: Mapping[str, np.ndarray],
    preprocessor: dict[str, Any] | None,
) -> None:
    """
    Write a checkpoint that transformers and PyTorch load: ``config.json``, ``model.safetensors`` in float32.

    The files appear under their names only when all of them are written, ``config.json`` last: what a crash leaves
    behind is never taken for a checkpoint.

    Parameters
    ----------
    folder : str or path
        Is made if need be; a checkpoint in it is replaced.
    config : dict
        For ``config.json``.
    tensors : mapping of str to numpy.ndarray
        By the names of PyTorch's parameters.
    preprocessor : dict or None
        For ``preprocessor_config.json``; None: no such file.

    Raises
    ------
    ParameterError
        If the folder cannot be written, or a configuration is no plain JSON.

    Examples
    --------
    See `open_checkpoint`.
    """
    with required_for("writing a checkpoint", "safetensors"):
        from safetensors import SafetensorError
        from safetensors.numpy import save_file
    folder = Path(folder)
    contents = {WEIGHTS[0]: None, PREPROCESSORS[0]: preprocessor, CONFIG: config}
    # in C order: safetensors writes the memory as it lies, whatever the strides
    arrays = {name: np.asarray(values, dtype=np.float32, order="C") for name, values in tensors.items()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".writing-") as made:
            for name, content in contents.items():
                if content is not None:
                    text = json.dumps(content, indent=2, sort_keys=True) + "\n"
                    Path(made, name).write_text(text, encoding="utf-8")
            save_file(arrays, Path(made, WEIGHTS[0]), metadata={"format": "pt"})
            shutil.copymode(Path(made, CONFIG), Path(made, WEIGHTS[0]))  # safetensors makes it private
            (folder / CONFIG).unlink(missing_ok=True)
            for name in contents:
                if Path(made, name).exists():
                    os.replace(Path(made, name), folder / name)
                else:
                    (folder / name).unlink(missing_ok=True)
    except (OSError, SafetensorError) as error:
        raise ParameterError(f"cannot write a checkpoint to {folder}: {error}; choose another") from error
    except (TypeError, ValueError) as error:
        raise ParameterError(f"a configuration is not plain JSON: {error}") from error


# On this machine


def _read_json(file: Path) -> dict[str, Any]:
    with _readable(file):
        content = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise ValueError(f"it holds a {type(content).__name__}; expected an object")
        return content


def _preprocessor(folder: Path) -> dict[str, Any] | None:
    plain, nested = (folder / file for file in PREPROCESSORS)
    if plain.is_file():
        return _read_json(plain)
    return _read_json(nested).get("feature_extractor") if nested.is_file() else None


def _weight_files(folder: Path) -> dict[Path, set[str] | None]:
    """Each weight file with the tensors that an index promises in it; None: no index."""
    name = next((name for name in WEIGHTS if (folder / name).is_file()), None)
    if name is None:
        foreign = next((name for name in FOREIGN_WEIGHTS if (folder / name).is_file()), None)
        raise _no_weights(str(folder), foreign)
    if not name.endswith(".json"):
        return {folder / name: None}
    files: dict[Path, set[str] | None] = {}
    for shard, tensors in _shards(folder / name).items():
        if not (folder / shard).is_file():
            raise ModelFileError(f"{folder / shard} is missing, though {name} names it; {_cure(folder / name)}")
        files[folder / shard] = tensors
    return files


def _shards(index: Path) -> dict[str, set[str]]:
    shards: dict[str, set[str]] = {}
    with _readable(index):
        for tensor, shard in sorted(_read_json(index)["weight_map"].items(), key=lambda entry: entry[::-1]):
            if Path(shard).name != shard or not shard.endswith((".safetensors", ".bin")):
                raise ValueError(f"{shard!r} is no weight file of the same folder")
            shards.setdefault(shard, set()).add(tensor)
        if not shards:
            raise ValueError("it names no weights")
    return shards


def _no_weights(where: str, foreign: str | None) -> ModelFileError:
    text = f"{where} holds no weights that can be read (looked for {', '.join(WEIGHTS)})"
    if foreign is not None:
        text += (
            f", only {foreign}, the weights of another framework. Convert them once, with transformers 4 and PyTorch: "
            f"AutoModel.from_pretrained(..., {FOREIGN_WEIGHTS[foreign]}=True).save_pretrained(folder)"
        )
    return ModelFileError(text)


@lru_cache(maxsize=64)
def _digest(files: tuple[tuple[str, int, int], ...]) -> str:
    # size and time of change are only there to make the cache notice a changed file
    digest = hashlib.sha256()
    for file, _, _ in files:
        with _readable(Path(file)), open(file, "rb") as stream:
            while chunk := stream.read(1 << 22):
                digest.update(chunk)
    return f"sha256:{digest.hexdigest()[:16]}"


@contextmanager
def _readable(file: Path) -> Iterator[None]:
    """Turn whatever a reader raises at a damaged file into the words that name the file."""
    try:
        yield
    except VocalbioError:
        raise
    except Exception as error:  # a reader raises whatever the damaged bytes lead to
        raise ModelFileError(
            f"{file} cannot be read ({type(error).__name__}: {error}); it is damaged or incomplete: {_cure(file)}"
        ) from error


def _cure(file: Path) -> str:
    if file.parent.parent.name == "snapshots":  # the cache's; its blob has to go too, so name the whole
        return f"delete {file.parents[2]} and load again: it will be downloaded anew"
    if file.is_file() and os.access(file, os.R_OK):
        with open(file, "rb") as stream:
            if stream.read(30).startswith(b"version https://git-lfs"):
                return "it is only a pointer of Git LFS; fetch the file itself with: git lfs pull"
    return "copy or download it again"


# From the Hub


def _from_hub(name: str, revision: str | None, local_files_only: bool) -> Path:
    with required_for(f"finding {name!r} in the Hugging Face cache", "huggingface_hub"):
        from huggingface_hub import try_to_load_from_cache
        from huggingface_hub.errors import HFValidationError

    def cached(file: str) -> Any:
        """The path, or an object if it is known not to exist, or None if nothing is known."""
        return try_to_load_from_cache(name, file, revision=revision)

    try:
        config = cached(CONFIG)
    except HFValidationError as error:
        raise ModelUnavailableError(f"there is no folder {name!r}, nor can a Hub name be so: {error}") from error
    usable = isinstance(config, str) and _has_weights(Path(config).parent)
    preprocessors = [cached(file) for file in PREPROCESSORS]
    if usable and (local_files_only or isinstance(preprocessors[0], str) or None not in preprocessors):
        return Path(config).parent
    try:
        if local_files_only:
            raise ConnectionError("local_files_only=True forbids to ask")
        return _download(name, revision)
    except VocalbioError:
        raise
    except Exception as error:  # requests' or httpx' own, as the version of huggingface_hub has it
        if usable:  # only whether there are settings of a preprocessor remains unknown
            return Path(config).parent
        raise _unavailable(name, revision, error) from error


def _has_weights(folder: Path) -> bool:
    try:
        return bool(_weight_files(folder))
    except ModelFileError:
        return False


def _download(name: str, revision: str | None) -> Path:
    """Fetch what is needed, and not yet in the cache, of one commit; return its folder."""
    from huggingface_hub import constants, file_exists, hf_hub_download, hf_hub_url
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError
    from huggingface_hub.utils import get_session

    # Knock once: hf_hub_download alone tries for up to minutes to reach a Hub that is out of reach.
    get_session().head(hf_hub_url(name, CONFIG, revision=revision), timeout=constants.HF_HUB_ETAG_TIMEOUT)
    folder = Path(hf_hub_download(name, CONFIG, revision=revision)).parent
    commit = folder.name

    def fetched(file: str) -> bool:
        try:
            hf_hub_download(name, file, revision=commit)
        except LocalEntryNotFoundError:  # an EntryNotFoundError by kind, but it means: lost connection
            raise
        except EntryNotFoundError:
            return False
        return True

    any(fetched(file) for file in PREPROCESSORS)  # the first that there is
    weights = next((file for file in WEIGHTS if fetched(file)), None)
    if weights is None:
        foreign = next((file for file in FOREIGN_WEIGHTS if file_exists(name, file, revision=commit)), None)
        raise _no_weights(f"{name!r} on the Hub", foreign)
    if weights.endswith(".json"):
        for shard in _shards(folder / weights):
            if not fetched(shard):
                raise ModelFileError(
                    f"{name!r} on the Hub has no {shard}, though its {weights} names it: ask its owner"
                )
    return folder


def _unavailable(name: str, revision: str | None, error: Exception) -> VocalbioError:
    """What the Hub answered, or that it did not, in words."""
    from huggingface_hub import constants, errors

    if isinstance(error, errors.GatedRepoError):
        return ModelUnavailableError(
            f"{name!r} is gated on the Hub: accept its terms on its page there, then `hf auth login` or set HF_TOKEN"
        )
    if isinstance(error, errors.RepositoryNotFoundError):
        return ModelUnavailableError(
            f"{name!r} is no folder here, and the Hub has no such model; check the spelling, or, if it is private, "
            "`hf auth login` or set HF_TOKEN"
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return ModelUnavailableError(
            f"{name!r} has no revision {revision!r} on the Hub; expected a branch, a tag or a commit of it"
        )
    if isinstance(error, errors.EntryNotFoundError) and not isinstance(error, errors.LocalEntryNotFoundError):
        return ModelFileError(f"{name!r} on the Hub holds no {CONFIG}: it is no checkpoint of transformers")
    return ModelUnavailableError(
        f"{name!r} is no folder here, is not complete in the Hugging Face cache ({constants.HF_HUB_CACHE}), and did "
        f"not come from the Hub ({type(error).__name__}: {' '.join(str(error).split())}). Ways out: check the network "
        "and try again; unset HF_HUB_OFFLINE and leave local_files_only out, if set; give a folder that holds "
        f"{CONFIG} and the weights; or bring the cache's folder models--{name.replace('/', '--')} from a machine that "
        "has it (HF_HOME and HF_HUB_CACHE say where the cache is)"
    )


# Weight files


def _read_safetensors(file: Path, expected: set[str] | None) -> Iterator[tuple[str, np.ndarray]]:
    with required_for("reading a checkpoint", "safetensors"):
        from safetensors import safe_open
    with required_for("reading a checkpoint", "ml_dtypes"):
        import ml_dtypes  # noqa: F401 - NumPy knows bfloat16 once it is imported
    with _readable(file), safe_open(file, framework="numpy") as opened:
        names = sorted(opened.keys())
        _check_promised(file, names, expected)
        for name in names:
            yield name, opened.get_tensor(name).astype(np.float32)


def _check_promised(file: Path, found: Iterable[str], expected: set[str] | None) -> None:
    if missing := (expected or set()).difference(found):
        raise ModelFileError(
            f"{file} lacks {len(missing)} tensors that the index names in it, such as {min(missing)!r}; {_cure(file)}"
        )


class _Storage(NamedTuple):
    key: str
    dtype: str


class _Tensor(NamedTuple):
    storage: _Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


class _TensorUnpickler(pickle.Unpickler):
    """
    Reads the descriptions of tensors out of a pickle of PyTorch's, and nothing else.

    A pickle runs what `find_class` hands it. This one hands out dictionaries, tuples, names of number types and the
    two methods below; any other global is refused before it is looked for.
    """

    def __init__(self, stream: Any, file: Path) -> None:
        super().__init__(stream)
        self.file = file
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        if module == "torch" and name in STORAGES:
            return STORAGES[name]
        admitted = {
            "collections.OrderedDict": OrderedDict,
            "torch.Size": tuple,
            "torch._utils._rebuild_tensor_v2": self._tensor,
            "torch._utils._rebuild_parameter": self._parameter,
        }
        if (dotted := f"{module}.{name}") not in admitted:
            raise ModelFileError(
                f"{self.file} asks to load {dotted}, which is no part of a tensor; it may run code of its own and was "
                "not loaded. Use a checkpoint in safetensors, or one whose source you trust, saved anew with "
                "save_pretrained in a current transformers"
            )
        return admitted[dotted]

    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, key, _place, _length, *view = pid
        if kind != "storage" or dtype not in STORAGES.values() or not isinstance(key, str) or view not in ([], [None]):
            raise ValueError("it names a storage of an unknown kind")
        self.storages[key] = _Storage(key, dtype)
        return self.storages[key]

    def _tensor(self, storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> _Tensor:
        return _Tensor(storage, offset, size, stride)  # checked when it is read

    def _parameter(self, data: Any, *_: Any) -> Any:
        return data


class _ZipFile:
    """What torch.save writes since PyTorch 1.6: a pickle and the storages as members of a zip."""

    def __init__(self, stream: BinaryIO, file: Path) -> None:
        self.archive = zipfile.ZipFile(stream)
        pickles = [member for member in self.archive.namelist() if member.rpartition("/")[2] == "data.pkl"]
        if len(pickles) != 1:
            raise ValueError("no file of torch.save")
        self.root = pickles[0].removesuffix("data.pkl")
        if self.root + "byteorder" in self.archive.namelist() and self._member("byteorder") != b"little":
            raise ValueError("written on a big-endian machine")
        self.state = _TensorUnpickler(io.BytesIO(self._member("data.pkl")), file).load()

    def _member(self, name: str) -> bytes:
        info = self.archive.getinfo(self.root + name)
        if info.compress_type != zipfile.ZIP_STORED:  # torch never packs; a bomb would
            raise ValueError(f"{name} is packed")
        return self.archive.read(info)

    def read(self, storage: _Storage) -> np.ndarray:
        return np.frombuffer(self._member(f"data/{storage.key}"), dtype=storage.dtype)


class _LegacyFile:
    """What torch.save wrote before: five pickles in a row, then each storage as its length and its values."""

    def __init__(self, stream: BinaryIO, file: Path) -> None:
        self.stream = stream
        if _TensorUnpickler(stream, file).load() != LEGACY_MAGIC:
            raise ValueError("no file of torch.save")
        _TensorUnpickler(stream, file).load()  # version of the format
        if not _TensorUnpickler(stream, file).load()["little_endian"]:
            raise ValueError("written on a big-endian machine")
        unpickler = _TensorUnpickler(stream, file)
        self.state = unpickler.load()
        self.places: dict[str, tuple[int, int]] = {}
        for key in _TensorUnpickler(stream, file).load():
            (length,) = struct.unpack("<q", stream.read(8))
            n_bytes = length * np.dtype(unpickler.storages[key].dtype).itemsize
            self.places[key] = (stream.tell(), n_bytes)
            stream.seek(n_bytes, os.SEEK_CUR)

    def read(self, storage: _Storage) -> np.ndarray:
        start, n_bytes = self.places[storage.key]
        self.stream.seek(start)
        content = self.stream.read(n_bytes)
        if len(content) != n_bytes:
            raise EOFError("the file ends too early")
        return np.frombuffer(content, dtype=storage.dtype)


def _read_bin(file: Path, expected: set[str] | None) -> Iterator[tuple[str, np.ndarray]]:
    with required_for("reading a checkpoint", "ml_dtypes"):
        import ml_dtypes  # noqa: F401 - NumPy knows bfloat16 once it is imported
    with _readable(file), open(file, "rb") as stream:
        zipped = stream.read(2) == b"PK"
        stream.seek(0)
        opened = _ZipFile(stream, file) if zipped else _LegacyFile(stream, file)
        state = dict(opened.state)
        for name, tensor in state.items():
            if not isinstance(name, str) or not isinstance(tensor, _Tensor):
                raise ValueError(
                    f"it holds a {type(tensor).__name__} by a {type(name).__name__}; expected tensors by name"
                )
        _check_promised(file, state, expected)
        storage, content = None, np.empty(0)  # the last one, for the tensors that share it
        for name, tensor in state.items():
            if tensor.storage != storage:
                storage, content = tensor.storage, opened.read(tensor.storage)
            yield name, _strided(content, tensor).astype(np.float32, order="C")


def _strided(content: np.ndarray, tensor: _Tensor) -> np.ndarray:
    """The tensor as a view of its storage; a view that would leave the storage is refused."""
    _, offset, size, stride = tensor
    numbers = (offset, *size, *stride)
    if len(size) != len(stride) or not all(type(number) is int and number >= 0 for number in numbers):
        raise ValueError("a tensor has no shape that can be")
    if 0 in size:
        return np.empty(size, dtype=np.float32)
    if offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True)) >= len(content):
        raise ValueError(f"a tensor of size {size} and stride {stride} begins at {offset} of {len(content)} values")
    return np.lib.stride_tricks.as_strided(
        content[offset:], size, [step * content.itemsize for step in stride], writeable=False
    )
