"""Times llama.cpp: time_llama_cpp.py REQUEST

Uses llama.cpp's own loop, as llama-server does: that of the Python package copies logits.
"""

from worker import answer, cannot, clock, dtype, on_gpu, repeat_generation, repeat_tokenizing, request, threads

try:
    import llama_cpp as llama
except ImportError:
    cannot("llama-cpp-python is not there: build it for the GPU, and name its Python by --torch-python")
if on_gpu and not llama.llama_supports_gpu_offload():
    cannot("this llama-cpp-python is built for the CPU alone")

POSITIONS = 1024
TYPES = {"float32": 0, "float16": 1, "bfloat16": 30}  # ggml's type ids


def quiet(level, text, data):
    pass


log_callback = llama.llama_log_callback(quiet)
llama.llama_log_set(log_callback, None)


def load():
    llama.llama_backend_init()
    parameters = llama.llama_model_default_params()
    if on_gpu:
        parameters.n_gpu_layers = 999
    return llama.llama_model_load_from_file(request["model"].encode(), parameters)


def positions():
    """Cells of a sequence: all of them on a CPU, where unused ones take no memory."""
    if not on_gpu or "lengths" not in request:
        return POSITIONS
    used = max(request["lengths"]) + request["steps"] + 1
    return -(-used // 256) * 256


def context(model, rows):
    parameters = llama.llama_context_default_params()
    # Each sequence has a part of the cache.
    parameters.n_ctx = positions() * rows
    parameters.n_batch = parameters.n_ubatch = POSITIONS
    parameters.n_seq_max = rows
    parameters.n_threads = parameters.n_threads_batch = threads
    parameters.type_k = parameters.type_v = TYPES[dtype]
    flash = request["mode"] == "flash attention"
    parameters.flash_attn_type = llama.LLAMA_FLASH_ATTN_TYPE_ENABLED if flash else llama.LLAMA_FLASH_ATTN_TYPE_DISABLED
    return llama.llama_init_from_model(model, parameters)


def sampler(search):
    chain = llama.llama_sampler_chain_init(llama.llama_sampler_chain_default_params())
    if search == "greedy":
        llama.llama_sampler_chain_add(chain, llama.llama_sampler_init_greedy())
        return chain
    narrow = llama.llama_sampler_init_top_k(5) if search == "top_k" else llama.llama_sampler_init_top_p(0.9, 1)
    llama.llama_sampler_chain_add(chain, narrow)
    llama.llama_sampler_chain_add(chain, llama.llama_sampler_init_dist(1))
    return chain


def feed(context, batch, tokens):
    """Decodes a batch of `(token, position, sequence, wants_logits)`."""
    batch.n_tokens = len(tokens)
    for index, (token, position, sequence, wants_logits) in enumerate(tokens):
        batch.token[index] = token
        batch.pos[index] = position
        batch.n_seq_id[index] = 1
        batch.seq_id[index][0] = sequence
        batch.logits[index] = wants_logits
    if llama.llama_decode(context, batch) != 0:
        raise RuntimeError("llama_decode failed")


def continued(context, batch, chooser, prompts, count):
    llama.llama_memory_clear(llama.llama_get_memory(context), False)
    chosen = []
    for sequence, prompt in enumerate(prompts):
        last = len(prompt) - 1
        feed(context, batch, [(token, at, sequence, at == last) for at, token in enumerate(prompt)])
        chosen.append(llama.llama_sampler_sample(chooser, context, -1))
    for step in range(count - 1):
        feed(context, batch, [(chosen[row], len(prompt) + step, row, True) for row, prompt in enumerate(prompts)])
        chosen = [llama.llama_sampler_sample(chooser, context, row) for row in range(len(prompts))]


def generation(model, rows, search):
    state, batch, chooser = context(model, rows), llama.llama_batch_init(POSITIONS, 0, 1), sampler(search)
    return lambda prompts, count: continued(state, batch, chooser, prompts, count)


def generate():
    return repeat_generation(generation(load(), len(request["lengths"]), request["search"]))


def tokens_of(model, text):
    vocabulary, data = llama.llama_model_get_vocab(model), text.encode()
    tokens = (llama.llama_token * (len(data) + 1))()
    count = llama.llama_tokenize(vocabulary, data, len(data), tokens, len(tokens), False, False)
    return tokens[:count]


def first_token():
    model = load()
    generation(model, 1, "greedy")([tokens_of(model, request["prompt"])], 1)
    return []


def tokenize():
    model = load()
    return repeat_tokenizing(lambda text: tokens_of(model, text), None)


TASKS = {
    "generate": generate,
    "load": lambda: [clock(load)],
    "first-token": first_token,
    "tokenize": tokenize,
}
answer(TASKS[request["task"]]())
