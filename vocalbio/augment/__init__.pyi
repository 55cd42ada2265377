"""The public names; type checkers and completion read this file, Python loads each name when it is asked for."""

from .augmented import Copies as Copies
from .augmented import copies as copies
from .codec import Codec as Codec
from .codec import through_codec as through_codec
from .recipe import Augmentation as Augmentation
from .recipe import mask_frames as mask_frames
from .transforms import Bandwidth as Bandwidth
from .transforms import Gain as Gain
from .transforms import Noise as Noise
from .transforms import PitchShift as PitchShift
from .transforms import Room as Room
from .transforms import TimeStretch as TimeStretch
