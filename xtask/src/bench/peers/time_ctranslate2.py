"""Times CTranslate2: time_ctranslate2.py REQUEST"""

import json

import ctranslate2
from worker import answer, clock, repeat_generation, request, threads

SEARCHES = {
    "greedy": {},
    "beam": {"beam_size": 5},
    "top_k": {"sampling_topk": 5},
    "top_p": {"sampling_topk": 0, "sampling_topp": 0.9},
}


def model():
    return ctranslate2.Generator(
        request["model"], device="cpu", compute_type="float32", inter_threads=1, intra_threads=threads
    )


def continued(generator, tokens, prompts, count, search):
    generator.generate_batch(
        [[tokens[token_id] for token_id in prompt] for prompt in prompts],
        max_length=count,
        min_length=count,
        include_prompt_in_result=False,
        **search,
    )


def vocabulary():
    with open(request["model"] + "/vocabulary.json", encoding="utf8") as file:
        return json.load(file)


def generate():
    generator, tokens, search = model(), vocabulary(), SEARCHES[request["search"]]
    return repeat_generation(lambda prompts, count: continued(generator, tokens, prompts, count, search))


def first_token():
    # It has no tokenizer: the prompt's tokens are given to it.
    continued(model(), vocabulary(), [request["prompt_ids"]], 1, {})
    return []


TASKS = {"generate": generate, "load": lambda: [clock(model)], "first-token": first_token}
answer(TASKS[request["task"]]())
