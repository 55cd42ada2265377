"""Play a recording to `vocalbio serve` as a microphone would: python examples/monitor_client.py night.wav [address]"""

# %% The whole client: the rate first, then float32 samples in messages of any size, then "finish"
import asyncio
import json
import sys

from websockets.asyncio.client import connect

import vocalbio as vb


async def monitor(file, address="ws://127.0.0.1:8000/ws/monitor"):
    sound = vb.load_audio(file, sampling_rate_hz=None)
    async with connect(address, compression=None) as socket:
        await socket.send(json.dumps({"sampling_rate_hz": sound.sampling_rate_hz, "person": None, "save": True}))

        async def send():
            for start in range(0, len(sound.samples), 4800):
                await socket.send(sound.samples[start : start + 4800].astype("<f4").tobytes())
            await socket.send(json.dumps({"type": "finish"}))

        sending = asyncio.create_task(send())  # while what comes back is read
        async for text in socket:
            message = json.loads(text)
            if message["type"] in ("event", "alarm", "warning", "error"):
                print(message)
            elif message["type"] == "report":
                print(message["night"]["summary"])
        await sending


# %%
if sys.argv[1:] and sys.argv[1].endswith((".wav", ".flac")):
    asyncio.run(monitor(*sys.argv[1:]))
else:
    print(__doc__)
