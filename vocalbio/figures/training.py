"""How a training went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from vocalbio.errors import ParameterError
from vocalbio.figures.style import BLUE, PALE, VERMILION, new_figure, numbers, same_length, settled, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["plot_training"]


@styled()
def plot_training(history: Mapping[str, Sequence[float]], *, title: str = "", x_label: str = "Epoch") -> Figure:
    """
    How loss and metrics went, epoch by epoch, in training and validation.

    Parameters
    ----------
    history : mapping of str to sequence of float
        As in Keras's ``History.history``: ``"loss"``, ``"val_loss"`` and so on, one value an epoch. NaN, as
        of a loss that diverged, leaves a gap.
    title, x_label : str

    Returns
    -------
    matplotlib.figure.Figure
        A panel a quantity; a line marks the epoch of the lowest validation loss.

    Raises
    ------
    ParameterError
        If `history` is empty or its entries differ in length.

    Examples
    --------
    >>> from vocalbio.figures import plot_training
    >>> figure = plot_training({"loss": [0.9, 0.6, 0.4], "val_loss": [0.9, 0.7, 0.8]})
    """
    from matplotlib.ticker import MaxNLocator

    if not isinstance(history, Mapping) or not history:
        raise ParameterError("history is empty or no mapping; expected such as {'loss': [...], 'val_loss': [...]}")
    curves = {name: numbers(f"history[{name!r}]", curve, missing=True) for name, curve in history.items()}
    same_length(**curves)
    quantities = list(dict.fromkeys(name.removeprefix("val_") for name in curves))
    epochs = np.arange(1, len(next(iter(curves.values()))) + 1)
    validation = curves.get("val_loss", np.array([np.nan]))
    best = int(epochs[np.nanargmin(validation)]) if np.isfinite(validation).any() else None
    note = "" if best is None else f"dotted: lowest validation loss, epoch {best}"
    figure = new_figure(0.9 + 2.0 * len(quantities), title, note, VERMILION)
    panels = figure.subplots(len(quantities), 1, sharex=True, squeeze=False)[:, 0]
    for axes, quantity in zip(panels, quantities, strict=True):
        for name, color, word in [(quantity, PALE, "training"), (f"val_{quantity}", BLUE, "validation")]:
            if name in curves:
                axes.plot(epochs, curves[name], color=color, label=word, marker="o" if len(epochs) < 3 else "")
        if best is not None:
            axes.axvline(best, color=VERMILION, linewidth=1.6, linestyle=(0, (1, 1.5)), zorder=1)
        axes.set_ylabel(quantity.replace("_", " ").capitalize())
    lines = {line.get_label(): line for axes in panels for line in axes.lines}
    words = [word for word in ("training", "validation") if word in lines]
    figure.legend([lines[word] for word in words], words, loc="outside lower center", ncols=2)
    panels[-1].set(xlabel=x_label, xlim=(0.5, len(epochs) + 0.5))
    panels[-1].xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    figure.align_ylabels()
    return settled(figure)
