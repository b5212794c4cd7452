"""Prints the time in which transformers opens a model and its tokenizer, its imports not counted:
load_transformers.py FOLDER"""

import json
import sys
import time

from transformers import GPT2LMHeadModel, GPT2TokenizerFast

start = time.perf_counter()
tokenizer = GPT2TokenizerFast.from_pretrained(sys.argv[1])
model = GPT2LMHeadModel.from_pretrained(sys.argv[1])
seconds = time.perf_counter() - start
try:
    with open("/proc/self/status") as status:
        peaks = [int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM")]
except OSError:  # Not Linux.
    peaks = []
peak = peaks[0] if peaks else None
print(json.dumps({"seconds": seconds, "peak_bytes": peak}))
