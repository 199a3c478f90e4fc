"""What gradient norms tell about a training, in sentences: gradients that vanish, explode, or are always clipped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from forecast.report.wording import number, percent

Float = npt.NDArray[np.float64]
Curve = Sequence[Mapping[str, Any]]

FEWEST = 4  # points: less tells nothing about the second half
# Layers of one net differ by a factor of ten or so in sound trainings. Adam evens out sizes, but not what reaches a
# layer as rounding noise: float32 keeps seven digits, and below a ten-thousandth three of them are left.
VANISHED = 1e-4
# In sound trainings the largest gradient was two to five times the usual one.
EXPLODED = 100.0
# Sound trainings of some nets are clipped in every step, at norms of two to four times the bound: Adam does not mind.
# Far beyond it in nearly every step the bound is no guard any more: it hides how large gradients are.
ALWAYS = 0.9
FAR_BEYOND = 10.0


def gradient_notes(model: str, points: Curve, bound: float | None = None) -> list[str]:
    """One sentence or two for each thing wrong with the gradients of ``model``; none where nothing is.

    ``points`` are its learning curve: ``step``, ``gradient_norm``, ``gradient_peak``, ``clipped``, ``layer_norms``;
    ``bound`` is the largest norm that clipping let through, ``None`` where nothing bounded the norm.
    """
    known = [p for p in points if p.get("gradient_norm") is not None and np.isfinite(p["gradient_norm"])]
    if len(known) < FEWEST:
        return []
    notes = [_vanishing(model, known), _exploding(model, known), _far_beyond(model, known, bound)]
    return [note for note in notes if note]


def _vanishing(model: str, points: Curve) -> str:
    """A layer that got next to nothing of what a layer after it got, at every point of the second half."""
    half = [p for p in points if 2 * p["step"] > points[-1]["step"] and p.get("layer_norms")]
    layers = list(half[-1]["layer_norms"]) if half else []
    if len(layers) < 2:
        return ""
    norms = np.array([[p["layer_norms"].get(layer, np.nan) for layer in layers] for p in half], dtype=np.float64)
    # The largest norm among the layers after each: those nearer to the loss.
    after = np.maximum.accumulate(norms[:, :0:-1], axis=1)[:, ::-1]
    gone = (norms[:, :-1] < VANISHED * after).all(axis=0)
    if not gone.any():
        return ""
    worst = int(np.flatnonzero(gone)[0])
    place = worst + 1 + int(np.median(norms[:, worst + 1 :], axis=0).argmax())
    layer, other = layers[worst], layers[place]
    share = float(np.median(norms[:, worst] / norms[:, place]))
    what = f"was {number(share)} times that of {other}" if share > 0 else f"was zero, against that of {other}"
    others = int(gone.sum()) - 1
    more = f" (and {others} more {'layer' if others == 1 else 'layers'})" if others else ""
    return (
        f"The gradients of {model} vanish on their way back: in the second half of training the norm at {layer}{more} "
        f"{what}, so that it hardly learned. Gated cells (gru, lstm), fewer layers, residual connections or a shorter "
        "input_size let them through."
    )


def _exploding(model: str, points: Curve) -> str:
    """A gradient far beyond the usual one."""
    peaks = np.array([p.get("gradient_peak") or 0.0 for p in points], dtype=np.float64)
    usual = float(np.median([p["gradient_norm"] for p in points]))
    worst = int(peaks.argmax())
    if not (usual > 0 and peaks[worst] > EXPLODED * usual):
        return ""
    clipped = float(points[worst].get("clipped") or 0.0) > 0
    guard = "It was clipped, which kept the training going" if clipped else "Nothing clipped it: set gradient_clip"
    return (
        f"The gradients of {model} exploded before step {points[worst]['step']:,.0f}: one had a norm of "
        f"{number(float(peaks[worst]))}, {peaks[worst] / usual:,.0f} times the usual {number(usual)}. {guard}. "
        "A lower learning_rate helps, or a look for extreme values in the target."
    )


def _far_beyond(model: str, points: Curve, bound: float | None) -> str:
    """Gradients many times the bound in nearly every step."""
    steps = np.diff([0.0, *(p["step"] for p in points)])
    clipped = np.array([p.get("clipped") or 0.0 for p in points], dtype=np.float64)
    share = float((clipped * steps).sum() / max(steps.sum(), 1.0))
    usual = float(np.median([p["gradient_norm"] for p in points]))
    if bound is None or not (share > ALWAYS and usual > FAR_BEYOND * bound):
        return ""
    return (
        f"The gradients of {model} were clipped in {percent(share)} of the steps, from a usual norm of {number(usual)} "
        f"to {number(bound)}: they are exploding, and gradient_clip hides it. A lower learning_rate helps, or a look "
        "for extreme values in the target."
    )
