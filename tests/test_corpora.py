from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

import corpus_trees as trees
import numpy as np
import pandas as pd
import pytest

from vocalbio import extract_features
from vocalbio.datasets import official_folds
from vocalbio.datasets.corpora import (
    READERS,
    Corpus,
    read_androids,
    read_audformat,
    read_corpus,
    read_crema_d,
    read_daic_woz,
    read_e_daic,
    read_emodb,
    read_folders,
    read_iemocap,
    read_khan_snoring,
    read_psg_audio,
    read_ravdess,
    read_table,
)
from vocalbio.errors import LeakageError, MissingPackageError, ParameterError

PUBLISHED = {
    "androids": (trees.androids, read_androids),
    "crema_d": (trees.crema_d, read_crema_d),
    "emodb": (trees.emodb, read_emodb),
    "iemocap": (trees.iemocap, read_iemocap),
    "khan_snoring": (trees.khan_snoring, read_khan_snoring),
    "psg_audio": (trees.psg_audio, read_psg_audio),
    "ravdess": (trees.ravdess, read_ravdess),
}


def spans_s(corpus: Corpus, speaker: str) -> list[tuple[float, float]]:
    rows = corpus.table[corpus.table["speaker"] == speaker]
    seconds = [rows[name].dt.total_seconds().tolist() for name in ("start", "end")]
    return [tuple(np.round(pair, 6)) for pair in zip(*seconds, strict=True)]


def said_of(corpus: Corpus, where: str) -> str:
    return " | ".join(corpus.problems.loc[corpus.problems["where"] == where, "problem"])


def daic(root: Path, numbers: Iterable[int] = (300,), **parts: dict[int, str]) -> Path:
    train = {number: trees.phq8_line(number, 4) for number in numbers}
    return trees.daic_woz(root, {"train": train, **parts}, {})


