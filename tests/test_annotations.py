"""Events of nights come in from the formats that others write, and go out so that nothing is lost."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

import edfio
import numpy as np
import pandas as pd
import pytest

from vocalbio.datasets.annotations import EVENT_KINDS, KINDS, check_events, read_annotations, write_annotations
from vocalbio.errors import MissingPackageError, ParameterError

EVENTS = pd.DataFrame(
    {
        "start_s": [61.5, 300.123457, 25_199.999999],
        "end_s": [80.25, 322.7, 25_230.1],
        "kind": ["apnea", "hypopnea", "apnea"],
        "confidence": [0.83, 0.1 + 0.2, 1.0],
    }
)
BEGIN = datetime(2024, 5, 1, 23, 1, 2)
RML = """<?xml version="1.0" encoding="utf-8"?>
<PatientStudy xmlns="http://www.respironics.com/PatientStudy.xsd">
  <Acquisition><Sessions><Session>
    <RecordingStart>2024-05-01T22:51:02</RecordingStart><Duration>28800</Duration>
  </Session></Sessions></Acquisition>
  <ScoringData>
    <Events>
      <Event Family="Respiratory" Type="ObstructiveApnea" Start="2888.5" Duration="13.5"><Input>Flow</Input></Event>
      <Event Family="Respiratory" Type="Hypopnea" Start="1200" Duration="20" Machine="true" />
      <Event Family="Respiratory" Type="MixedApnea" Start="100" Duration="30" />
      <Event Family="Respiratory" Type="PeriodicRespiration" Start="5000" Duration="300" />
      <Event Family="Neuro" Type="Arousal" Start="2902" Duration="4" />
      <Event Family="User" Type="Gain" Start="0" Duration="0" />
    </Events>
    <StagingData><UserStaging><Stage Type="Wake" Start="0" /></UserStaging></StagingData>
  </ScoringData>
