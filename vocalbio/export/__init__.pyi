"""The names of `vocalbio.export`, each loaded when it is asked for."""

from .encoding import export_end_to_end as export_end_to_end
from .runner import EncoderRunner as EncoderRunner
from .runner import ModelRunner as ModelRunner
from .writing import write_export as write_export
