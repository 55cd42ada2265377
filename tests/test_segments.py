from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from vocalbio.audio import Recording, load_audio, window_audio
from vocalbio.errors import AudioError, MissingPackageError, ParameterError, VocalbioWarning
from vocalbio.segments import (
    merge_turns,
    read_elan,
    read_rttm,
    read_textgrid,
    read_transcript,
    sounding_intervals,
    speech_intervals,
    speech_only,
    turns_to_index,
    windows,
)

RATE = 16_000
BURSTS = np.array([(0.5, 1.3), (2.0, 2.6), (3.2, 4.9)])  # of the made-up speech, in seconds

TEXTGRID = '''File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 3.5
tiers? <exists>
size = 3
item []:
    item [1]:
        class = "IntervalTier"
        name = "speaker"
        xmin = 0
        xmax = 3.5
        intervals: size = 3
        intervals [1]:
            xmin = 0
            xmax = 1.25
            text = "ann"
        intervals [2]:
            xmin = 1.25
            xmax = 2
            text = ""
        intervals [3]:
            xmin = 2
            xmax = 3.5
            text = "Łukasz ""Luke"""
    item [2]:
        class = "TextTier"
        name = "clicks"
        xmin = 0
        xmax = 3.5
        points: size = 1
        points [1]:
            number = 1
            mark = "tk"
    item [3]:
        class = "IntervalTier"
        name = "words"
        xmin = 0
        xmax = 3.5
        intervals: size = 1
        intervals [1]:
            xmin = 0
            xmax = 3.5
            text = "hello"
'''

SHORT_TEXTGRID = """File type = "ooTextFile"
Object class = "TextGrid"

0
3.5
<exists>
1
"IntervalTier"
"speaker"
0
3.5
2
0
1.25
"ann"
1.25
3.5
""
"""


ELAN = """<?xml version="1.0" encoding="UTF-8"?>
<ANNOTATION_DOCUMENT AUTHOR="" DATE="2024-05-01T10:00:00+01:00" FORMAT="3.0" VERSION="3.0"
    xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
    xsi:noNamespaceSchemaLocation="http://www.mpi.nl/tools/elan/EAFv3.0.xsd">
  <HEADER MEDIA_FILE="" TIME_UNITS="milliseconds"><MEDIA_DESCRIPTOR MEDIA_URL="file:///a.wav" MIME_TYPE="audio/x-wav"/>
  </HEADER>
  <TIME_ORDER>
    <TIME_SLOT TIME_SLOT_ID="ts1" TIME_VALUE="2500"/><TIME_SLOT TIME_SLOT_ID="ts2" TIME_VALUE="4000"/>
    <TIME_SLOT TIME_SLOT_ID="ts3" TIME_VALUE="130"/><TIME_SLOT TIME_SLOT_ID="ts4" TIME_VALUE="2100"/>
    <TIME_SLOT TIME_SLOT_ID="ts5"/>
  </TIME_ORDER>
  <TIER LINGUISTIC_TYPE_REF="default-lt" PARTICIPANT="Ángel" TIER_ID="A-speech">
    <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a1" TIME_SLOT_REF1="ts1" TIME_SLOT_REF2="ts2">
      <ANNOTATION_VALUE>sí &amp; no</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
  </TIER>
  <TIER LINGUISTIC_TYPE_REF="default-lt" TIER_ID="doctor">
    <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a2" TIME_SLOT_REF1="ts3" TIME_SLOT_REF2="ts4">
      <ANNOTATION_VALUE/></ALIGNABLE_ANNOTATION></ANNOTATION>
  </TIER>
  <TIER LINGUISTIC_TYPE_REF="gloss" PARENT_REF="A-speech" TIER_ID="A-gloss">
    <ANNOTATION><REF_ANNOTATION ANNOTATION_ID="a3" ANNOTATION_REF="a1"><ANNOTATION_VALUE>yes and no</ANNOTATION_VALUE>
    </REF_ANNOTATION></ANNOTATION>
  </TIER>
</ANNOTATION_DOCUMENT>
"""


