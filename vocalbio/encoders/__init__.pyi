"""The names of `vocalbio.encoders`, each loaded when it is asked for."""

from .checkpoint import Checkpoint as Checkpoint
from .checkpoint import open_checkpoint as open_checkpoint
from .encoder import EncoderOutput as EncoderOutput
from .encoder import SpeechEncoder as SpeechEncoder
from .pretrained import load_encoder as load_encoder
from .wav2vec2 import TFHubertModel as TFHubertModel
from .wav2vec2 import TFWav2Vec2EmotionModel as TFWav2Vec2EmotionModel
from .wav2vec2 import TFWav2Vec2Model as TFWav2Vec2Model
from .wavlm import TFWavLMModel as TFWavLMModel
from .whisper import LogMel as LogMel
from .whisper import TFWhisperEncoder as TFWhisperEncoder
