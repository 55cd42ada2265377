"""Pages to read and to send: an evaluation, and one answer with what moved it."""

# %%
import numpy as np

import vocalbio as vb
from vocalbio.datasets.voices import make_cohort
from vocalbio.evaluation import cross_validate
from vocalbio.report import answer_page, evaluation_page, model_card
from vocalbio.risk.explanation import explain

recordings, truth = make_cohort(n_speakers=10, n_recordings=6, seed=5)
labels, speakers = truth["label"].to_numpy(str), truth["speaker"].to_numpy(str)
X = vb.extract_features(recordings, families=("voice",))

# %% [markdown]
# How well speakers are told apart whom the model has not heard. The voices are made up, and so are the differences
# between their classes: the numbers say nothing about people.

# %%
model = vb.RiskModel("stress", preset="small", interval_folds=3, epochs=40, random_state=0)
result = cross_validate(model, X, labels, groups=speakers, cv=5, n_resamples=200)
evaluation_page(result, "evaluation.html", model=model, X=X)
print(result)

# %% [markdown]
# One answer, for a speaker whom the model does not know, and what moved it away from the answer for the median of the
# training cohort.

# %%
new = speakers == speakers[-1]
model.fit(X[~new], labels[~new], groups=speakers[~new])
recording = recordings[int(np.flatnonzero(new & (labels == "anxious"))[0])]
explanation = explain(model, recording)
print(explanation)
explanation.plot(title="What moved the answer")

# %% [markdown]
# The same as a page: open `answer.html` in a browser, on a phone, or print it.

# %%
answer_page(model.score_audio(recording), "answer.html", explanation=explanation, audio=recording, model=model)
model_card(model, "card.html")