class TestDaicWoz:
    def test_has_the_participants_turns_with_score_items_and_official_part(self, tmp_path):
        root = trees.daic_woz(
            tmp_path,
            {
                "train": {300: trees.phq8_line(300, 4)},
                "dev": {302: trees.phq8_line(302, 13, 1)},
                "test": {304: "304,1"},
            },
            {304: 11},
        )
        corpus = read_daic_woz(root)
        assert spans_s(corpus, "300") == spans_s(corpus, "304") == trees.TURNS_OF_TALK
        people = corpus.table.drop_duplicates("speaker").set_index("speaker")
        assert people["split"].to_dict() == {"300": "train", "302": "dev", "304": "test"}
        assert people["sex"].to_dict() == {"300": "male", "302": "female", "304": "female"}
        assert people["label"].to_dict() == {"300": False, "302": True, "304": True}
        assert people["phq8"].to_dict() == {"300": 4, "302": 13, "304": 11}
        assert people.loc["302", [f"phq8_{name}" for name in ("no_interest", "depressed", "moving")]].tolist() == [
            3,
            3,
            0,
        ]
        assert people.loc["304", "phq8_sleep"] != people.loc["304", "phq8_sleep"]  # not published for the test part
        assert [(len(train), len(test)) for train, test in official_folds(corpus.splits, corpus.groups)] == [(4, 2)]

    def test_the_index_is_one_that_extraction_takes(self, tmp_path):
        corpus = read_daic_woz(daic(tmp_path))
        X = extract_features(corpus.index, ["spectral"])
        assert X.index.equals(corpus.index)
        assert X["quality__duration_s"].round(2).tolist() == [3.5, 1.3]

    def test_the_class_of_409_follows_its_score(self, tmp_path):
        corpus = read_daic_woz(trees.daic_woz(tmp_path, {"train": {409: trees.phq8_line(409, 10, binary=0)}}, {}))
        assert corpus.labels.tolist() == [True, True]
        assert "class 0 contradicts the PHQ-8 score of 10: the label follows the score" in said_of(corpus, "409")

    @pytest.mark.parametrize(
        ("line", "words"),
        [
            ("300,1,12,0,1,1,1,1,1,1,1,1", "score of 12, and its items sum to 8: the published score is kept"),
            ("300,0,5,0,1,1,,1,1,1,0,0", "item missing: sleep"),
            ("300,1,25,0,3,3,3,3,3,3,3,4", "score of 25; expected 0 to 24: taken as missing"),
        ],
    )
    def test_scores_that_contradict_themselves_are_told(self, tmp_path, line, words):
        assert words in said_of(read_daic_woz(trees.daic_woz(tmp_path, {"train": {300: line}}, {})), "300")

    def test_no_second_holds_the_interviewer_even_where_turns_overlap(self, tmp_path):
        root = daic(tmp_path)
        talk = [(1, 2, "Ellie", "hi"), (3, 9, "Participant", "so"), (5, 6, "Ellie", "mhm"), (8.5, 10, "Ellie", "well")]
        trees.write_session(root, 300, talk)
        corpus = read_daic_woz(root)
        assert spans_s(corpus, "300") == [(3, 5), (6, 8.5)]
        assert "overlap the participant's in 1 sessions: cut out" in said_of(corpus, "transcripts")

    def test_short_words_of_the_interviewer_between_joined_turns_are_cut_out(self, tmp_path):
        root = daic(tmp_path)
        talk = [
            (0, 1, "Ellie", "hi"),
            (2, 4, "Participant", "so"),
            (4.2, 4.6, "Ellie", "mhm"),
            (4.8, 7, "Participant", ""),
        ]
        trees.write_session(root, 300, talk)
        assert spans_s(read_daic_woz(root), "300") == [(2, 4.2), (4.6, 7)]

    def test_times_of_late_audio_are_moved_forward(self, tmp_path):
        root = daic(tmp_path, [341])
        trees.write_session(root, 341, trees.TALK, duration_s=30)
        moved = [tuple(np.round(np.add(turn, 6.1892), 6)) for turn in trees.TURNS_OF_TALK]
        assert spans_s(read_daic_woz(root), "341") == moved

    def test_the_interruption_of_373_is_cut_out(self, tmp_path):
        root = daic(tmp_path, [373])
        talk = [(380, 381, "Ellie", "tell me"), (382, 400, "Participant", "a"), (405, 410, "Participant", "who is it"),
                (420, 431, "Participant", "where were we")]  # fmt: skip
        trees.write_session(root, 373, talk, duration_s=440, rate=1000)
        assert spans_s(read_daic_woz(root), "373") == [(382, 395), (428, 431)]

    def test_a_session_without_the_interviewers_rows_is_kept_and_told(self, tmp_path):
        root = daic(tmp_path, [451])
        trees.write_session(root, 451, [row for row in trees.TALK if row[2] == "Participant"])
        corpus = read_daic_woz(root)
        assert spans_s(corpus, "451")[0] == (1.0, 2.6)
        assert "the interviewer has no rows: her voice" in said_of(corpus, "451")

    def test_what_is_missing_or_damaged_is_listed_and_the_rest_read(self, tmp_path):
        root = daic(tmp_path, [300, 301, 303, 487, 305])
        (root / "301_P" / "301_AUDIO.wav").unlink()
        (root / "303_P" / "303_AUDIO.wav").write_bytes(b"RIFF")
        (root / "487_P" / "487_TRANSCRIPT.csv").write_bytes(trees.APPLE_DOUBLE)
        (root / "300_P" / "._300_TRANSCRIPT.csv").write_bytes(trees.APPLE_DOUBLE)
        with open(root / "305_P" / "305_TRANSCRIPT.csv", "a") as file:
            file.write("14.0\t\tParticipant\tgone\n14.0\t2.0\tParticipant\tbackwards\n")
        trees.write_session(root, 342, trees.TALK)
        corpus = read_daic_woz(root)
        assert set(corpus.groups) == {"300", "305"}
        for where, words in {
            "301": "301_AUDIO.wav missing: left out",
            "303": "left out: .*303_AUDIO.wav",
            "487": "what macOS keeps about a file, not the transcript",
            "305": r"left out 2 lines without a start and an end in seconds \(line 12, 13\)",
            "342": "is in no split: left out",
            "train_split_Depression_AVEC2017.csv": "5 participants; the published table has 107",
        }.items():
            assert pd.Series([said_of(corpus, where)]).str.contains(words).all(), where

    def test_a_transcript_longer_than_its_audio_is_cut_there(self, tmp_path):
        root = daic(tmp_path)
        trees.write_session(root, 300, [*trees.TALK, (15, 40, "Participant", "on and on")], duration_s=20)
        corpus = read_daic_woz(root)
        assert spans_s(corpus, "300")[-1] == (15, 20)
        assert "goes on for 20.0 s after the end of the audio" in said_of(corpus, "300")

    def test_somebody_in_two_parts_is_left_in_the_first(self, tmp_path):
        root = daic(tmp_path, dev={300: trees.phq8_line(300, 4)})
        corpus = read_daic_woz(root)
        assert set(corpus.splits) == {"train"}
        assert "is in train and in dev: left out of dev" in said_of(corpus, "300")

    def test_without_the_test_scores_its_rows_have_no_label(self, tmp_path):
        root = daic(tmp_path, test={304: "304,1"})
        (root / "full_test_split.csv").unlink()
        corpus = read_daic_woz(root)
        assert corpus.labels.tolist() == [False, False, None, None]
        assert corpus.select(corpus.table["label"].notna()).labels.tolist() == [False, False]
        assert "the test part has no labels" in said_of(corpus, "full_test_split.csv")

    def test_goes_from_the_folder_to_a_cross_validation(self, tmp_path):
        """The walk of docs/corpora.md, with a linear model in place of a network."""
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        from vocalbio import cross_validate

        score_of = {number: 4 + 8 * (number % 2) for number in range(300, 312)}
        parts = {
            part: {n: trees.phq8_line(n, score_of[n], n // 2 % 2) for n in numbers}
            for part, numbers in {"train": range(300, 306), "dev": range(306, 308)}.items()
        }
        parts["test"] = {n: f"{n},{n // 2 % 2}" for n in range(308, 312)}
        corpus = read_corpus("daic_woz", trees.daic_woz(tmp_path, parts, {n: score_of[n] for n in range(308, 312)}))
        X = extract_features(corpus.index, ["spectral"])
        model = make_pipeline(StandardScaler(), LogisticRegression())
        result = cross_validate(
            model, X, corpus.labels, groups=corpus.groups, cv=corpus.splits, person=corpus.table[["sex"]],
            n_resamples=20,
        )  # fmt: skip
        tested = result.predictions[result.predictions["system"].str.startswith("LogisticRegression")]
        assert sorted(tested["speaker"]) == sorted(2 * ["308", "309", "310", "311"])  # two turns each, in the test part
        assert set(result.predictions["system"]) >= {"sex only", "duration only"}


class TestEDaic:
    def test_has_stretches_scores_and_who_led_the_interview(self, tmp_path):
        people = {
            "train": [(300, "male", 4), (600, "female", 15)],
            "dev": [(601, "male", 9)],
            "test": [(602, "male", 10)],
        }
        corpus = read_e_daic(trees.e_daic(tmp_path, people))
        assert spans_s(corpus, "300") == [(0.5, 4.5)]
        table = corpus.table.set_index("speaker")
        assert table["label"].tolist() == [False, True, False, True]
        assert table["agent"].tolist() == ["person", "program", "program", "program"]
        assert table["split"].tolist() == ["train", "train", "dev", "test"]
        assert table.loc["600", ["phq8", "phq8_no_interest", "phq8_moving", "ptsd_severity"]].tolist() == [15, 3, 0, 41]
        assert table["ptsd"].tolist() == [True] * 4
        assert "2 participants; the published table has 163" in said_of(corpus, "train_split.csv")

    def test_what_is_missing_is_listed(self, tmp_path):
        root = trees.e_daic(tmp_path, {"train": [(300, "male", 4), (301, "female", 3)]})
        (root / "data" / "300_P" / "300_Transcript.csv").unlink()
        corpus = read_e_daic(root)
        assert set(corpus.groups) == {"301"}
        assert "300_Transcript.csv missing" in said_of(corpus, "300")


class TestAndroids:
    def test_the_reading_task_has_diagnosis_person_and_fold(self, tmp_path):
        corpus = read_androids(trees.androids(tmp_path))
        table = corpus.table.set_index("speaker")
        assert sorted(table.index) == ["01_C", "01_P", "02_C", "02_P", "03_P"]  # one number stands for two people
        assert table["label"].to_dict() == {"01_C": False, "02_C": False, "01_P": True, "02_P": True, "03_P": True}
        assert table.loc["01_P", ["sex", "age", "education", "split"]].tolist() == ["male", 65, 2, "fold3"]
        assert np.isnan(table.loc["02_C", "education"])
        assert len(official_folds(corpus.splits, corpus.groups)) == 5

    def test_the_interview_has_the_turns_of_its_table(self, tmp_path):
        corpus = read_androids(trees.androids(tmp_path), task="interview")
        assert spans_s(corpus, "01_C") == [(2, 4), (6, 9)]
        assert spans_s(corpus, "02_C") == [(1, 5.5)]
        assert "01_P" not in corpus.groups
        assert "no pairs of start and end: left out" in said_of(corpus, "01_PM65_2")

    def test_without_whole_interviews_the_clips_are_taken(self, tmp_path):
        root = trees.androids(tmp_path)
        for path in (root / "Interview-Task" / "audio").rglob("*.wav"):
            path.unlink()
        corpus = read_androids(root, task="interview")
        assert len(corpus) == 6
        assert corpus.table["end"].isna().all()
        assert set(corpus.splits) == {"fold1", "fold2", "fold3"}

    def test_without_its_table_an_interview_of_two_voices_is_refused(self, tmp_path):
        root = trees.androids(tmp_path)
        (root / "interview_timedata.csv").unlink()
        with pytest.raises(ParameterError, match=r"expected interview_timedata\.csv in it"):
            read_androids(root, task="interview")

    def test_knows_two_tasks(self, tmp_path):
        with pytest.raises(ParameterError, match="task is 'both'; expected 'reading' or 'interview'"):
            read_androids(tmp_path, task="both")

    def test_folds_of_one_task_do_not_fit_the_other(self, tmp_path):
        root = trees.androids(tmp_path)
        reading, interview = read_androids(root), read_androids(root, task="interview")
        both = pd.concat([reading.table, interview.table.assign(split="fold5")])
        with pytest.raises(LeakageError, match="01_C"):
            official_folds(both["split"], both["speaker"])


class TestActedEmotions:
    def test_emodb_names_say_who_what_and_which_sentence(self, tmp_path):
        table = read_emodb(trees.emodb(tmp_path)).table.set_index(["speaker", "sentence"])
        assert list(table["emotion"].items()) == [
            (("03", "a01"), "happy"), (("03", "a01"), "neutral"), (("08", "a02"), "fearful"), (("08", "b10"), "sad"),
            (("16", "a05"), "angry"), (("16", "b03"), "bored"),
        ]  # fmt: skip
        assert table.loc[("08", "a02"), ["sex", "age"]].tolist() == ["female", 34]

    @pytest.mark.parametrize(
        ("tree", "reader", "expected"),
        [
            (trees.emodb, read_emodb, ["anxious", "neutral", "sad"]),
            (trees.crema_d, read_crema_d, ["anxious", "neutral", "sad"]),
            (trees.iemocap, read_iemocap, ["anxious", "anxious", "neutral", "neutral"]),
            (trees.ravdess, read_ravdess, ["anxious", "anxious", "neutral", "neutral", "sad", "sad"]),
        ],
    )
    def test_neutral_sad_and_fearful_stand_for_the_classes_of_stress(self, tmp_path, tree, reader, expected):
        corpus = reader(tree(tmp_path), labels="stress")
        assert sorted(corpus.labels) == expected
        assert set(corpus.table.loc[corpus.table["label"] == "anxious", "emotion"]) == {"fearful"}

    def test_other_labels_are_refused(self, tmp_path):
        with pytest.raises(ParameterError, match="labels is 'arousal'; expected 'emotion' or 'stress'"):
            read_emodb(trees.emodb(tmp_path), labels="arousal")

    def test_ravdess_leaves_out_songs_and_second_copies(self, tmp_path):
        corpus = read_ravdess(trees.ravdess(tmp_path))
        assert len(corpus) == 16
        assert corpus.table.groupby("speaker")["sex"].first().to_dict() == {"A01": "male", "A02": "female"}
        told = " ".join(corpus.problems["problem"])
        assert "1 sung recordings are left out" in told
        assert "is there twice" in told

    def test_ravdess_agrees_with_the_manifest_of_the_recordings(self, data):
        corpus = read_ravdess(data / "ravdess")
        manifest = pd.read_csv(data / "ravdess" / "manifest.csv").sort_values("file", ignore_index=True)
        assert [Path(file).name for file in corpus.table["file"]] == [Path(file).name for file in manifest["file"]]
        for column in ("speaker", "sex", "emotion", "intensity"):
            assert corpus.table[column].tolist() == manifest[column].tolist()
        assert corpus.table["sentence"].tolist() == manifest["statement"].tolist()

    def test_crema_d_leaves_out_what_its_authors_call_unusable(self, tmp_path):
        corpus = read_crema_d(trees.crema_d(tmp_path))
        assert "has no sound: left out" in said_of(corpus, "1076_MTI_SAD_XX.wav")
        assert "1 files are pointers of git lfs" in said_of(corpus, tmp_path.name)
        table = corpus.table.set_index(["speaker", "emotion"])
        assert table.loc[("1001", "fearful"), ["sex", "age", "intensity"]].tolist() == ["male", 51, "high"]
        assert pd.isna(table.loc[("1002", "neutral"), "intensity"])

    def test_crema_d_of_pointers_alone_says_how_to_get_the_recordings(self, tmp_path):
        root = trees.crema_d(tmp_path)
        for path in (root / "AudioWAV").glob("100[12]*.wav"):
            path.unlink()
        with pytest.raises(ParameterError, match="run git lfs pull"):
            read_crema_d(root)

    def test_iemocap_has_speakers_sessions_and_ratings(self, tmp_path):
        corpus = read_iemocap(trees.iemocap(tmp_path))
        assert sorted(set(corpus.groups)) == ["Ses01_F", "Ses01_M", "Ses02_F", "Ses02_M"]
        assert len(corpus) == 8
        assert sum(label is None for label in corpus.labels) == 2  # the judges did not agree
        assert corpus.table.loc[0, ["valence", "arousal", "dominance"]].tolist() == [2.5, 3.0, 1.5]
        assert len(official_folds(corpus.splits, corpus.groups)) == 2

    def test_iemocap_lists_judged_utterances_without_recording(self, tmp_path):
        root = trees.iemocap(tmp_path)
        next((root / "Session1").rglob("Ses01F_impro01_F001.wav")).unlink()
        assert "its recording is missing" in said_of(read_iemocap(root), "Ses01F_impro01_F001")


class TestKhanSnoring:
    def test_flags_copies_silence_and_full_scale(self, tmp_path):
        corpus = read_khan_snoring(trees.khan_snoring(tmp_path))
        table = corpus.table.assign(name=[Path(file).stem for file in corpus.table["file"]]).set_index("name")
        assert Path(table.loc["1_1", "duplicate_of"]).stem == "1_0"
        assert table["duplicate_of"].notna().sum() == 1
        assert table.index[table["silent"]].tolist() == ["0_160"]
        assert table.index[table["full_scale"]].tolist() == ["0_0"]
        assert table["label"].to_dict()["1_30"] == "snore"
        assert table.loc["1_0", "group"] == table.loc["1_1", "group"] != table.loc["1_30", "group"]
        assert table.loc[["0_0", "0_160"], "kind"].tolist() == ["baby_crying", "silence_or_vibration"]
        assert "cannot be read" in said_of(corpus, "0_3.wav")
        assert corpus.groups.tolist() == corpus.table["group"].tolist()

    def test_kinds_by_number_are_those_of_the_manifest(self, data):
        table = read_khan_snoring(data / "snore").table
        manifest = pd.read_csv(data / "snore" / "manifest.csv").set_index("file")
        names = [Path(file).name for file in table["file"]]
        assert (table["label"] == "snore").tolist() == (manifest.loc[names, "label"] == "snoring").tolist()
        kinds = manifest.loc[names, "label2"].str.removeprefix("neg_").fillna("")
        assert table["kind"].fillna("").tolist() == kinds.tolist()


class TestPsgAudio:
    def test_puts_the_parts_of_a_night_on_one_time_axis(self, tmp_path):
        corpus = read_psg_audio(trees.psg_audio(tmp_path))
        night = corpus.table[corpus.table["night"] == "00000995-100507"]
        assert night["part"].tolist() == [1, 2, 4]
        assert night["night_start_s"].tolist() == [0, 60, 180]
        assert night["duration_s"].tolist() == [60, 60, 60]
        assert {Path(path).name for path in night["annotation"]} == {"00000995-100507.rml"}
        assert set(corpus.groups) == {"00000995", "00001010"}
        assert "part 3 missing: the night has a hole" in said_of(corpus, "00000995-100507")
        assert "00001010-100507.rml missing" in said_of(corpus, "00001010-100507")
        assert "has events and no EDF file" in said_of(corpus, "00009999-100507")

    def test_a_file_without_header_keeps_its_row(self, tmp_path):
        root = trees.psg_audio(tmp_path)
        path = next(root.rglob("*002*.edf"))
        path.write_bytes(b"")
        corpus = read_psg_audio(root)
        assert corpus.table["night_start_s"].isna().sum() == 1
        assert "has no header of EDF" in said_of(corpus, path.name)


class TestFoldersAndTables:
    def test_a_folder_a_class_and_one_a_speaker(self, tmp_path):
        for name in ("snore/p1/a.wav", "snore/p2/b.flac", "other/p1/c.WAV", "loose.wav", "snore/p1/notes.txt"):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
        corpus = read_folders(tmp_path)
        assert list(zip(corpus.labels, corpus.groups, strict=True)) == [
            ("other", "p1"),
            ("snore", "p1"),
            ("snore", "p2"),
        ]
        assert "stands in no folder of a class" in said_of(corpus, "loose.wav")

    def test_without_folders_of_speakers_they_are_not_known(self, tmp_path):
        trees.write_noise(tmp_path / "snore" / "a.wav", 0.1)
        assert read_folders(tmp_path).groups is None

    def test_a_table_keeps_its_columns_and_types(self, tmp_path):
        trees.write_noise(tmp_path / "a.wav", 3)
        lines = ["File, Speaker,depressed,start,end,device", "a.wav,ann,true,0.5,2,phone", "a.wav,ann,FALSE,,,phone",
                 "gone.wav,bob,true,,,phone", "a.wav,bob,true,2,1,phone"]  # fmt: skip
        corpus = read_table(trees.write_lines(tmp_path / "memos.csv", lines), label="depressed")
        assert corpus.labels.tolist() == [True, False]
        assert [row[1:] for row in corpus.index] == [
            (pd.Timedelta("500ms"), pd.Timedelta("2s")),
            (pd.Timedelta(0), pd.NaT),
        ]
        assert corpus.table["device"].tolist() == ["phone", "phone"]
        assert said_of(corpus, "gone.wav") == "missing: left out"
        assert said_of(corpus, "a.wav") == "ends before it starts: left out"
        assert extract_features(corpus.index, ["spectral"])["quality__duration_s"].tolist() == [1.5, 3.0]

    @pytest.mark.parametrize(
        ("lines", "words"),
        [
            (["file,kind", "a.wav,x"], "there is no 'label' among them"),
            (["path,label", "a.wav,x"], "there is no 'file' among them"),
            (["file,label", "gone.wav,x"], "none of the 1 files of .* is there"),
            (["file,label,start", "a.wav,x,soon"], "column 'start' holds 'soon'; expected seconds"),
        ],
    )
    def test_tables_that_cannot_be_used_say_why(self, tmp_path, lines, words):
        trees.write_noise(tmp_path / "a.wav", 0.1)
        with pytest.raises(ParameterError, match=words):
            read_table(trees.write_lines(tmp_path / "memos.csv", lines))


class TestAudformat:
    @pytest.fixture
    def database(self, tmp_path):
        audformat = pytest.importorskip("audformat")
        database = audformat.Database("acted", description="made for a test")
        database.schemes["emotion"] = audformat.Scheme(labels=["happy", "sad"])
        database.schemes["speaker"] = audformat.Scheme(
            labels={"p1": {"gender": "female", "age": 31}, "p2": {"age": 20}}
        )
        database.schemes["duration"] = audformat.Scheme("time")
        files = ["audio/a.wav", "audio/b.wav", "audio/gone.wav"]
        for file in files[:2]:
            trees.write_noise(tmp_path / file, 1)
        database["files"] = audformat.Table(audformat.filewise_index(files))
        database["files"]["speaker"] = audformat.Column(scheme_id="speaker")
        database["files"]["speaker"].set(["p1", "p2", "p1"])
        index = audformat.segmented_index([*files, files[0]], [0, 0, 0, "0.5s"], ["0.4s", pd.NaT, pd.NaT, "1s"])
        database["emotion"] = audformat.Table(index)
        database["emotion"]["emotion"] = audformat.Column(scheme_id="emotion")
        database["emotion"]["emotion"].set(["happy", "sad", "sad", "happy"])
        database.save(str(tmp_path))
        return tmp_path

    def test_has_segments_labels_and_speakers_of_another_table(self, database):
        corpus = read_audformat(database, "emotion", "emotion")
        assert corpus.labels.tolist() == ["happy", "sad", "happy"]
        assert corpus.groups.tolist() == ["p1", "p2", "p1"]
        assert corpus.table["sex"].fillna("").tolist() == ["female", "", "female"]
        assert corpus.table["age"].tolist() == [31, 20, 31]
        assert corpus.index[2][1:] == (pd.Timedelta("500ms"), pd.Timedelta("1s"))
        assert corpus.table["end"].isna().tolist() == [False, True, False]
        assert said_of(corpus, "audio/gone.wav") == "missing: left out"

    def test_segments_of_one_file_may_have_different_speakers(self, database):
        import audformat

        loaded = audformat.Database.load(str(database))
        loaded["people"] = audformat.MiscTable(pd.Index(["p1", "p2"], name="speaker", dtype="string"))
        loaded["people"]["gender"] = audformat.Column()
        loaded["people"]["gender"].set(["female", "male"])
        loaded.schemes["who"] = audformat.Scheme("str", labels="people")
        loaded["emotion"]["speaker"] = audformat.Column(scheme_id="who")
        loaded["emotion"]["speaker"].set(["p1", "p2", "p2", "p2"])
        loaded.save(str(database))
        corpus = read_audformat(database, "emotion", "emotion")
        assert corpus.groups.tolist() == ["p1", "p2", "p2"]
        assert corpus.table["sex"].tolist() == ["female", "male", "male"]

    def test_names_the_tables_and_columns_there_are(self, database):
        with pytest.raises(ParameterError, match=r"table is 'x'; .* has 'emotion', 'files'"):
            read_audformat(database, "x", "emotion")
        with pytest.raises(ParameterError, match="label is 'x'; table 'emotion' has 'emotion'"):
            read_audformat(database, "emotion", "x")
        with pytest.raises(ParameterError, match=r"expected db\.yaml in it"):
            read_audformat(database / "audio", "x", "x")

    def test_without_the_package_the_message_holds_the_pip_line(self, tmp_path, monkeypatch):
        monkeypatch.setitem(sys.modules, "audformat", None)
        with pytest.raises(MissingPackageError, match=r"pip install 'vocalbio\[audformat\]'"):
            read_audformat(tmp_path, "emotion", "emotion")


class TestReadCorpus:
    @pytest.mark.parametrize("name", PUBLISHED)
    def test_knows_a_corpus_by_its_files(self, tmp_path, name):
        tree, reader = PUBLISHED[name]
        root = tree(tmp_path)
        assert read_corpus(root).name == name
        pd.testing.assert_frame_equal(read_corpus(name, root).table, reader(root).table)

    def test_knows_the_interviews_by_their_splits(self, tmp_path):
        assert read_corpus(daic(tmp_path / "a")).name == "daic_woz"
        assert read_corpus(trees.e_daic(tmp_path / "b", {"train": [(300, "male", 4)]})).name == "e_daic"

    def test_falls_back_to_a_manifest_and_to_folders(self, tmp_path):
        trees.write_noise(tmp_path / "corpus" / "snore" / "a.wav", 0.1)
        assert read_corpus(tmp_path / "corpus").name == "folders"
        manifest = trees.write_lines(tmp_path / "corpus" / "manifest.csv", ["file,label", "snore/a.wav,loud"])
        assert read_corpus(tmp_path / "corpus").labels.tolist() == read_corpus(manifest).labels.tolist() == ["loud"]

    def test_hands_options_on(self, tmp_path):
        assert set(read_corpus(trees.emodb(tmp_path), labels="stress").labels) == {"neutral", "sad", "anxious"}

    @pytest.mark.parametrize(
        ("arguments", "options", "words"),
        [
            (("daic_woz",), {}, r"daic_woz does not exist; .*read_corpus\('daic_woz', folder\)"),
            (("daic", "."), {}, "there is no reader 'daic'; expected one of 'androids', "),
            (("emodb", "."), {"task": "reading"}, "the reader of 'emodb' takes 'labels': .*'task'"),
            (("audformat", "."), {}, "takes 'table', 'label', 'speaker': missing"),
        ],
    )
    def test_says_what_is_expected(self, arguments, options, words):
        with pytest.raises(ParameterError, match=words):
            read_corpus(*arguments, **options)

    @pytest.mark.parametrize("name", sorted(set(READERS) - {"audformat", "folders", "table"}))
    def test_a_folder_with_something_else_says_what_was_expected_and_where_it_is_got(self, tmp_path, name):
        trees.write_noise(tmp_path / "holiday.wav", 0.1)
        with pytest.raises(ParameterError, match=r"is no .*: expected .* in it\. .*: (applied for|downloaded)"):
            read_corpus(name, tmp_path)
        with pytest.raises(ParameterError, match=r"does not exist; expected the unpacked folder of"):
            read_corpus(name, tmp_path / "gone")


class TestCorpus:
    @pytest.mark.parametrize("name", PUBLISHED)
    def test_every_table_begins_with_the_same_columns(self, tmp_path, name):
        corpus = read_corpus(name, PUBLISHED[name][0](tmp_path))
        assert list(corpus.table.columns[:6]) == ["file", "start", "end", "speaker", "sex", "label"]
        assert {str(corpus.table[column].dtype) for column in ("start", "end")} == {"timedelta64[ns]"}
        assert corpus.index.names == ["file", "start", "end"]
        assert len(corpus.index) == len(corpus) == len(corpus.labels)
        assert set(corpus.table["sex"].dropna()) <= {"female", "male"}

    def test_is_an_overview_in_print(self, tmp_path):
        root = trees.daic_woz(
            tmp_path,
            {"train": {300: trees.phq8_line(300, 4), 302: trees.phq8_line(302, 13, 1)}, "test": {304: "304,1"}},
            {},
        )
        text = str(read_daic_woz(root))
        for words in (
            "DAIC-WOZ\n",
            "audio     6 stretches of 3 files, 0.00 hours",
            "speakers  3 (2 female, 1 male)",
            "label     False 2 (1 speakers), True 2 (1 speakers), missing 2 (1 speakers)",
            "split     train 4 (2 speakers), test 2 (1 speakers)",
            "train_split_Depression_AVEC2017.csv: 2 participants; the published table has 107",
            "no redistribution",
            "Gratch J et al.",
        ):
            assert words in text
        assert repr(read_daic_woz(root)) == "Corpus('daic_woz', 6 rows of 3 files, 3 speakers)"

    def test_rows_are_selected_by_one_truth_value_each(self, tmp_path):
        corpus = read_emodb(trees.emodb(tmp_path))
        women = corpus.select(corpus.table["sex"] == "female")
        assert set(women.groups) == {"08", "16"}
        assert women.table.index.tolist() == [0, 1, 2, 3]
        with pytest.raises(ParameterError, match="expected True or False for each of the 6 rows"):
            corpus.select([0, 1])
