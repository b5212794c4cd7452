"""Times KerasHub on JAX: time_keras_hub.py REQUEST"""

import os
import time

os.environ["KERAS_BACKEND"] = "jax"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"

import keras
import numpy as np
from keras_hub import samplers
from keras_hub.models import GPT2CausalLM, GPT2Tokenizer
from worker import answer, clock, random_ids, repeat, repeat_generation, repeat_tokenizing, request

SAMPLERS = {
    "greedy": samplers.GreedySampler,
    "beam": lambda: samplers.BeamSampler(num_beams=5),
    "contrastive": lambda: samplers.ContrastiveSampler(k=5, alpha=0.6),
    "top_k": lambda: samplers.TopKSampler(k=5, seed=1),
    "top_p": lambda: samplers.TopPSampler(p=0.9, seed=1),
}


def model():
    return GPT2CausalLM.from_preset(request["model"])


def generate():
    lm = model()
    lm.preprocessor = None
    lm.compile(sampler=SAMPLERS[request["search"]]())

    def run(prompts, count):
        width = max(map(len, prompts)) + count
        token_ids = np.zeros((len(prompts), width), "int32")
        padding_mask = np.zeros((len(prompts), width), "int32")
        for row, prompt in enumerate(prompts):
            token_ids[row, : len(prompt)] = prompt
            padding_mask[row, : len(prompt)] = 1
        inputs = {"token_ids": token_ids, "padding_mask": padding_mask}
        np.asarray(lm.generate(inputs, stop_token_ids=None)["token_ids"])

    return repeat_generation(run)


class Clock(keras.callbacks.Callback):
    """Notes when each batch has ended; its loss is known then."""

    def __init__(self):
        super().__init__()
        self.times = []

    def on_train_batch_end(self, batch, logs=None):
        float(logs["loss"])
        self.times.append(time.perf_counter())


def train():
    lm = model()
    lm.preprocessor = None
    if request["lora"]:
        lm.backbone.enable_lora(4)
    lm.compile(optimizer=keras.optimizers.Adam(2e-5))
    batch_size, length = request["batch_size"], request["length"]
    # The first batch compiles; the time of each later one is that since the one before.
    rows = batch_size * (1 + request["repetitions"])
    ids = lambda: np.array([random_ids(length) for _ in range(rows)], "int32")
    ones = np.ones((rows, length), "int32")
    times = Clock()
    x = {"token_ids": ids(), "padding_mask": ones}
    lm.fit(x=x, y=ids(), sample_weight=ones, batch_size=batch_size, verbose=0, callbacks=[times])
    return np.diff(times.times).tolist()


def first_token():
    lm = model()
    lm.compile(sampler="greedy")
    lm.generate(request["prompt"], max_length=request["max_length"], stop_token_ids=None)
    return []


def tokenize():
    tokenizer = GPT2Tokenizer.from_preset(request["model"])
    return repeat_tokenizing(tokenizer, tokenizer)


TASKS = {
    "generate": generate,
    "train": train,
    "load": lambda: [clock(model)],
    "first-token": first_token,
    "tokenize": tokenize,
}
answer(TASKS[request["task"]]())