@pytest.fixture
def burst_speech(rng: np.random.Generator) -> Recording:
    """A buzz at 120 Hz in three bursts, over noise 50 dB below it."""
    times_s = np.arange(6 * RATE) / RATE
    buzz = sum(np.sin(2 * np.pi * 120 * k * times_s) / k for k in range(1, 20))
    on = ((times_s[:, None] >= BURSTS[:, 0]) & (times_s[:, None] < BURSTS[:, 1])).any(axis=1)
    return Recording(0.2 * buzz * on + 0.2 * 10 ** (-50 / 20) * rng.standard_normal(len(times_s)), RATE)


class TestWindows:
    @pytest.mark.parametrize("duration_s", [0.01, 1.0, 4.999, 5.0, 7.3, 60.1])
    @pytest.mark.parametrize(("window_s", "hop_s"), [(5, 5), (5, 2.5), (1, 0.33), (2, 7)])
    def test_are_those_that_are_cut(self, duration_s, window_s, hop_s):
        recording = Recording(np.zeros(round(duration_s * RATE)), RATE)
        cut = [(window.start_s, window.end_s) for window in window_audio(recording, window_s, hop_s)]
        np.testing.assert_allclose(windows(duration_s, window_s, hop_s), cut)

    def test_there_are_none_in_nothing(self):
        assert windows(0, 5, 5).shape == (0, 2)

    @pytest.mark.parametrize(
        ("lengths", "name"), [((1, 0, 1), "window_s"), ((1, 1, -1), "hop_s"), ((np.nan, 1, 1), "duration_s")]
    )
    def test_refuse_impossible_lengths(self, lengths, name):
        with pytest.raises(ParameterError, match=f"{name} is .*; expected a positive number of seconds"):
            windows(*lengths)


class TestReadRttm:
    def test_reads_the_turns_of_a_real_recording(self, data):
        turns = read_rttm(next((data / "long_speech").rglob("sample.rttm")))
        assert list(turns.columns) == ["file", "start_s", "end_s", "speaker"]
        assert tuple(turns.iloc[0]) == ("sample", 6.69, pytest.approx(7.12), "speaker90")
        assert set(turns.speaker) == {"speaker90", "speaker91"}
        assert (turns.end_s > turns.start_s).all()

    def test_passes_over_other_lines(self, tmp_path):
        path = tmp_path / "a.rttm"
        path.write_text(
            ";; made by hand\n\nSPKR-INFO a 1 <NA> <NA> <NA> unknown ann <NA>\nSPEAKER a 1 1 2 <NA> <NA> ann <NA>\n"
        )
        assert read_rttm(path).to_dict("records") == [{"file": "a", "start_s": 1.0, "end_s": 3.0, "speaker": "ann"}]

    def test_an_empty_file_is_an_empty_table(self, tmp_path):
        path = tmp_path / "a.rttm"
        path.touch()
        turns = read_rttm(path)
        assert len(turns) == 0
        assert turns.start_s.dtype == float

    @pytest.mark.parametrize("line", ["SPEAKER a 1 zero 2 <NA> <NA> ann", "SPEAKER a 1 0.5 2"])
    def test_names_the_line_that_is_wrong(self, tmp_path, line):
        path = tmp_path / "a.rttm"
        path.write_text(f"SPEAKER a 1 1 2 <NA> <NA> ann\n{line}\n")
        with pytest.raises(ParameterError, match=r"a\.rttm, line 2: .*expected 'SPEAKER file channel start"):
            read_rttm(path)

    def test_says_when_there_is_no_file(self, tmp_path):
        with pytest.raises(ParameterError, match=r"gone\.rttm cannot be read"):
            read_rttm(tmp_path / "gone.rttm")


