"""Times transformers on torch: time_transformers.py REQUEST"""

import torch
from transformers import GPT2LMHeadModel, GPT2TokenizerFast
from worker import (
    answer,
    cannot,
    clock,
    dtype,
    on_gpu,
    random_ids,
    repeat,
    repeat_generation,
    repeat_tokenizing,
    request,
    threads,
)

torch.set_num_threads(threads)
if on_gpu and not torch.cuda.is_available():
    cannot("this torch finds no GPU")
# No TF32: products of 32-bit floats are computed in 32-bit floats.
torch.backends.cuda.matmul.allow_tf32 = False
torch.backends.cudnn.allow_tf32 = False
torch.set_float32_matmul_precision("highest")
device = "cuda" if on_gpu else "cpu"
compiled = request["mode"] == "torch.compile"
END_OF_TEXT = 50256
SEARCHES = {
    "greedy": {"do_sample": False},
    "beam": {"do_sample": False, "num_beams": 5},
    "top_k": {"do_sample": True, "top_k": 5},
    "top_p": {"do_sample": True, "top_k": 0, "top_p": 0.9},
}


def model(dtype=getattr(torch, dtype)):
    return GPT2LMHeadModel.from_pretrained(request["model"], dtype=dtype).to(device)


def synchronize():
    if on_gpu:
        torch.cuda.synchronize()


def continued(lm, prompts, count, search):
    # Shorter prompts are padded on the left, as the library requires.
    width = max(map(len, prompts))
    rows = [[END_OF_TEXT] * (width - len(prompt)) + prompt for prompt in prompts]
    mask = [[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts]
    with torch.inference_mode():
        lm.generate(
            torch.tensor(rows, device=device),
            attention_mask=torch.tensor(mask, device=device),
            max_new_tokens=count,
            min_new_tokens=count,
            pad_token_id=END_OF_TEXT,
            **search,
        )
    synchronize()


def generate():
    lm = model().eval()
    if compiled and request["steps"]:
        # With a static cache the library compiles the steps itself.
        lm.generation_config.cache_implementation = "static"
    elif compiled:
        lm.forward = torch.compile(lm.forward, dynamic=False)
    search = SEARCHES[request["search"]]
    return repeat_generation(lambda prompts, count: continued(lm, prompts, count, search))


def train():
    # Weights are always 32-bit floats.
    lm = model(torch.float32).train()
    # The default optimizer is slower on a GPU than the fused one.
    optimizer = torch.optim.Adam(lm.parameters(), lr=2e-5, fused=True if on_gpu else None)
    forward = torch.compile(lm) if compiled else lm
    autocast = torch.autocast(device, dtype=getattr(torch, dtype), enabled=dtype != "float32")
    scaler = torch.amp.GradScaler(device, enabled=dtype == "float16")

    def step():
        ids = torch.tensor([random_ids(request["length"]) for _ in range(request["batch_size"])], device=device)

        def run():
            with autocast:
                loss = forward(ids, labels=ids).loss
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
            optimizer.zero_grad()
            synchronize()

        return clock(run)

    return repeat(step)


def load():
    return [clock(lambda: (GPT2TokenizerFast.from_pretrained(request["model"]), model(), synchronize()))]


def first_token():
    tokenizer, lm = GPT2TokenizerFast.from_pretrained(request["model"]), model().eval()
    continued(lm, [tokenizer(request["prompt"])["input_ids"]], 1, SEARCHES["greedy"])
    return []


def tokenize():
    tokenizer = GPT2TokenizerFast.from_pretrained(request["model"])
    return repeat_tokenizing(tokenizer, tokenizer)


TASKS = {
    "generate": generate,
    "train": train,
    "load": load,
    "first-token": first_token,
    "tokenize": tokenize,
}
answer(TASKS[request["task"]]())
