"""Times transformers on torch: time_transformers.py REQUEST"""

import torch
from transformers import GPT2LMHeadModel, GPT2TokenizerFast
from worker import answer, clock, random_ids, repeat, repeat_generation, repeat_tokenizing, request, threads

torch.set_num_threads(threads)
END_OF_TEXT = 50256
SEARCHES = {
    "greedy": {"do_sample": False},
    "beam": {"do_sample": False, "num_beams": 5},
    "top_k": {"do_sample": True, "top_k": 5},
    "top_p": {"do_sample": True, "top_k": 0, "top_p": 0.9},
}


def model():
    return GPT2LMHeadModel.from_pretrained(request["model"], dtype=torch.float32)


def continued(lm, prompts, count, search):
    # Shorter prompts are padded on the left, as the library asks for.
    width = max(map(len, prompts))
    rows = [[END_OF_TEXT] * (width - len(prompt)) + prompt for prompt in prompts]
    mask = [[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts]
    with torch.inference_mode():
        lm.generate(
            torch.tensor(rows),
            attention_mask=torch.tensor(mask),
            max_new_tokens=count,
            min_new_tokens=count,
            pad_token_id=END_OF_TEXT,
            **search,
        )


def generate():
    lm = model().eval()
    search = SEARCHES[request["search"]]
    return repeat_generation(lambda prompts, count: continued(lm, prompts, count, search))


def train():
    lm = model().train()
    optimizer = torch.optim.Adam(lm.parameters(), lr=2e-5)
    forward = torch.compile(lm) if request["mode"] == "torch.compile" else lm

    def step():
        ids = torch.tensor([random_ids(request["length"]) for _ in range(request["batch_size"])])

        def run():
            forward(ids, labels=ids).loss.backward()
            optimizer.step()
            optimizer.zero_grad()

        return clock(run)

    return repeat(step)


def load():
    return [clock(lambda: (GPT2TokenizerFast.from_pretrained(request["model"]), model()))]


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
