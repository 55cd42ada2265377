"""From the folder of DAIC-WOZ to a page: here on a made tree of the same layout, since the corpus cannot be shipped."""

# %%
from pathlib import Path

import numpy as np
import soundfile

import vocalbio as vb
from vocalbio.datasets import official_folds
from vocalbio.datasets.corpora import read_corpus
from vocalbio.datasets.voices import VoiceParameters, synthesize_voice
from vocalbio.report import write_report

# %% [markdown]
# Whoever has signed the agreement and unpacked the corpus names its folder here, and leaves the next cell out.

# %%
folder = Path("DAIC-WOZ-made-up")

# %% [markdown]
# Twenty interviews with made-up voices in the layout of the corpus: tables of the parts, and for each participant a
# recording and a transcript. The voices of positive "participants" are flatter and pause more, because we made them so:
# the numbers below say nothing about people.

# %%
PARTS = {"train": range(300, 310), "dev": range(310, 314), "test": range(322, 328)}
ITEMS = ("NoInterest", "Depressed", "Sleep", "Tired", "Appetite", "Failure", "Concentrating", "Moving")
TALK = [(0.0, 1.0, "Ellie"), (1.5, 6.5, "Participant"), (7.0, 8.0, "Ellie"), (8.5, 13.5, "Participant")]


def write_interview(number: int, positive: bool, woman: bool) -> None:
    rng = np.random.default_rng(number)
    session = folder / f"{number}_P"
    session.mkdir(parents=True, exist_ok=True)
    person = VoiceParameters(
        f0_hz=(200 if woman else 115) * rng.uniform(0.9, 1.1),
        tract=1.17 if woman else 1.0,
        f0_sd_st=rng.uniform(0.8, 1.6) if positive else rng.uniform(1.4, 2.6),
        pause_count=4 if positive else 2,
        level_db=rng.uniform(-30, -22),
    )
    voice = synthesize_voice(person, 14.0, seed=number).recording
    soundfile.write(session / f"{number}_AUDIO.wav", voice.samples, voice.sampling_rate_hz)
    rows = [f"{start}\t{end}\t{speaker}\tmade up" for start, end, speaker in TALK]
    (session / f"{number}_TRANSCRIPT.csv").write_text("\n".join(["start_time\tstop_time\tspeaker\tvalue", *rows]))


for part, numbers in PARTS.items():
    lines = [
        "participant_ID,Gender"
        if part == "test"
        else f"Participant_ID,PHQ8_Binary,PHQ8_Score,Gender,{','.join(f'PHQ8_{item}' for item in ITEMS)}"
    ]
    full = ["Participant_ID,PHQ_Binary,PHQ_Score"]
    for number in numbers:
        positive, woman = number % 2 == 1, number // 2 % 2 == 1
        items = [2 if positive else 0] * len(ITEMS)
        write_interview(number, positive, woman)
        known = [] if part == "test" else [int(positive), sum(items)]
        lines.append(",".join(map(str, [number, *known, int(woman), *(items if part != "test" else [])])))
        full.append(f"{number},{int(positive)},{sum(items)}")
    (folder / f"{part}_split_Depression_AVEC2017.csv").write_text("\n".join(lines))
(folder / "full_test_split.csv").write_text("\n".join(full))  # of the last part, the test part

# %% [markdown]
# What the copy at hand holds, and what is wrong with it. Nobody's row has the interviewer in it.

# %%
corpus = read_corpus("daic_woz", folder)
print(corpus)
corpus = corpus.select(corpus.table["label"].notna())

# %% [markdown]
# A row for each turn of a participant; trained on train and dev, tested on test, told by participant. Look at what is
# trivial first: pauses make a recording quieter, too, so here loudness alone tells much.

# %%
X = vb.extract_features(corpus.index, families=("prosody", "spectral"))
((train, test),) = official_folds(corpus.splits, corpus.groups)
print(f"{len(set(corpus.groups[train]))} participants to train, {len(set(corpus.groups[test]))} to test")
model = vb.RiskModel("depression", preset="small", class_weight="balanced", epochs=40, interval_folds=3, random_state=0)
result = vb.cross_validate(
    model,
    X,
    corpus.labels,
    groups=corpus.groups,
    cv=corpus.splits,
    person=corpus.table[["sex"]],
    n_resamples=200,
)
print(result)

# %% [markdown]
# The page to read and to send. On the command line all of this is
#
# ```
# vocalbio evaluate --data DAIC-WOZ --corpus daic_woz --condition depression --family prosody --family spectral \
#                   --preset small --balanced --epochs 40 --report daic_woz.html
# ```

# %%
write_report(result, "daic_woz.html", model=model, X=X)