class TestReadTextgrid:
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-be"])
    def test_reads_the_long_format(self, tmp_path, encoding):
        path = tmp_path / "żółw.TextGrid"
        mark = "\ufeff" if encoding == "utf-16-be" else ""
        path.write_bytes((mark + TEXTGRID).encode(encoding))
        table = read_textgrid(path, "speaker")
        assert table.start_s.tolist() == [0, 1.25, 2]
        assert table.end_s.tolist() == [1.25, 2, 3.5]
        assert table.label.tolist() == ["ann", "", 'Łukasz "Luke"']
        assert read_textgrid(path, "words").label.tolist() == ["hello"]

    def test_reads_the_short_format_and_finds_the_only_tier(self, tmp_path):
        path = tmp_path / "a.TextGrid"
        path.write_text(SHORT_TEXTGRID)
        assert read_textgrid(path).values.tolist() == [[0, 1.25, "ann"], [1.25, 3.5, ""]]

    @pytest.mark.parametrize("tier", [None, "clicks", "nobody"])
    def test_asks_for_a_tier_by_the_names_there_are(self, tmp_path, tier):
        path = tmp_path / "a.TextGrid"
        path.write_text(TEXTGRID)
        with pytest.raises(ParameterError, match=rf"tier is {tier!r}; .*\['speaker', 'words'\]"):
            read_textgrid(path, tier)

    def test_says_when_it_is_no_textgrid(self, tmp_path):
        path = tmp_path / "a.TextGrid"
        path.write_text("ann spoke first")
        with pytest.raises(ParameterError, match="is no TextGrid that Praat can read"):
            read_textgrid(path)
        soundfile.write(tmp_path / "a.wav", np.zeros(1_000), RATE)
        with pytest.raises(ParameterError, match="holds a Sound; expected a TextGrid"):
            read_textgrid(tmp_path / "a.wav")
        with pytest.raises(ParameterError, match="does not exist or is no file"):
            read_textgrid(tmp_path)

    def test_without_parselmouth_the_message_holds_the_pip_line(self, tmp_path, monkeypatch):
        monkeypatch.setitem(sys.modules, "parselmouth", None)
        with pytest.raises(MissingPackageError, match=r"TextGrid.*pip install 'praat-parselmouth'"):
            read_textgrid(tmp_path)


class TestReadElan:
    def test_reads_all_turns_in_order_of_time(self, tmp_path):
        path = tmp_path / "talk.eaf"
        path.write_text(ELAN, encoding="utf-8")
        assert read_elan(path).values.tolist() == [
            [0.13, 2.1, "doctor", "doctor", ""],
            [2.5, 4.0, "Ángel", "A-speech", "sí & no"],
        ]
        assert read_elan(path, "doctor").speaker.tolist() == ["doctor"]
        assert len(read_elan(path, "A-gloss")) == 0  # its annotations hang on others

    def test_reads_utf_16(self, tmp_path):
        path = tmp_path / "talk.eaf"
        path.write_bytes(ELAN.replace("UTF-8", "UTF-16").encode("utf-16"))
        assert read_elan(path).speaker.tolist() == ["doctor", "Ángel"]

    def test_its_turns_become_an_index(self, tmp_path):
        path = tmp_path / "talk.eaf"
        path.write_text(ELAN, encoding="utf-8")
        index = turns_to_index(merge_turns(read_elan(path)), "talk.wav")
        assert index[0] == ("talk.wav", pd.Timedelta("130ms"), pd.Timedelta("2100ms"))

    def test_annotations_without_a_time_are_left_out_and_told(self, tmp_path):
        path = tmp_path / "talk.eaf"
        path.write_text(ELAN.replace('TIME_SLOT_REF2="ts4"', 'TIME_SLOT_REF2="ts5"'), encoding="utf-8")
        with pytest.warns(VocalbioWarning, match=r"talk\.eaf: 1 annotations have no time of their own"):
            assert read_elan(path).speaker.tolist() == ["Ángel"]

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
    def test_documents_that_could_grow_without_bound_are_refused(self, tmp_path, encoding):
        path = tmp_path / "talk.eaf"
        bomb = '<!DOCTYPE a [<!ENTITY b "bb"><!ENTITY c "&b;&b;">]><ANNOTATION_DOCUMENT>&c;</ANNOTATION_DOCUMENT>'
        path.write_bytes(bomb.encode(encoding))
        with pytest.raises(ParameterError, match="declares a document type, which no ELAN file does"):
            read_elan(path)

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            ("<ANNOTATION_DOCUMENT>", r"talk\.eaf cannot be read as an ELAN file: "),
            ("", "cannot be read as an ELAN file"),
            ("<TextGrid/>", "its root is <TextGrid>; expected <ANNOTATION_DOCUMENT>"),
        ],
    )
    def test_says_when_it_is_no_elan_file(self, tmp_path, content, words):
        path = tmp_path / "talk.eaf"
        path.write_text(content)
        with pytest.raises(ParameterError, match=words):
            read_elan(path)
        with pytest.raises(ParameterError, match=r"gone\.eaf cannot be read"):
            read_elan(tmp_path / "gone.eaf")

    def test_names_the_tiers_there_are(self, tmp_path):
        path = tmp_path / "talk.eaf"
        path.write_text(ELAN, encoding="utf-8")
        with pytest.raises(ParameterError, match=r"tier is 'x'; .*\['A-speech', 'doctor', 'A-gloss'\]"):
            read_elan(path, "x")


