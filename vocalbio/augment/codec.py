"""Codec: what is left of a recording once it was sent or stored with loss; encoded and decoded in memory."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from vocalbio.audio import Recording
from vocalbio.augment.transforms import with_samples
from vocalbio.errors import MissingPackageError, ParameterError, required_for

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["CODECS", "Codec", "through_codec"]


class Kind(NamedTuple):
    """An encoder of FFmpeg, the rate that it is fed with, bits a second if not told otherwise, band in Hz."""

    encoder: str
    rate_hz: int
    bit_rate: int | None
    band_hz: tuple[float, float] | None


CODECS = {
    "mp3": Kind("libmp3lame", 16_000, 32_000, None),
    "opus": Kind("libopus", 16_000, 16_000, None),
    "aac": Kind("aac", 16_000, 32_000, None),
    "telephone": Kind("pcm_mulaw", 8_000, None, (300.0, 3400.0)),  # ITU-T G.711, G.712
    "mobile": Kind("libopencore_amrnb", 8_000, 12_200, (80.0, 3700.0)),  # 3GPP AMR, as in GSM and UMTS calls
}


@dataclass(frozen=True)
class Codec:
    """
    Send it through one of several codecs, chosen by chance.

    Parameters
    ----------
    names : sequence of str
        ``"mp3"`` (32 kbit/s), ``"opus"`` (16), ``"aac"`` (32), each of 16 kHz; ``"telephone"``: 300-3400 Hz and G.711
        at 8 kHz, a landline; ``"mobile"``: AMR narrowband, 12.2 kbit/s.

    Raises
    ------
    ParameterError
        If there is no such codec.

    Examples
    --------
    >>> import numpy as np
    >>> from vocalbio import Recording
    >>> from vocalbio.augment import Augmentation, Codec
    >>> tone = Recording(0.1 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000), 16_000)
    >>> Augmentation([Codec(["telephone"])])(tone)
    Recording(1.00 s at 16000 Hz)
    """

    names: tuple[str, ...] = tuple(CODECS)

    def __post_init__(self) -> None:
        if isinstance(self.names, str) or not self.names or not set(self.names) <= set(CODECS):
            raise ParameterError(f"names is {self.names!r}; expected a list of some of {', '.join(CODECS)}")

    def __call__(self, recording: Recording, rng: np.random.Generator) -> Recording:
        """Draw one and go through it."""
        return through_codec(recording, self.names[int(rng.integers(len(self.names)))])


def through_codec(recording: Recording, name: str, *, bit_rate: int | None = None) -> Recording:
    """
    Encode and decode a recording in memory; length and rate stay, the codec's delay is taken out.

    Parameters
    ----------
    recording : Recording
    name : str
        As in `Codec`.
    bit_rate : int, optional
        Bits a second, where the codec leaves a choice.

    Returns
    -------
    Recording

    Raises
    ------
    AudioError
        If the recording is empty or not finite.
    MissingPackageError
        If this build of PyAV cannot encode it.
    ParameterError
        If there is no such codec, or it knows no such bit rate.

    Examples
    --------
    >>> import numpy as np
    >>> from vocalbio import Recording
    >>> from vocalbio.augment import through_codec
    >>> tone = Recording(0.1 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000), 16_000)
    >>> sent = through_codec(tone, "mp3", bit_rate=32_000)
    >>> bool(np.corrcoef(sent.samples, tone.samples)[0, 1] > 0.99)
    True
    """
    if name not in CODECS:
        raise ParameterError(f"codec {name!r} is unknown; expected one of {', '.join(CODECS)}")
    kind = CODECS[name]
    if kind.bit_rate is None and bit_rate is not None:
        raise ParameterError(f"bit_rate is {bit_rate!r}, but codec {name!r} has one only; leave it out")
    if bit_rate is not None and (not isinstance(bit_rate, int) or bit_rate < 1):
        raise ParameterError(f"bit_rate is {bit_rate!r}; expected bits a second, such as 32_000")
    bit_rate = kind.bit_rate if bit_rate is None else bit_rate
    samples = recording.resample(kind.rate_hz).samples
    if kind.band_hz is not None:
        # 24 dB an octave, as the sending side of ITU-T P.48: a telephone is deaf to low voices, not cut off from them
        from scipy.signal import butter, sosfiltfilt

        samples = sosfiltfilt(butter(2, kind.band_hz, "bandpass", fs=kind.rate_hz, output="sos"), samples, padlen=0)
    delay = _delay(kind.encoder, kind.rate_hz, bit_rate)
    decoded = _round_trip(samples, kind.encoder, kind.rate_hz, bit_rate)[delay:][: len(samples)]
    back = Recording(np.clip(decoded, -1, 1), kind.rate_hz).resample(recording.sampling_rate_hz)
    return with_samples(recording, back.samples, len(recording.samples))


@lru_cache
def _delay(encoder: str, rate_hz: int, bit_rate: int | None) -> int:
    """Samples by which a codec comes late, found with a burst of noise: containers would tell, bare packets do not."""
    from scipy.signal import correlate

    burst = np.zeros(rate_hz)
    soft = np.convolve(np.random.default_rng(0).standard_normal(rate_hz // 4), np.ones(8) / 8, "same")
    burst[rate_hz // 4 : rate_hz // 4 + len(soft)] = 0.2 * soft
    found = correlate(_round_trip(burst, encoder, rate_hz, bit_rate), burst)
    return max(0, int(np.argmax(found)) - (len(burst) - 1))


def _round_trip(samples: NDArray[Any], encoder: str, rate_hz: int, bit_rate: int | None) -> NDArray[np.float32]:
    """Encode to packets and decode them; what comes back has the codec's delay, and is longer."""
    with required_for("sending through codecs", "av"):
        import av
    try:
        out: Any = av.CodecContext.create(encoder, "w")
    except av.codec.codec.UnknownCodecError as error:
        raise MissingPackageError(
            f"this build of PyAV has no encoder {encoder}; the wheels on PyPI have it: pip install --force-reinstall av"
        ) from error
    formats = [entry.name for entry in out.codec.audio_formats or ()]
    out.format = next(name for name in ("fltp", "flt", "s16") if name in formats)
    out.layout, out.sample_rate, out.time_base = "mono", rate_hz, Fraction(1, rate_hz)
    if bit_rate is not None:
        out.bit_rate = bit_rate
    try:
        out.open()
    except av.error.FFmpegError as error:
        raise ParameterError(f"encoder {encoder} cannot be opened with bit_rate={bit_rate!r} ({error})") from error
    size = out.frame_size or 1024
    n_samples = len(samples) + rate_hz // 4  # the delay comes out behind the end
    padded = np.pad(samples, (0, n_samples + -n_samples % size - len(samples)))
    if out.format.name == "s16":
        padded = np.clip(np.round(padded * 32_768), -32_768, 32_767).astype(np.int16)
    packets: list[Any] = []
    for start in range(0, len(padded), size):
        block = np.ascontiguousarray(padded[None, start : start + size])
        if out.format.name != "s16":
            block = block.astype(np.float32)
        frame = av.AudioFrame.from_ndarray(block, format=out.format.name, layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = rate_hz, start, out.time_base
        packets += out.encode(frame)
    packets += out.encode(None)
    back: Any = av.CodecContext.create(out.codec.canonical_name, "r")
    back.layout, back.sample_rate = "mono", rate_hz
    if out.extradata:
        back.extradata = out.extradata
    found, decoded_hz = [], rate_hz
    for packet in [*packets, None]:
        for frame in back.decode(packet):
            values = frame.to_ndarray().ravel()
            found.append(values / np.float32(32_768) if values.dtype == np.int16 else values)
            decoded_hz = frame.sample_rate
    # Opus always comes back at 48 kHz
    return Recording(np.concatenate(found), decoded_hz).resample(rate_hz).samples
