"""A first model: fitted on some speakers, judged on others, with intervals over speakers."""

# %%
import vocalbio as vb
from vocalbio.datasets.voices import make_cohort
from vocalbio.evaluation import out_of_fold
from vocalbio.metrics import bootstrap

recordings, truth = make_cohort(n_speakers=8, n_recordings=6, seed=5)
labels, speakers = truth["label"].to_numpy(str), truth["speaker"].to_numpy(str)
X = vb.extract_features(recordings)

# %% [markdown]
# Speakers never cross a split: each recording is judged by a model that never heard its speaker.

# %%
model = vb.RiskModel("stress", preset="small", interval_folds=0)
held_out = out_of_fold(model, X, labels, speakers, n_splits=4)
print("UAR", bootstrap("uar", labels, held_out.idxmax(axis=1).to_numpy(str), speakers), "(chance 0.33)")

# %% [markdown]
# One answer, for a speaker whom the model does not know.

# %%
new = speakers == speakers[-1]
model = vb.RiskModel("stress", preset="small", interval_folds=3)
model.fit(X[~new], labels[~new], groups=speakers[~new])
print(model.score_audio(recordings[-1]))
