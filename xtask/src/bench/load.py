"""Prints the time in which a library opens a model and its tokenizer, without its imports:
load.py keras|transformers FOLDER"""

import json
import os
import sys
import time

library, folder = sys.argv[1:]
if library == "keras":
    os.environ.setdefault("KERAS_BACKEND", "jax")
    from keras_hub.models import GPT2CausalLM

    classes = [GPT2CausalLM]
    load = "from_preset"
else:
    from transformers import GPT2LMHeadModel, GPT2TokenizerFast

    classes = [GPT2TokenizerFast, GPT2LMHeadModel]
    load = "from_pretrained"

start = time.perf_counter()
loaded = [getattr(one, load)(folder) for one in classes]
seconds = time.perf_counter() - start
try:
    with open("/proc/self/status") as status:
        peaks = [int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM")]
except OSError:  # Not Linux.
    peaks = []
peak = peaks[0] if peaks else None
print(json.dumps({"seconds": seconds, "peak_bytes": peak}))