</PatientStudy>
"""


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def spans(table: pd.DataFrame) -> list[tuple[float, float, str]]:
    return list(zip(table["start_s"], table["end_s"], table["kind"], strict=True))


def write_edf(path: Path, annotations: list[tuple[float, float | None, str]], *, sound: bool = False) -> Path:
    signals = [edfio.EdfSignal(np.zeros(100), 10, label="Flow")] if sound else []
    edfio.Edf(
        signals,
        recording=edfio.Recording(startdate=BEGIN.date()),
        starttime=BEGIN.time(),
        annotations=[edfio.EdfAnnotation(*one) for one in annotations],
    ).write(path)
    return path


# Reading


def test_a_table_is_read_and_sorted_and_the_words_of_others_become_ours(tmp_path: Path) -> None:
    path = written(
        tmp_path / "night.csv",
        "start_s,end_s,kind,scorer\n500,512.5,Apnea.Central,A\n61.5,80,Obstructive apnea,B\n90,95,Arousal,A\n",
    )
    table = read_annotations(path)
    assert spans(table) == [(61.5, 80.0, "apnea"), (500.0, 512.5, "apnea")]
    assert table["label"].tolist() == ["Obstructive apnea", "Apnea.Central"]
    assert table.columns.tolist() == ["start_s", "end_s", "kind", "label"]


@pytest.mark.parametrize(
    ("label", "kind"),
    [
        ("ObstructiveApnea", "apnea"),
        ("Obstructive apnoea", "apnea"),
        ("apnea_mixed", "apnea"),
        ("Obstructive apnea|Obstructive Apnea", "apnea"),
        ("APNEA-O", "apnea"),
        ("Hypopnoea", "hypopnea"),
        ("Hypopnea.Obstructive", "hypopnea"),
        ("HYP-C", "hypopnea"),
        ("PeriodicRespiration", "periodicrespiration"),
        ("SpO2 desaturation", "spo2 desaturation"),
        ("no apnea", "no apnea"),
    ],
)
def test_names_of_events(tmp_path: Path, label: str, kind: str) -> None:
    table = read_annotations(written(tmp_path / "a.csv", f"start_s,duration_s,kind\n1,12,{label}\n"), kinds=None)
    assert table.loc[0, ["kind", "label"]].tolist() == [kind, label]


def test_the_table_of_names_gives_our_kinds_only_and_no_name_twice() -> None:
    assert tuple(KINDS) == EVENT_KINDS
    names = [name for many in KINDS.values() for name in many]
    assert len(set(names)) == len(names)


def test_everything_that_stands_in_a_file_can_be_had(tmp_path: Path) -> None:
    path = written(tmp_path / "night.rml", RML)
    assert spans(read_annotations(path)) == [
        (100.0, 130.0, "apnea"),
        (1200.0, 1220.0, "hypopnea"),
        (2888.5, 2902.0, "apnea"),
    ]
    everything = read_annotations(path, kinds=None)
    assert everything["kind"].tolist() == ["gain", "apnea", "hypopnea", "apnea", "arousal", "periodicrespiration"]
    assert spans(read_annotations(path, kinds=["arousal"])) == [(2902.0, 2906.0, "arousal")]
    assert read_annotations(path, kinds="hypopnea")["start_s"].tolist() == [1200.0]


def test_durations_delimiters_and_byte_order_marks_of_spreadsheets(tmp_path: Path) -> None:
    path = written(
        tmp_path / "a.csv", "\ufeffStart_s;Duration_s;Label;Confidence\n10;20.5;Apnea;0.75\n\n50;11;Apnea;\n"
    )
    table = read_annotations(path)
    assert spans(table) == [(10.0, 30.5, "apnea"), (50.0, 61.0, "apnea")]
    assert table["confidence"].tolist()[0] == 0.75
    assert np.isnan(table["confidence"][1])


def test_a_label_track_of_audacity_with_and_without_frequencies(tmp_path: Path) -> None:
    path = written(tmp_path / "labels.txt", "61.500000\t80.250000\tApnea\n\\\t0\t4000\n95.0\t95.0\tcough, loud\n7\t9\n")
    table = read_annotations(path, kinds=None)
    assert spans(table) == [(7.0, 9.0, ""), (61.5, 80.25, "apnea"), (95.0, 95.0, "cough, loud")]


@pytest.mark.parametrize("sound", [False, True])
def test_edf_plus_with_and_without_signals(tmp_path: Path, sound: bool) -> None:
    path = write_edf(tmp_path / "n.edf", [(7.5, 12, "Obstructive Apnea"), (2, None, "Lights off")], sound=sound)
    assert spans(read_annotations(path)) == [(7.5, 19.5, "apnea")]
    assert spans(read_annotations(path, kinds=None))[0] == (2.0, 2.0, "lights off")


def test_the_content_tells_the_format_not_the_name(tmp_path: Path) -> None:
    path = write_edf(tmp_path / "n.edf", [(7.5, 12, "Apnea")])
    assert len(read_annotations(path.rename(tmp_path / "scoring.txt"))) == 1
    assert len(read_annotations(written(tmp_path / "scoring.xml", RML))) == 3
    assert len(read_annotations(written(tmp_path / "scoring.dat", "1\t12\tapnea\n"))) == 1


# The clock


@pytest.mark.parametrize("zone", [None, timezone(timedelta(hours=-5))])
def test_events_are_placed_in_a_recording_that_began_later(tmp_path: Path, zone: timezone | None) -> None:
    path = written(tmp_path / "night.rml", RML)  # from 22:51:02 on, the recording from ten minutes later on
    table = read_annotations(path, recording_start=BEGIN.replace(tzinfo=zone))
    assert spans(table) == [(600.0, 620.0, "hypopnea"), (2288.5, 2302.0, "apnea")]
    edf = write_edf(tmp_path / "n.edf", [(7.5, 12, "Apnea"), (90, 12, "Apnea")])
    late = read_annotations(edf, recording_start=BEGIN + timedelta(seconds=15))
    assert spans(late) == [(-7.5, 4.5, "apnea"), (75.0, 87.0, "apnea")]


def test_where_the_date_was_removed_the_time_of_day_counts(tmp_path: Path) -> None:
    path = tmp_path / "n.edf"
    edf = edfio.Edf([], starttime=BEGIN.time(), annotations=[edfio.EdfAnnotation(7200, 12, "Apnea")])
    edf.write(path)
    after_midnight = datetime(2024, 5, 2, 0, 1, 2)
    assert read_annotations(path, recording_start=after_midnight)["start_s"].tolist() == [3600.0]
    assert read_annotations(path, recording_start=BEGIN - timedelta(minutes=1))["start_s"].tolist() == [7260.0]


def test_seconds_of_a_table_are_those_of_the_recording_whenever_it_began(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "start_s,end_s,kind\n10,30,apnea\n")
    assert read_annotations(path, recording_start=BEGIN)["start_s"].tolist() == [10.0]


def test_annotations_of_another_night_or_of_no_time_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "night.rml", RML)
    with pytest.raises(ParameterError, match="more than a day from recording_start"):
        read_annotations(path, recording_start=BEGIN + timedelta(days=2))
    with pytest.raises(ParameterError, match="expected a datetime"):
        read_annotations(path, recording_start="23:00")  # type: ignore[arg-type]
    path.write_text(RML.replace("RecordingStart", "Begun"))
    with pytest.raises(ParameterError, match="does not tell when it begins"):
        read_annotations(path, recording_start=BEGIN)
    unknown = write_annotations(EVENTS, tmp_path / "n.edf")
    with pytest.raises(ParameterError, match="does not tell when it begins"):
        read_annotations(unknown, recording_start=BEGIN)


# What is no annotation


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("begin,end_s,kind\n1,2,apnea\n", "missing: start_s. Name"),
        ("start_s,kind\n1,apnea\n", r"missing: end_s \(or duration_s\)"),
        ("start_s,end_s\n1,2\n", "'start_s', 'end_s'; missing: kind"),
        ("start_s,end_s,kind\n1,20,apnea\n\n30,noon,apnea\n5,x,apnea\n", "line 4: could not convert .*'noon'"),
        ("start_s,end_s,kind\n1,20,apnea\n30\n", "line 3: no kind"),
        ("start_s,end_s,kind\n30,20,apnea\n", "line 2: from 30 s to 20 s"),
        ("start_s,end_s,kind\n30,inf,apnea\n", "line 2: from 30 s to inf s"),
        ("start_s,end_s,kind,confidence\n30,40,apnea,80\n", "confidence 80; expected a number from 0 to 1"),
        ("1\t2\tapnea\n3\tfour\tapnea\n", "line 2: could not convert"),
        ("", "is empty; expected a table"),
        ("<Annotations/>", "is XML without ScoringData"),
        (RML[:-40], "is not well-formed"),
        (RML.replace('Duration="13.5"', ""), "line 8: an Event without Duration"),
        (RML.replace('Duration="13.5"', 'Duration="-13.5"'), "line 8: from 2888.5 s to 2875 s"),
    ],
)
def test_the_first_thing_that_makes_no_sense_is_named(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        read_annotations(written(tmp_path / "night.csv", text))


@pytest.mark.parametrize(
    "prolog",
    [
        '<!DOCTYPE a [<!ENTITY b "bb"><!ENTITY c "&b;&b;&b;&b;">]>',
        '<!DOCTYPE a SYSTEM "http://localhost/a.dtd">',
        '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/hostname">]>',
    ],
)
def test_xml_that_could_expand_or_fetch_is_refused(tmp_path: Path, prolog: str) -> None:
    path = written(tmp_path / "night.rml", RML.replace("?>", f"?>{prolog}", 1))
    with pytest.raises(ParameterError, match="document type declaration"):
        read_annotations(path)
    with pytest.raises(ParameterError, match="undefined entity"):
        read_annotations(written(path, RML.replace("Flow", "&b;")))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="No such file"):
        read_annotations(tmp_path / "none.csv")
    (tmp_path / "noise.bin").write_bytes(bytes(range(256)))
    with pytest.raises(ParameterError, match="neither text in UTF-8"):
        read_annotations(tmp_path / "noise.bin")
    (tmp_path / "half.edf").write_bytes(write_edf(tmp_path / "n.edf", [(1, 2, "Apnea")]).read_bytes()[:300])
    with pytest.raises(ParameterError, match="cannot be read as such"):
        read_annotations(tmp_path / "half.edf")
    edfio.Edf([edfio.EdfSignal(np.zeros(100), 10)]).write(tmp_path / "plain.edf")
    with pytest.raises(ParameterError, match="plain EDF, which has no annotations"):
        read_annotations(tmp_path / "plain.edf")


def test_without_edfio_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_edf(tmp_path / "n.edf", [(1, 2, "Apnea")])
    monkeypatch.setitem(__import__("sys").modules, "edfio", None)
    with pytest.raises(MissingPackageError, match="pip install 'edfio'"):
        read_annotations(path)


# Writing


@pytest.mark.parametrize("name", ["night.csv", "night.txt", "night.edf", "NIGHT.EDF"])
def test_what_was_written_is_read_back_to_the_microsecond(tmp_path: Path, name: str) -> None:
    path = write_annotations(EVENTS.iloc[::-1], tmp_path / name, recording_start=BEGIN, duration_s=28_800)
    pd.testing.assert_frame_equal(read_annotations(path)[EVENTS.columns], EVENTS, check_dtype=False, check_exact=True)
    pd.testing.assert_frame_equal(
        read_annotations(path, recording_start=BEGIN, kinds=None)[EVENTS.columns], EVENTS, check_dtype=False
    )


@pytest.mark.parametrize("suffix", [".csv", ".txt", ".edf"])
def test_random_nights_survive_every_format(tmp_path: Path, suffix: str, rng: np.random.Generator) -> None:
    start = np.sort(rng.uniform(0, 36_000, 300)).round(6)
    events = pd.DataFrame({"start_s": start, "end_s": (start + rng.uniform(0, 90, 300)).round(6)})
    events["kind"] = rng.choice(["apnea", "hypopnea", "snore (soft), ä"], 300)
    moment = BEGIN.replace(microsecond=123_456)
    back = read_annotations(write_annotations(events, tmp_path / f"n{suffix}", recording_start=moment), kinds=None)
    pd.testing.assert_frame_equal(back[events.columns], events, check_dtype=False, check_exact=True)
    assert "confidence" not in back


@pytest.mark.parametrize("suffix", [".csv", ".txt", ".edf"])
def test_a_night_without_events_is_one(tmp_path: Path, suffix: str) -> None:
    table = read_annotations(write_annotations(EVENTS[:0], tmp_path / f"n{suffix}", duration_s=3600), kinds=None)
    assert len(table) == 0
    assert {"start_s", "end_s", "kind"} <= set(table.columns)
    assert table["start_s"].dtype == float


def test_an_edf_file_of_events_is_one_that_others_read(tmp_path: Path) -> None:
    edf = edfio.read_edf(write_annotations(EVENTS, tmp_path / "n.edf", recording_start=BEGIN, duration_s=28_800))
    assert edf.startdatetime == BEGIN
    assert edf.annotations[0] == (0.0, None, "Recording starts")
    assert edf.annotations[1] == (61.5, 18.75, "apnea (confidence 0.83)")
    assert edf.annotations[-1] == (28_800.0, None, "Recording ends")


def test_the_words_of_a_scorer_stay_in_a_table(tmp_path: Path) -> None:
    read = read_annotations(written(tmp_path / "night.rml", RML))
    pd.testing.assert_frame_equal(read_annotations(write_annotations(read, tmp_path / "n.csv")), read)


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_annotations(EVENTS[:1], tmp_path / "n.csv")
    write_annotations(EVENTS, path)
    assert len(read_annotations(path)) == 3

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(ParameterError, match="No space left"):
        write_annotations(EVENTS[:1], path)
    assert len(read_annotations(path)) == 3
    assert [one.name for one in tmp_path.iterdir()] == ["n.csv"]


def test_what_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=r"ends in \.csv, \.txt, \.edf"):
        write_annotations(EVENTS, tmp_path / "n.xlsx")
    with pytest.raises(ParameterError, match="choose a folder that exists"):
        write_annotations(EVENTS, tmp_path / "none" / "n.csv")
    with pytest.raises(ParameterError, match="without tabs or line breaks"):
        write_annotations(EVENTS.assign(kind="ap\tnea"), tmp_path / "n.txt")
    with pytest.raises(ParameterError, match="duration_s is -1"):
        write_annotations(EVENTS, tmp_path / "n.edf", duration_s=-1)
    for moment in (datetime(1970, 1, 1), "23:00"):
        with pytest.raises(ParameterError, match="expected a datetime from 1985 to 2084"):
            write_annotations(EVENTS, tmp_path / "n.edf", recording_start=moment)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_what_is_no_event_table() -> None:
    with pytest.raises(ParameterError, match="events has list; expected a DataFrame"):
        check_events([1.0])
    with pytest.raises(ParameterError, match=r"reference has columns \['start_s'\]"):
        check_events(pd.DataFrame({"start_s": []}), "reference")
    with pytest.raises(ParameterError, match=r"'start_s'.*does not hold numbers"):
        check_events(EVENTS.assign(start_s="soon"))
    with pytest.raises(ParameterError, match="row 1 an event from nan s"):
        check_events(EVENTS.assign(start_s=[0.0, np.nan, np.nan]))
    with pytest.raises(ParameterError, match="row 2 an event from 25200 s to 5 s"):
        check_events(EVENTS.assign(end_s=[80.0, 400.0, 5.0]))