class TestReadTranscript:
    @pytest.mark.parametrize(
        "text",
        [
            'start_time\tstop_time\tspeaker\tvalue\n0.5\t2\tEllie\tso, "how\n3\t4.25\tParticipant\tfine\n',
            'Start,End,Speaker,Text\n0.5,2,Ellie,"so, ""how"\n\n3,4.25,Participant,fine\n',
            '\ufeffonset;offset;participant;utterance\r\n0.5;2;Ellie;so, "how\r\n3;4.25;Participant;fine\r\n',
        ],
        ids=["tabs", "commas", "semicolons"],
    )
    def test_finds_columns_and_what_stands_between_them(self, tmp_path, text):
        path = tmp_path / "talk.csv"
        path.write_bytes(text.encode())
        expected = [[0.5, 2.0, "Ellie", 'so, "how'], [3.0, 4.25, "Participant", "fine"]]
        assert read_transcript(path).values.tolist() == expected

    def test_a_transcript_of_one_speaker_needs_no_column(self, tmp_path):
        path = tmp_path / "talk.csv"
        path.write_text("Start_Time,End_Time,Text,Confidence\n14.3,15.1,so I'm going to,0.93\n")
        assert read_transcript(path, speaker="ann").values.tolist() == [[14.3, 15.1, "ann", "so I'm going to"]]
        with pytest.raises(ParameterError, match="expected one named speaker or participant or who"):
            read_transcript(path)

    def test_lines_without_times_are_left_out_and_told(self, tmp_path):
        path = tmp_path / "talk.csv"
        path.write_text("start,end,speaker\n0,1,a\nsoon,2,a\n3,,a\n\n5,4,a\n6,inf,a\n7,8,a\n")
        with pytest.warns(VocalbioWarning, match=r"left out 4 lines .* \(line 3, 4, 6, 7\)"):
            assert read_transcript(path).start_s.tolist() == [0, 7]

    def test_says_which_column_is_missing(self, tmp_path):
        path = tmp_path / "talk.csv"
        path.write_text("who,what\nann,hello\n")
        with pytest.raises(ParameterError, match=r"has the columns \['who', 'what'\]; expected one named start_s or"):
            read_transcript(path)
        with pytest.raises(ParameterError, match=r"gone\.csv cannot be read"):
            read_transcript(tmp_path / "gone.csv")

    def test_one_line_of_names_is_an_empty_table(self, tmp_path):
        path = tmp_path / "talk.csv"
        path.write_text("start\tend\tspeaker\ttext\n")
        table = read_transcript(path)
        assert len(merge_turns(table)) == len(table) == 0
        assert table.start_s.dtype == float


def turns(*rows: tuple[float, float, str]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["start_s", "end_s", "speaker"])


