"""Features of recordings: from sound to a table that says what it knows and what it does not."""

# %% [markdown]
# Voices of known pitch stand in for files here; put a list of paths in their place.

# %%
import numpy as np

import vocalbio as vb
from vocalbio.datasets.voices import make_cohort

recordings, truth = make_cohort(n_speakers=4, n_recordings=2, seed=3)
X = vb.extract_features([*recordings, "does-not-exist.wav"])
print(X.iloc[:, :5])

# %% [markdown]
# Nothing is lost: the missing file has its row, and a reason.

# %%
print(vb.errors(X))
assert X["quality__ok"].iloc[-1] == 0

# %% [markdown]
# Measured pitch against the pitch that the voices were made with.

# %%
measured = X["voice__f0_median_hz"].to_numpy()[:-1]
print(np.column_stack([truth["f0_hz"], measured]).round(1))

# %% [markdown]
# Windows, and features over time.

# %%
windows = vb.extract_features(recordings[0], ["voice"], window_s=1.5, hop_s=0.75)
print(windows["voice__f0_sd_st"])
frames = vb.extract_frames(recordings[0], "voice")
print(frames)

# %% [markdown]
# What a column means, and when it is a number.

# %%
print(vb.describe_columns().loc["voice__jitter_local"])
