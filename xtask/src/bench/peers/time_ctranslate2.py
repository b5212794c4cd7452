"""Times CTranslate2: time_ctranslate2.py REQUEST"""

import ctypes
import json
import sysconfig
from pathlib import Path

from worker import answer, cannot, clock, dtype, on_gpu, repeat_generation, request, threads

if on_gpu:
    # The package needs a library that it does not install.
    for name in ["libcublasLt.so.12", "libcublas.so.12"]:
        library = Path(sysconfig.get_path("purelib"), "nvidia", "cublas", "lib", name)
        if library.exists():
            ctypes.CDLL(library, mode=ctypes.RTLD_GLOBAL)

import ctranslate2

device = "cuda" if on_gpu else "cpu"
try:
    types = ctranslate2.get_supported_compute_types(device)
except (RuntimeError, ValueError) as error:
    cannot(f"this CTranslate2 finds no GPU: {error}")
if dtype not in types:
    cannot(f"does not compute in {dtype} here")

SEARCHES = {
    "greedy": {},
    "beam": {"beam_size": 5},
    "top_k": {"sampling_topk": 5},
    "top_p": {"sampling_topk": 0, "sampling_topp": 0.9},
}


def model():
    return ctranslate2.Generator(
        request["model"], device=device, compute_type=dtype, inter_threads=1, intra_threads=threads
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
    # CTranslate2 has no tokenizer: the request has the prompt's tokens.
    continued(model(), vocabulary(), [request["prompt_ids"]], 1, {})
    return []


TASKS = {"generate": generate, "load": lambda: [clock(model)], "first-token": first_token}
answer(TASKS[request["task"]]())