class TestMergeTurns:
    @pytest.mark.parametrize(
        ("rows", "expected"),
        [
            ([(0, 2, "a"), (2.9, 5, "a")], [(0, 5, "a")]),
            ([(0, 2, "a"), (3.0, 5, "a")], [(0, 2, "a"), (3, 5, "a")]),  # as far apart as the limit
            ([(0, 2, "a"), (2, 4, "b"), (2.5, 4.5, "a")], [(0, 4.5, "a"), (2, 4, "b")]),
            ([(3, 5, "a"), (0, 2.5, "a")], [(0, 5, "a")]),  # out of order
            ([(0, 9, "a"), (1, 2, "a"), (9.5, 11, "a")], [(0, 11, "a")]),  # one inside another
            ([(0, 0.5, "a"), (1, 1.4, "a"), (5, 5.9, "b")], [(0, 1.4, "a")]),  # short ones go after joining
            ([], []),
        ],
    )
    def test_joins_what_is_close_and_drops_what_is_short(self, rows, expected):
        merged = merge_turns(turns(*rows))
        assert merged.values.tolist() == [list(row) for row in expected]
        assert list(merged.columns) == ["start_s", "end_s", "speaker"]

    def test_keeps_recordings_apart(self):
        table = turns((0, 2, "a"), (2.1, 4, "a")).assign(file=["two", "one"])
        merged = merge_turns(table)
        assert merged.values.tolist() == [["one", 2.1, 4, "a"], ["two", 0, 2, "a"]]

    def test_the_limits_can_be_set(self):
        table = turns((0, 2, "a"), (4, 5, "a"))
        assert len(merge_turns(table, max_gap_s=2.1)) == 1
        assert len(merge_turns(table, min_duration_s=1.5)) == 1

    def test_leaves_the_table_alone(self):
        table = turns((3, 5, "a"), (0, 2.5, "a"))
        before = table.copy()
        merge_turns(table)
        pd.testing.assert_frame_equal(table, before)

    def test_says_which_column_is_missing(self):
        with pytest.raises(ParameterError, match=r"no column \['speaker'\]; it has \['start_s', 'end_s'\]"):
            merge_turns(turns().drop(columns="speaker"))


class TestTurnsToIndex:
    def test_is_an_index_of_file_start_and_end(self):
        index = turns_to_index(turns((0.1, 2.3, "a"), (1 / 3, 1, "b")), Path("talk.wav"))
        assert index.names == ["file", "start", "end"]
        assert set(index.get_level_values("file")) == {"talk.wav"}
        assert index[0][1:] == (pd.Timedelta("100ms"), pd.Timedelta("2300ms"))
        assert index.get_level_values("start").total_seconds()[1] == pytest.approx(1 / 3, abs=1e-8)

    def test_no_turns_make_an_empty_index(self):
        index = turns_to_index(turns(), "talk.wav")
        assert len(index) == 0
        assert index.levels[1].dtype.kind == "m"

    def test_says_which_column_is_missing(self):
        with pytest.raises(ParameterError, match=r"no column \['end_s'\]"):
            turns_to_index(turns().drop(columns="end_s"), "talk.wav")


