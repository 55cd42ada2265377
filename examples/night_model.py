"""A model of your own for nights: train it on nights whose events are known, and screen another night with it."""

# %% Three short simulated nights: breathing, snoring, apneas, all of it known
import vocalbio as vb
from vocalbio.datasets.nights import NightClips, simulate_night
from vocalbio.risk.window import WindowModel

clips = NightClips()  # nothing recorded: every sound is synthesised
nights = [
    simulate_night(clips, duration_s=600, snr_db=25, apneas_per_hour=30, hypopneas_per_hour=0, seed=seed)
    for seed in (1, 2, 3)
]

# %% A small network hears half a minute around every second; whole nights are held out
model = WindowModel("apnea", network="cnn", preset="small", epochs=8)
model.fit(nights, groups=["sleeper 1", "sleeper 2", "sleeper 3"])
print(model.manifest["training"])

# %% Another night, second by second
night = simulate_night(clips, duration_s=600, snr_db=25, apneas_per_hour=30, hypopneas_per_hour=0, seed=4)
print(model.confusion([night], groups=["sleeper 4"]))

# %% Events, as with the default detector
report = vb.screen_night(night.recording(), model=model)
print(night.events[["start_s", "end_s", "kind"]])
print(report.events)

# %% What a model is made of, and on whom it was trained, goes with it
model.save("night.vocalbio", licence="yours to choose")
again = WindowModel.load("night.vocalbio")
again.manifest["training"]["data"]
