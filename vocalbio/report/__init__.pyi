"""The public names; type checkers and completion read this file, Python loads each name when it is asked for."""

from .answer import answer_page as answer_page
from .card import model_card as model_card
from .evaluation import evaluation_page as evaluation_page
from .night import night_page as night_page
from .page import Section as Section
from .page import render_page as render_page
from .track import track_page as track_page
from .writing import write_report as write_report
