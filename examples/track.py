"""One person over time: is this change more than chance?"""

# %% Sixty days of made-up stress scores of one person, who is worse off from the 40th day
import numpy as np
import pandas as pd

import vocalbio as vb

rng = np.random.default_rng(3)
dates = pd.date_range("2026-01-01", periods=60)
scores = 42 + 6 * rng.standard_normal(60)
scores[40:] += 22
scores[[12, 33]] = np.nan  # memos that could not be used

# %% The first ten days are the baseline
followed = vb.track(None, scores, dates=dates, baseline=10)
print(followed)

# %% The days beyond chance
print(followed.days[followed.days["reliable"]].head())
figure = followed.plot(title="Stress over two months", y_label="Stress score")
figure
