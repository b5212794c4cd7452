"""Times KerasHub on JAX, or on torch: time_keras_hub.py REQUEST"""

import os
import time

from worker import answer, cannot, clock, dtype, on_gpu, random_ids, repeat_generation, repeat_tokenizing, request

on_torch = request["mode"] == "torch"
os.environ["KERAS_BACKEND"] = "torch" if on_torch else "jax"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
if not on_gpu:
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
elif dtype == "float32":
    # No TF32: products of 32-bit floats are computed in 32-bit floats.
    os.environ["JAX_DEFAULT_MATMUL_PRECISION"] = "highest"

if on_torch:
    import torch

    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.set_float32_matmul_precision("highest")
    if on_gpu and not torch.cuda.is_available():
        cannot("this torch finds no GPU")
else:
    import jax

    if on_gpu and jax.default_backend() != "gpu":
        cannot("this JAX finds no GPU")

import keras
import numpy as np
from keras_hub import samplers
from keras_hub.models import GPT2CausalLM, GPT2Tokenizer

SAMPLERS = {
    "greedy": samplers.GreedySampler,
    "beam": lambda: samplers.BeamSampler(num_beams=5),
    "contrastive": lambda: samplers.ContrastiveSampler(k=5, alpha=0.6),
    "top_k": lambda: samplers.TopKSampler(k=5, seed=1),
    "top_p": lambda: samplers.TopPSampler(p=0.9, seed=1),
}


def model(dtype=dtype):
    lm = GPT2CausalLM.from_preset(request["model"], dtype=dtype)
    if on_gpu and not on_torch:
        jax.block_until_ready([variable.value for variable in lm.variables])
    synchronize()
    return lm


def synchronize():
    """Waits for a GPU. JAX waits when a result is read."""
    if on_gpu and on_torch:
        torch.cuda.synchronize()


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
        # The result is on the host.
        np.asarray(lm.generate(inputs, stop_token_ids=None)["token_ids"])

    return repeat_generation(run)


class Clock(keras.callbacks.Callback):
    """Records the end of each batch: its loss is then known, which JAX computes together with the new weights."""

    def __init__(self):
        super().__init__()
        self.times = []

    def on_train_batch_end(self, batch, logs=None):
        float(logs["loss"])
        synchronize()
        self.times.append(time.perf_counter())


def train():
    # Weights are always 32-bit floats.
    lm = model(dtype if dtype == "float32" else "mixed_" + dtype)
    lm.preprocessor = None
    if request["lora"]:
        lm.backbone.enable_lora(4)
    lm.compile(optimizer=keras.optimizers.Adam(2e-5))
    batch_size, length = request["batch_size"], request["length"]
    # The first batch compiles. Each later one takes the time since the previous one.
    rows = batch_size * (request["warm_ups"] + request["repetitions"])
    ids = lambda: np.array([random_ids(length) for _ in range(rows)], "int32")
    ones = np.ones((rows, length), "int32")
    times = Clock()
    x = {"token_ids": ids(), "padding_mask": ones}
    lm.fit(x=x, y=ids(), sample_weight=ones, batch_size=batch_size, verbose=0, callbacks=[times])
    return np.diff(times.times)[request["warm_ups"] - 1 :].tolist()


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
