"""Code shared by the rivals' workers: the request, the clock and the answer.

A worker does a request's work several times and prints `{"values": [...], "peak_bytes": ...}` last:
seconds of a prefill, of a step or of loading, or bytes in a second. One that cannot do the work prints
`{"cannot": reason}`.
"""

import json
import os
import random
import sys
import time

request = json.loads(sys.argv[1])
threads = request["threads"]
dtype = request["dtype"]
on_gpu = request["device"] == "gpu"

# Limit of random prompts' ids, a little less than GPT-2's vocabulary.
RANDOM_IDS = 50_000


def random_ids(length):
    return [random.randrange(RANDOM_IDS) for _ in range(length)]


def repeat(run):
    """Values of all repetitions, after discarded ones that compile and fill caches."""
    for _ in range(request["warm_ups"]):
        run()
    return [run() for _ in range(request["repetitions"])]


def clock(run):
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def repeat_generation(generate):
    """`generate(prompts, count)` continues every prompt by `count` tokens."""

    def seconds(count):
        prompts = [random_ids(length) for length in request["lengths"]]
        return clock(lambda: generate(prompts, count))

    def run():
        first, steps = seconds(1), request["steps"]
        return (seconds(steps + 1) - first) / steps if steps else first

    return repeat(run)


def repeat_tokenizing(tokenize, tokenize_batch):
    with open(request["text"], encoding="utf8") as file:
        text = file.read()
    size = len(text.encode())
    lines = text.splitlines()
    run = (lambda: tokenize_batch(lines)) if request["batch"] else (lambda: tokenize(text))
    return repeat(lambda: size / clock(run))


def cannot(reason):
    end({"cannot": reason})


def answer(values):
    try:
        with open("/proc/self/status") as status:
            peaks = [int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM")]
    except OSError:  # Not Linux.
        peaks = []
    end({"values": values, "peak_bytes": peaks[0] if peaks else None})


def end(words):
    print(json.dumps(words), flush=True)
    # Some libraries hang or crash at exit.
    os._exit(0)
