"""What this installation has, what it lacks, and how to get it."""

from __future__ import annotations

import platform
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Any

from packaging.requirements import Requirement

from vocalbio import __version__
from vocalbio.console import quiet

__all__ = ["examine", "import_tensorflow_quietly", "to_text"]

LICENCES = {
    "opensmile": "audEERING research licence: no commercial use",
    "praat-parselmouth": "GPL-3.0-or-later",
}


EXTRAS = {
    "audformat": "read audformat databases",
    "augment": "rooms and tempo in augmentation",
    "litert": "export to LiteRT, and run it without TensorFlow",
    "onnx": "export to ONNX, and run it without TensorFlow",
    "serve": "the local web page and HTTP service",
}


def examine() -> dict[str, Any]:
    """
    Look at packages, accelerators and local weights; nothing is fetched.

    Returns
    -------
    dict
        ``vocalbio``, ``python``, ``machine``, ``packages`` (name, needed, installed, licence, cure), ``extras`` (name,
        purpose, missing, cure), ``accelerators``, ``weights`` (names of speech encoders in the local Hugging Face
        cache).
    """
    packages = []
    missing: dict[str, list[str]] = {extra: [] for extra in EXTRAS}
    for text in requires("vocalbio") or []:
        requirement = Requirement(text)
        try:
            installed: str | None = version(requirement.name)
        except PackageNotFoundError:
            installed = None
        fits = installed is not None and requirement.specifier.contains(installed, prereleases=True)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            for extra, names in missing.items():
                if not fits and requirement.marker.evaluate({"extra": extra}):
                    names.append(requirement.name)
            continue
        packages.append(
            {
                "name": requirement.name,
                "needed": str(requirement.specifier),
                "installed": installed if fits else None,
                "found": installed,
                "licence": LICENCES.get(requirement.name, ""),
                "cure": "" if fits else f"pip install '{requirement.name}{requirement.specifier}'",
            }
        )
    extras = [
        {"name": name, "purpose": purpose, "missing": missing[name], "cure": f"pip install 'vocalbio[{name}]'"}
        for name, purpose in EXTRAS.items()
    ]
    return {
        "vocalbio": __version__,
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        "packages": packages,
        "extras": extras,
        "accelerators": _accelerators(),
        "weights": _weights(),
    }


def import_tensorflow_quietly() -> None:
    """Import TensorFlow without the hardware notes that it prints before it reads its own log level."""
    with quiet(), suppress(ImportError):  # whatever needs it will say so
        import tensorflow

        tensorflow.config.list_physical_devices("GPU")


def _accelerators() -> list[str]:
    import_tensorflow_quietly()
    try:
        import tensorflow
    except ImportError:
        return []
    return [device.name for device in tensorflow.config.list_physical_devices("GPU")]


def _weights() -> list[str]:
    """Speech encoders in the local Hugging Face cache."""
    try:
        from huggingface_hub import scan_cache_dir
        from huggingface_hub.errors import CacheNotFound
    except ImportError:
        return []
    try:
        repositories = scan_cache_dir().repos
    except CacheNotFound:
        return []
    kinds = ("wav2vec2", "hubert", "whisper", "wavlm")
    return sorted(repo.repo_id for repo in repositories if any(kind in repo.repo_id.lower() for kind in kinds))


def to_text(found: dict[str, Any]) -> str:
    """What `examine` found, for people."""
    lines = [f"vocalbio {found['vocalbio']}, Python {found['python']} ({found['machine']})", "", "Packages"]
    for package in found["packages"]:
        if package["installed"]:
            state = f"{package['installed']:<12}{package['licence']}".rstrip()
        else:
            state = (
                f"{'missing' if package['found'] is None else 'too old: ' + package['found']}  ->  {package['cure']}"
            )
        lines.append(f"  {package['name']:<20}{state}")
    lines += ["", "Extras"]
    for extra in found["extras"]:
        state = "not installed  ->  " + extra["cure"] if extra["missing"] else "installed"
        lines.append(f"  {extra['name']:<12}{extra['purpose']:<52}{state}")
    lines += [
        "",
        "Accelerators",
        "  " + (", ".join(found["accelerators"]) or "none seen by TensorFlow; the CPU is used"),
    ]
    lines += ["", "Pretrained speech encoders", "  compact, in the wheel (CC BY-NC-SA 4.0: no commercial use)"]
    lines += [f"  {name}, in the local Hugging Face cache" for name in found["weights"]]
    return "\n".join(lines)