class TestSpeechIntervals:
    def test_finds_the_bursts(self, burst_speech):
        np.testing.assert_allclose(speech_intervals(burst_speech), BURSTS, atol=0.06)

    @pytest.mark.parametrize(("gain", "offset"), [(0.01, 0.0), (3.0, 0.0), (1.0, 0.3), (1.0, -0.5)])
    def test_neither_gain_nor_offset_matters(self, burst_speech, gain, offset):
        changed = Recording(gain * burst_speech.samples + offset, RATE)
        np.testing.assert_allclose(speech_intervals(changed), speech_intervals(burst_speech), atol=0.001)

    def test_a_click_does_not_hide_the_speech(self, burst_speech):
        samples = burst_speech.samples.copy()
        samples[RATE // 10] = 50 * np.abs(samples).max()
        found = speech_intervals(Recording(samples / 50, RATE))
        np.testing.assert_allclose(found[-3:], BURSTS, atol=0.06)

    def test_short_pauses_and_short_sounds_are_passed_over(self, burst_speech):
        np.testing.assert_allclose(speech_intervals(burst_speech, min_pause_s=0.55), [(0, 1.3), (2.0, 4.9)], atol=0.06)
        assert len(speech_intervals(burst_speech, min_sounding_s=1.0)) == 1

    def test_times_are_those_of_the_file(self, burst_speech):
        later = Recording(burst_speech.samples, RATE, start_s=100.0)
        np.testing.assert_allclose(speech_intervals(later), 100 + speech_intervals(burst_speech))

    def test_pauses_of_an_acted_sentence_surround_it(self, data):
        """RAVDESS: a sentence between two silences, so most of the energy but not of the time is sounding."""
        recording = load_audio(next((data / "ravdess").rglob("*.flac")))
        found = speech_intervals(recording)
        sounding = np.concatenate([recording.cut(*interval).samples for interval in found])
        assert len(sounding) < 0.75 * len(recording.samples)
        assert (sounding.astype(float) ** 2).sum() > 0.99 * (recording.samples.astype(float) ** 2).sum()

    @pytest.mark.parametrize("value", [0.0, 0.25])
    def test_there_is_none_in_digital_silence(self, value):
        assert speech_intervals(Recording(np.full(RATE, value), RATE)).shape == (0, 2)

    @pytest.mark.parametrize("n_samples", [1, 2, 1_599, 1_601, 2_047, 2_048, 2_049, 2_400])
    def test_short_recordings_never_reach_praat_or_survive_it(self, rng, n_samples):
        found = speech_intervals(Recording(rng.standard_normal(n_samples) / 10, RATE))
        assert found.shape in ((0, 2), (1, 2))

    def test_refuses_samples_that_are_not_finite(self):
        with pytest.raises(AudioError, match="NaN or infinite"):
            speech_intervals(Recording([0.0, np.nan], RATE))

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"min_pause_s": 0}, "min_pause_s is 0; expected a positive number of seconds"),
            ({"min_sounding_s": -1}, "min_sounding_s is -1"),
            ({"threshold_db": 25}, "threshold_db is 25; expected a negative number of dB"),
        ],
    )
    def test_refuses_impossible_limits(self, burst_speech, options, words):
        with pytest.raises(ParameterError, match=words):
            speech_intervals(burst_speech, **options)

    def test_a_given_intensity_changes_nothing(self, burst_speech):
        import parselmouth

        samples = burst_speech.samples.astype(float)
        sound = parselmouth.Sound(samples - samples.mean(), RATE)
        given = sounding_intervals(sound, sound.to_intensity(50.0, 0.016, True))
        np.testing.assert_array_equal(given, speech_intervals(burst_speech))


class TestSpeechOnly:
    def test_leaves_the_pauses_out(self, burst_speech):
        joined = speech_only(burst_speech)
        assert joined.duration_s == pytest.approx(np.diff(BURSTS).sum(), abs=0.3)
        assert np.mean(joined.samples**2) == pytest.approx(np.mean(burst_speech.cut(*BURSTS[2]).samples ** 2), rel=0.1)

    def test_joins_the_samples_of_given_intervals(self):
        samples = np.arange(100) / 100
        recording = Recording(samples, 10, "a.wav", start_s=5.0, clipped_s=np.array([5.2, 7.1, 14.0]))
        joined = speech_only(recording, [(7, 8), (14, 15)])
        np.testing.assert_array_equal(joined.samples, np.r_[samples[20:30], samples[90:]].astype(np.float32))
        assert (joined.file, joined.start_s) == ("a.wav", 0.0)
        np.testing.assert_allclose(joined.clipped_s, [0.1, 1.0])
        assert joined.clipped_fraction == pytest.approx(2 / 20)

    def test_is_empty_without_speech(self):
        joined = speech_only(Recording(np.zeros(RATE), RATE))
        assert joined.duration_s == 0
        with pytest.raises(AudioError, match="no samples"):
            joined.check()

    def test_refuses_intervals_outside(self):
        with pytest.raises(AudioError, match=r"the sound ends at 1\.000 s"):
            speech_only(Recording(np.zeros(RATE), RATE), [(0.5, 1.5)])
