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
with open("/proc/self/status") as status:
    peak = next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))
print(json.dumps({"seconds": seconds, "peak_bytes": peak}))
