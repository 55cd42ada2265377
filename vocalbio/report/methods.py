"""Methods in words: a paragraph from the settings, with the papers behind it."""

from __future__ import annotations

from typing import Any

import pandas as pd

from vocalbio.report.page import Section
from vocalbio.report.references import cite, paste

__all__ = ["Methods", "describe_features", "describe_model", "methods_section"]

Methods = tuple[str, list[str]]
"""A paragraph and the short names of the references that it cites."""

SIZES = {
    ("dense", "published"): "512, 256 and 64 units with batch normalisation and dropout",
    ("dense", "small"): "one hidden layer of 64 units with dropout and an L2 penalty",
    ("bilstm", "published"): f"three bidirectional LSTM layers of 128 units with dropout, after {cite('bilstm')[1:-1]}",
    ("bilstm", "small"): "one bidirectional LSTM layer of 16 units, averaged over segments",
}


def describe_features(extractor: dict[str, Any] | None, n_columns: int | None = None) -> Methods:
    """
    What was measured, and of which stretches of sound.

    Parameters
    ----------
    extractor : dict or None
        As `vocalbio.FeatureExtractor.to_dict` gives it.
    n_columns : int, optional
        Columns that the model takes.

    Returns
    -------
    str, list of str
        A paragraph, and references by name.

    Examples
    --------
    >>> from vocalbio.report.methods import describe_features
    >>> describe_features(None)[0]
    'How the features were measured is not known: the table does not tell.'
    """
    if extractor is None:
        return "How the features were measured is not known: the table does not tell.", []
    parts, names = [], []
    for family in extractor["families"]:
        part, cited = _family(family)
        parts.append(f"{part} {cite(*cited)}" if cited else part)
        names += cited
    window_s, hop_s = extractor.get("window_s"), extractor.get("hop_s")
    stretch = (
        "recordings as a whole"
        if window_s is None
        else f"windows of {window_s:g} s, one every {window_s if hop_s is None else hop_s:g} s"
    )
    count = "" if n_columns is None else f" {n_columns} columns were used."
    return f"Features were extracted from {stretch}, resampled to 16 kHz: {'; '.join(parts)}.{count}", names


def _family(family: dict[str, Any]) -> Methods:
    name, kind = str(family.get("family", "")), str(family.get("feature_set", ""))
    if name == "prosody":
        cited = ["egemaps"] if "GeMAPS" in kind else ["compare"] if "ComParE" in kind else []
        return f"the {kind} functionals of openSMILE", [*cited, "opensmile"]
    if name == "voice":
        return (
            "voice markers of Praat (pitch in two passes, jitter, shimmer, harmonics-to-noise ratio, formants, pauses, "
            "speech rate)",
            ["pitch", "jitter", "syllables"],
        )
    if name == "spectral":
        return "mel-frequency cepstral coefficients and log-mel levels (librosa)", ["mfcc"]
    encoder = str(family.get("encoder", ""))
    if encoder == "compact":
        return (
            f"hidden states of vocalbio's compact wav2vec 2.0 ({_layers(family.get('layer'))}), distilled without "
            "emotion labels from Whisper base on RAVDESS, nEMO, and synthetic voices and sounds",
            ["wav2vec2", "whisper"],
        )
    if encoder:
        short = encoder.rstrip("/").rsplit("/", 1)[-1]  # a folder's whole name may tell whose it is
        cited = [known for known in ("wav2vec2", "hubert", "whisper") if known in encoder.lower()]
        return f"hidden states of {short}, {_layers(family.get('layer'))}", cited
    return f"the family {name or 'of an unknown name'}", []


def _layers(layer: Any) -> str:
    if layer in ("last", "all", "mean"):
        return {"last": "last layer", "all": "all layers", "mean": "mean of all layers"}[layer]
    return f"layers {', '.join(map(str, layer))}" if isinstance(layer, (list, tuple)) else f"layer {layer}"


def describe_model(model: Any) -> Methods:
    """
    What was trained, how, and what its answers mean.

    Parameters
    ----------
    model : RiskModel, SeverityModel or another estimator
        Fitted or not.

    Returns
    -------
    str, list of str
        A paragraph, and references by name.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from vocalbio.report.methods import describe_model
    >>> describe_model(LogisticRegression(C=0.1))[0]
    'The model is LogisticRegression(C=0.1).'
    """
    if not hasattr(model, "condition") or not hasattr(model, "network"):
        return f"The model is {' '.join(repr(model).split())}.", []
    names = []
    network, preset = str(model.network), str(model.preset)
    size = SIZES.get((network, preset), f"preset {preset!r}")
    words = [
        "Gaps were filled with training medians and flagged, columns standardised and clipped to five standard "
        "deviations, and families weighed alike; all of it was learnt from training rows.",
        f"The {type(model).__name__} of {model.condition} has a Keras network ({network}: {size}), trained with Adam"
        + ("" if model.epochs is None else f" for {model.epochs} epochs at most")
        + (
            f", ended early after {model.patience} epochs without progress on speakers set aside"
            if model.patience
            else ""
        )
        + (f"; the mean of {model.n_networks} networks from different seeds" if model.n_networks > 1 else "")
        + ".",
    ]
    if (network, preset) == ("bilstm", "published"):
        names.append("bilstm")
    weight = getattr(model, "class_weight", None)
    if weight is not None:
        words.append("Classes were weighed alike." if weight == "balanced" else f"Class weights: {weight}.")
    if hasattr(model, "calibration"):
        if model.interval_folds == 0 or model.calibration is None:
            words.append("Probabilities are the network's own: they were not calibrated.")
        else:
            kind = {"temperature": "a scale and a bias of each class", "isotonic": "isotonic regression"}
            words.append(
                f"Probabilities were calibrated by {kind[model.calibration]} on speakers that the network had not "
                f"heard ({model.interval_folds} folds of the training speakers)"
                + (f" {cite('temperature', 'platt')}." if model.calibration == "temperature" else ".")
            )
            names += ["temperature", "platt"] if model.calibration == "temperature" else []
        if model.interval_folds:
            words.append(f"Intervals of single answers are Venn-Abers bounds from the same folds {cite('venn')}.")
            names.append("venn")
    elif model.interval_folds:
        words.append(
            f"Intervals of single answers are conformal, each training speaker counting once {cite('conformal')}, "
            f"for a coverage of {model.interval_level:.0%}."
        )
        names.append("conformal")
    return " ".join(words), names


def methods_section(*parts: Methods) -> Section:
    """
    Put paragraphs and the references they cite into a section.

    Parameters
    ----------
    parts : (str, list of str)

    Returns
    -------
    Section
    """
    names = [name for _, cited in parts for name in cited]
    return Section(
        "Methods",
        tuple(text for text, _ in parts),
        preformatted=paste(names),
        note="Written from the settings; check it before you paste it. What was done to the recordings before they "
        "came here is not in it.",
    )


def versions_of(model: Any, table: Any = None) -> str:
    """Names and versions of what made a model and a table, as far as they tell."""
    from vocalbio import __version__
    from vocalbio.extract import read_settings

    found = {"vocalbio": __version__, **getattr(model, "manifest_", {}).get("versions", {})}
    if isinstance(table, pd.DataFrame):
        found |= (read_settings(table) or {}).get("tools", {})
    return ", ".join(f"{name} {version}" for name, version in found.items())
