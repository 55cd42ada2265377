"""Folders in the published layouts of corpora that cannot be shipped: their names and tables, with noise for audio."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import soundfile

RATE = 16_000
PHQ8 = ("NoInterest", "Depressed", "Sleep", "Tired", "Appetite", "Failure", "Concentrating", "Moving")
APPLE_DOUBLE = b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        "

# start, end, speaker, text: the participant is warming up before the interviewer's first row
TALK = [
    (0.2, 1.0, "Participant", "<sync>"),
    (1.0, 2.6, "Participant", "is this thing on"),
    (3.0, 4.0, "Ellie", "hi i'm ellie (greeting)"),
    (4.5, 6.0, "Participant", 'i said "fine'),
    (6.8, 8.0, "Participant", "and thank you"),
    (8.2, 9.0, "Ellie", "where are you from"),
    (9.2, 9.6, "Participant", "here"),
    (10.0, 10.5, "Ellie", "okay"),
    (11.0, 12.5, "Participant", "[synch]"),
    (12.5, 13.8, "Participant", "just around the corner"),
]
TURNS_OF_TALK = [(4.5, 8.0), (12.5, 13.8)]  # what is left: joined over 0.8 s, 0.4 s dropped


def write_noise(path: Path, duration_s: float, rate: int = RATE) -> Path:
    """Noise that is the same in every run and different in every file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(zlib.crc32(path.name.encode()))
    soundfile.write(path, 0.1 * rng.standard_normal(round(duration_s * rate)), rate, format="WAV")
    return path


