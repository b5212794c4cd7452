"""Prints the time in which KerasHub opens a preset, its imports not counted: load_keras.py FOLDER"""

import json
import os
import sys
import time

os.environ.setdefault("KERAS_BACKEND", "jax")
import keras_hub

start = time.perf_counter()
model = keras_hub.models.GPT2CausalLM.from_preset(sys.argv[1])
seconds = time.perf_counter() - start
try:
    with open("/proc/self/status") as status:
        peaks = [int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM")]
except OSError:  # Not Linux.
    peaks = []
peak = peaks[0] if peaks else None
print(json.dumps({"seconds": seconds, "peak_bytes": peak}))