def write_lines(path: Path, lines: Iterable[str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def write_session(root: Path, number: int, talk: list[tuple[float, float, str, str]], duration_s: float = 15.0,
                  rate: int = RATE) -> None:  # fmt: skip
    folder = root / f"{number}_P"
    write_noise(folder / f"{number}_AUDIO.wav", duration_s, rate)
    rows = [f"{start:.3f}\t{end:.3f}\t{who}\t{text}" for start, end, who, text in talk]
    write_lines(folder / f"{number}_TRANSCRIPT.csv", ["start_time\tstop_time\tspeaker\tvalue", *rows])


def phq8_line(number: int, score: int, sex: int = 0, items: list[int] | None = None, binary: int | None = None) -> str:
    if items is None:
        items = [min(3, max(0, score - 3 * k)) for k in range(8)]
    return ",".join(map(str, [number, int(score >= 10) if binary is None else binary, score, sex, *items]))


def daic_woz(root: Path, sessions: dict[str, dict[int, str]], scores: dict[int, int]) -> Path:
    """Tables of the split of AVEC 2017 and one TALK for each participant; `sessions`: lines by part and number."""
    header = f"Participant_ID,PHQ8_Binary,PHQ8_Score,Gender,{','.join(f'PHQ8_{item}' for item in PHQ8)}"
    for part in ("train", "dev"):
        lines = sessions.get(part, {})
        write_lines(root / f"{part}_split_Depression_AVEC2017.csv", [header, *lines.values(), ",,,"])
    test = sessions.get("test", {})
    write_lines(root / "test_split_Depression_AVEC2017.csv", ["participant_ID,Gender", *test.values()])
    full = [f"{number},{int(score >= 10)},{score}" for number, score in scores.items()]
    write_lines(root / "full_test_split.csv", ["Participant_ID,PHQ_Binary,PHQ_Score", *full])
    for lines in sessions.values():
        for number in lines:
            write_session(root, number, TALK)
    return root


def e_daic(root: Path, people: dict[str, list[tuple[int, str, int]]]) -> Path:
    """`people`: (number, sex, PHQ-8) by part."""
    answers = [f"Participant_ID,{','.join(f'PHQ_8{item}' for item in PHQ8)},PHQ_8Total"]
    for part in ("train", "dev", "test"):
        lines = ["Participant_ID,Gender,PHQ_Binary,PHQ_Score,PCL-C (PTSD),PTSD Severity"]
        for number, sex, score in people.get(part, []):
            lines.append(f"{number},{sex},{int(score >= 10)},{score},1,41.0")
            items = [min(3, max(0, score - 3 * k)) for k in range(8)]
            answers.append(",".join(map(str, [number, *items, score])))
            folder = root / "data" / f"{number}_P"
            write_noise(folder / f"{number}_AUDIO.wav", 8)
            write_lines(
                folder / f"{number}_Transcript.csv",
                ["Start_Time,End_Time,Text,Confidence", '0.5,2.5,"well, so",0.93', "3.0,4.5,yes,0.9", "6.0,6.4,no,0.7"],
            )
        write_lines(root / "labels" / f"{part}_split.csv", lines)
    write_lines(root / "labels" / "Detailed_PHQ8_Labels.csv", answers)
    return root


def androids(root: Path) -> Path:
    reading = ["01_CF56_1", "02_CM31_X", "01_PM65_2", "02_PF40_4", "03_PF22_3"]
    for name in reading:
        write_noise(root / "Reading-Task" / "audio" / ("PT" if "_P" in name else "HC") / f"{name}.wav", 1)
    for name in reading[:3]:
        write_noise(root / "Interview-Task" / "audio" / ("PT" if "_P" in name else "HC") / f"{name}.wav", 10)
        for clip in (1, 2):
            write_noise(root / "Interview-Task" / "audio_clip" / name / f"{name}_{clip}.wav", 1)
    gap = ["", ""]
    folds = [",".join([*(f"'{name}'" for name in reading), *gap, *(f"'{name}'" for name in reading[:3]), "", ""])]
    header = ["Read,,,,,,,Interview,,,,", "fold1,fold2,fold3,fold4,fold5,,,fold1,fold2,fold3,fold4,fold5"]
    write_lines(root / "fold-lists.csv", [*header, *folds])
    times = ["01_CF56_1,2.0,4.0,6.0,9.0", "", "02_CM31_X,1.0,5.5,,", "01_PM65_2,3.0,2.0"]
    write_lines(root / "interview_timedata.csv", times)
    return root


def emodb(
    root: Path, names: Iterable[str] = ("03a01Fa", "03a01Nc", "08a02Ac", "08b10Td", "16a05Wb", "16b03Ld")
) -> Path:
    for name in names:
        write_noise(root / "wav" / f"{name}.wav", 0.5)
    return root


def ravdess(root: Path) -> Path:
    for actor in (1, 2):
        for emotion in range(1, 9):
            write_noise(root / f"Actor_{actor:02d}" / f"03-01-0{emotion}-01-02-01-{actor:02d}.wav", 0.1)
    write_noise(root / "Actor_01" / "03-02-01-01-01-01-01.wav", 0.1)  # sung
    write_noise(root / "audio_speech_actors_01-24" / "Actor_01" / "03-01-01-01-02-01-01.wav", 0.1)  # there twice
    return root


def crema_d(root: Path) -> Path:
    for name in ("1001_DFA_ANG_XX", "1001_IEO_FEA_HI", "1002_IWW_NEU_XX", "1002_IWW_SAD_LO", "1076_MTI_SAD_XX"):
        write_noise(root / "AudioWAV" / f"{name}.wav", 0.2)
    pointer = ["version https://git-lfs.github.com/spec/v1", "oid sha256:00", "size 12345"]
    write_lines(root / "AudioWAV" / "1003_TIE_HAP_XX.wav", pointer)
    people = ["1001,51,Male,Caucasian,Not Hispanic", "1002,21,Female,Caucasian,Not Hispanic"]
    write_lines(root / "VideoDemographics.csv", ["ActorID,Age,Sex,Race,Ethnicity", *people])
    return root


def iemocap(root: Path) -> Path:
    for session in (1, 2):
        dialogue = f"Ses0{session}F_impro01"
        judged = [("F000", "neu"), ("M000", "xxx"), ("F001", "fea"), ("M001", "exc")]
        lines = ["% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]", ""]
        for k, (turn, emotion) in enumerate(judged):
            ratings = "[2.5000, 3.0000, 1.5000]"
            lines += [f"[{6.2 + k:.4f} - {7.1 + k:.4f}]\t{dialogue}_{turn}\t{emotion}\t{ratings}",
                      "C-E2:\tNeutral;\t()", ""]  # fmt: skip
            write_noise(root / f"Session{session}" / "sentences" / "wav" / dialogue / f"{dialogue}_{turn}.wav", 0.9)
        write_lines(root / f"Session{session}" / "dialog" / "EmoEvaluation" / f"{dialogue}.txt", lines)
        # the judges' own sheets lie in folders beside, and are no utterances
        write_lines(root / f"Session{session}" / "dialog" / "EmoEvaluation" / "Categorical" / "x_cat.txt", lines)
    return root


def khan_snoring(root: Path) -> Path:
    rng = np.random.default_rng(0)
    clip = 0.3 * rng.standard_normal(RATE).clip(-1, 1)
    for name, samples in {
        "1/1_0": clip,
        "1/1_1": clip,
        "1/1_30": 0.5 * clip,
        "0/0_0": np.where(clip > 0, 1.0, -1.0),
        "0/0_160": np.zeros(RATE),
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(root / f"{name}.wav", samples, RATE)
    (root / "0" / "0_3.wav").write_bytes(b"RIFF")
    return root


def edf_header(begin: str, n_records: int, record_s: float) -> bytes:
    """The fixed part of a header as of the specification of EDF: `begin` is dd.mm.yyhh.mm.ss."""
    fields = [("0", 8), ("X", 80), ("X", 80), (begin, 16), ("256", 8), ("", 44), (n_records, 8), (record_s, 8), (0, 4)]
    return "".join(str(value).ljust(width) for value, width in fields).encode("ascii")


def psg_audio(root: Path) -> Path:
    for night, parts in {"00000995-100507": (1, 2, 4), "00001010-100507": (1,)}.items():
        for part in parts:
            path = root / "APNEA_EDF" / night / f"{night}[{part:03d}].edf"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(edf_header(f"01.03.1523.{30 + part:02d}.00", 60, 1))
    write_lines(root / "APNEA_RML" / "00000995-100507" / "00000995-100507.rml", ["<PatientStudy/>"])
    write_lines(root / "APNEA_RML" / "00009999-100507" / "00009999-100507.rml", ["<PatientStudy/>"])
    return root
