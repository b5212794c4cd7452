"""Golden data from KerasHub on JAX: presets with random weights, and KerasHub's results with them.

    python generate_keras.py --vocabulary encoder.json --merges vocab.bpe [--only air_small ...] [--out FOLDER]

`encoder.json` and `vocab.bpe` are OpenAI's GPT-2 files; their sha256 is checked. They may also be named by the environment
variables GPT2_VOCABULARY and GPT2_MERGES. README.md describes every file and every key.
"""

import argparse
import hashlib
import json
import os
import pathlib
import shutil

os.environ["KERAS_BACKEND"] = "jax"
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import jax

jax.config.update("jax_default_matmul_precision", "highest")

import keras
import keras_hub
import numpy as np
import tensorflow as tf
from keras import random as keras_random
from safetensors.numpy import load_file, save_file

VOCABULARY_SHA256 = "196139668be63f3b5d6574427317ae82f612a97c5d1cdaf36ed2256dbf636783"
MERGES_SHA256 = "1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5"
END_TOKEN = "<|endoftext|>"
DATE_SAVED = "2000-01-01@00:00:00"

AIRPLANE_MERGES = ["Ġ a", "Ġ t", "Ġ i", "Ġ b", "a i", "p l", "n e"]
AIRPLANE_MERGES += ["Ġa t", "p o", "r t", "Ġt h", "ai r", "pl a", "po rt"]
AIRPLANE_MERGES += ["Ġai r", "Ġa i", "pla ne"]

# The dropout rate is 0.1 on purpose: with 0.0 Keras takes another attention path, which differs on rows that are masked entirely.
CASES = {
    "air_small": dict(vocabulary="airplane", num_layers=2, num_heads=2, hidden_dim=8, intermediate_dim=16, max_sequence_length=24),
    "air_wide": dict(vocabulary="airplane", num_layers=3, num_heads=3, hidden_dim=24, intermediate_dim=40, max_sequence_length=32),
    "air_one_head": dict(vocabulary="airplane", num_layers=1, num_heads=1, hidden_dim=6, intermediate_dim=12, max_sequence_length=16),
    "gpt2_vocabulary": dict(vocabulary="gpt2", num_layers=2, num_heads=4, hidden_dim=8, intermediate_dim=32, max_sequence_length=32),
}
PROMPTS = {
    "airplane": [" airplane at airport", " airplane", " at airport"],
    "gpt2": ["I want to say", "The quick brown fox jumped over", "naïve café"],
}
PREPROCESSED_TEXTS = {
    "airplane": ["", " airplane", " airplane at airport", " the airport at the airplane at a port in the rain", " airplane" + END_TOKEN + " at airport", END_TOKEN],
    "gpt2": ["", "I want", "The quick brown fox jumped.", "naïve café, 日本語 and 😀 " * 4, "left" + END_TOKEN + " right", END_TOKEN],
}
# Three samplers are deterministic. Three are random, with arguments that leave a single candidate.
SAMPLERS = {
    "greedy": ("GreedySampler", {}),
    "beam2": ("BeamSampler", {"num_beams": 2}),
    "beam5": ("BeamSampler", {"num_beams": 5}),
    "contrastive": ("ContrastiveSampler", {"k": 5, "alpha": 0.6}),
    "contrastive_mild": ("ContrastiveSampler", {"k": 3, "alpha": 0.3}),
    "top_k_1": ("TopKSampler", {"k": 1, "seed": 1}),
    "top_p_tiny": ("TopPSampler", {"p": 1e-6, "seed": 1}),
    "random_cold": ("RandomSampler", {"temperature": 1e-4, "seed": 1}),
}
DEGENERATE = ("top_k_1", "top_p_tiny", "random_cold")
# First seed of the search for decisive weights: earlier seeds gave choices that are too close.
FIRST_SEED = {"air_small": 31, "air_wide": 7, "air_one_head": 31, "gpt2_vocabulary": 10}
# Minimum gap between the best two logits of a greedy step: below it, `random_cold` would be random.
SMALLEST_GREEDY_GAP = 0.01
PERTURBATIONS = [1e-6, 1e-5, 1e-5, 1e-5]
SMALLEST_BEAM_GAP = 1e-3
SMALLEST_CONTRASTIVE_GAP = 5e-5


def make_sampler(name):
    class_name, arguments = SAMPLERS[name]
    return getattr(keras_hub.samplers, class_name)(**arguments)


def as_int32(x):
    return np.ascontiguousarray(np.array(x)).astype("int32")


def as_float32(x):
    return np.ascontiguousarray(np.array(x)).astype("float32")


def write_json(path, value):
    """Write one list element or one key a line, so that a difference between two versions can be read."""

    def compact(v):
        return json.dumps(v, ensure_ascii=False)

    def render(v, depth):
        text = compact(v)
        if len(text) <= 180 or not isinstance(v, (dict, list)):
            return text
        pad, end = " " * (depth + 1), " " * depth
        if isinstance(v, dict):
            rows = [f"{pad}{compact(k)}: {render(x, depth + 1)}" for k, x in v.items()]
            return "{\n" + ",\n".join(rows) + "\n" + end + "}"
        if all(isinstance(x, (int, float)) for x in v):
            return text
        return "[\n" + ",\n".join(pad + render(x, depth + 1) for x in v) + "\n" + end + "]"

    path.write_text(render(value, 0) + "\n", encoding="utf-8")


def airplane_vocabulary():
    tokens = {"".join(merge.split(" ")) for merge in AIRPLANE_MERGES} | set("Ġabcdefghijklmnopqrstuvwxyz")
    return {token: i for i, token in enumerate(sorted(tokens) + ["!", END_TOKEN])}


def make_tokenizer(kind, real, **arguments):
    vocabulary, merges = (airplane_vocabulary(), AIRPLANE_MERGES) if kind == "airplane" else real
    return keras_hub.models.GPT2Tokenizer(vocabulary=vocabulary, merges=merges, **arguments)


def make_model(case, real, dtype="float32", dropout=0.1):
    tokenizer = make_tokenizer(case["vocabulary"], real)
    preprocessor = keras_hub.models.GPT2CausalLMPreprocessor(tokenizer, sequence_length=case["max_sequence_length"])
    arguments = {k: v for k, v in case.items() if k != "vocabulary"}
    backbone = keras_hub.models.GPT2Backbone(vocabulary_size=tokenizer.vocabulary_size(), dropout=dropout, dtype=dtype, **arguments)
    return keras_hub.models.GPT2CausalLM(backbone=backbone, preprocessor=preprocessor)


def assign_random_weights(backbone, seed):
    """Weights so large that logits are decisive: the initial ones of KerasHub would leave every choice to rounding."""
    rng = np.random.default_rng(seed)
    for weight in backbone.weights:
        noise = rng.standard_normal(weight.shape)
        if "gamma" in weight.path:
            value = 1 + 0.1 * noise
        elif "beta" in weight.path or "bias" in weight.path:
            value = 0.1 * noise
        elif "embedding" in weight.path:
            value = 0.6 * noise
        else:
            value = 1.2 / np.sqrt(backbone.hidden_dim) * noise
        weight.assign(value.astype("float32"))


class Generator:
    """Calls `GPT2CausalLM.generate` with ids or with strings and keeps one compiled function for each sampler."""

    def __init__(self, lm):
        self.lm = lm
        self.preprocessor = lm.preprocessor
        self.compiled = {}

    def use(self, name):
        if name not in self.compiled:
            self.lm.compile(sampler=make_sampler(name))
            self.lm.make_generate_function()
            self.compiled[name] = (self.lm.sampler, self.lm.generate_function)
        self.lm.sampler, self.lm.generate_function = self.compiled[name]

    def ids(self, name, prompt, stop=None):
        self.use(name)
        self.lm.preprocessor = None
        try:
            out = self.lm.generate({k: np.array(v) for k, v in prompt.items()}, stop_token_ids=stop)
        finally:
            self.lm.preprocessor = self.preprocessor
        return as_int32(out["token_ids"]), as_int32(out["padding_mask"])

    def texts(self, name, prompts, max_length, stop, strip):
        self.use(name)
        return self.lm.generate(prompts, max_length=max_length, stop_token_ids=stop, strip_prompt=strip)


def row(prompt, i):
    return {k: v[i : i + 1] for k, v in prompt.items()}


def greedy_gap(lm, ids, prompt):
    """The smallest distance between the best two logits over all generated positions."""
    logits = np.array(lm({"token_ids": ids, "padding_mask": np.ones_like(ids)}))
    best = np.sort(logits, axis=-1)[..., -2:]
    gap = (best[..., 1] - best[..., 0])[:, :-1]
    generated = ~np.array(prompt["padding_mask"], "bool")[:, 1:]
    return float(gap[generated].min())


def equal_prompts(rng, lm, length, max_length):
    """Three prompts of one length: the start token and random ids."""
    ids = np.zeros((3, max_length), "int32")
    ids[:, :length] = rng.integers(1, lm.backbone.vocabulary_size - 1, (3, length))
    ids[:, 0] = lm.preprocessor.tokenizer.start_token_id
    mask = np.zeros((3, max_length), "bool")
    mask[:, :length] = True
    return {"token_ids": ids, "padding_mask": mask}


def contrastive_gap(lm, ids, prompt, k, alpha):
    """Recompute contrastive search without a cache; the smallest distance between the scores of the best two candidates.

    This is also a second statement of the rule: the similarity is the largest cosine between the candidate's final hidden state
    and those of all positions before it, the start token and the current last token included.
    """
    smallest = np.inf
    for row, length in zip(ids, np.array(prompt).sum(axis=1)):
        for index in range(int(length), len(row)):
            tokens = np.zeros((k + 1, len(row)), "int32")
            tokens[:, :index] = row[:index]
            mask = np.ones_like(tokens)
            logits = np.array(lm({"token_ids": tokens[:1], "padding_mask": mask[:1]}))[0, index - 1].astype("float64")
            probabilities = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
            tokens[:, index] = candidates = np.argsort(-probabilities, kind="stable")[: k + 1]
            hidden = np.array(lm.backbone({"token_ids": tokens, "padding_mask": mask})).astype("float64")
            past, new = hidden[0, :index], hidden[:, index]
            similarity = new @ past.T / np.linalg.norm(past, axis=-1) / np.linalg.norm(new, axis=-1)[:, None]
            scores = (1 - alpha) * probabilities[candidates] - alpha * similarity.max(axis=-1)
            best = np.argsort(-scores[:k], kind="stable")
            assert candidates[best[0]] == row[index], "The description of contrastive search is wrong."
            smallest = min(smallest, scores[best[0]] - scores[best[1]])
            # A candidate that just misses the top k matters only if it would win: then the two logits must differ.
            if scores[k] > scores[best[0]] - 1e-3:
                smallest = min(smallest, logits[candidates[k - 1]] - logits[candidates[k]])
    return float(smallest)


def perturbed_runs_agree(lm, generator, batches, expected):
    """Whether small relative errors of all weights leave every deterministic choice as it is."""
    saved = [keras.ops.convert_to_numpy(w) for w in lm.backbone.weights]
    beams = {(n, label): all_beams(lm, n, prompt) for n in (2, 5) for label, prompt in batches.items()}
    if min(float(np.diff(-scores, axis=1).min()) for _, scores in beams.values()) < SMALLEST_BEAM_GAP:
        return "the order of the beams is too close, it"
    try:
        for i, scale in enumerate(PERTURBATIONS):
            rng = np.random.default_rng(1000 + i)
            for weight, value in zip(lm.backbone.weights, saved):
                weight.assign((value * (1 + scale * rng.standard_normal(value.shape))).astype("float32"))
            for name in SAMPLERS:
                for label, prompt in batches.items():
                    if not np.array_equal(generator.ids(name, prompt)[0], expected[name, label]):
                        return f"{name} on {label} prompts at {scale}"
            if i < 2:
                for (n, label), (ids, _) in beams.items():
                    if not np.array_equal(all_beams(lm, n, batches[label])[0], ids):
                        return f"a beam of {n} on {label} prompts at {scale}"
    finally:
        for weight, value in zip(lm.backbone.weights, saved):
            weight.assign(value)
    return None


def find_seed(lm, generator, ragged, equal, first_seed):
    """The first seed whose choices are all robust, with the outputs and the smallest greedy gap."""
    batches = {"ragged": ragged, "equal": equal} | {f"alone {i}": row(ragged, i) for i in range(3)}
    for seed in range(first_seed, first_seed + 400):
        assign_random_weights(lm.backbone, seed)
        outputs = {}
        outputs["greedy", "ragged"] = generator.ids("greedy", ragged)[0]
        outputs["greedy", "equal"] = generator.ids("greedy", equal)[0]
        gap = min(greedy_gap(lm, outputs["greedy", k], batches[k]) for k in ("ragged", "equal"))
        if gap < SMALLEST_GREEDY_GAP:
            continue
        if any(len(set(r.tolist())) < 8 for r in outputs["greedy", "ragged"]):
            continue  # A row that repeats one or two tokens tests little.
        outputs = {(name, label): generator.ids(name, prompt)[0] for name in SAMPLERS for label, prompt in batches.items()}
        if any(not np.array_equal(outputs[name, k], outputs["greedy", k]) for name in DEGENERATE for k in batches):
            continue
        if any(not (len(set(outputs["contrastive", "ragged"][r].tolist())) >= 8) for r in range(3)):
            continue
        unstable = perturbed_runs_agree(lm, generator, batches, outputs)
        if unstable:
            print(f"  seed {seed}: {unstable} changes", flush=True)
            continue
        gaps = {"greedy_logits": gap}
        for name in ("contrastive", "contrastive_mild"):
            arguments = SAMPLERS[name][1]
            gaps[name] = min(contrastive_gap(lm, outputs[name, k], batches[k]["padding_mask"], **arguments) for k in ("ragged", "equal"))
        if min(gaps["contrastive"], gaps["contrastive_mild"]) < SMALLEST_CONTRASTIVE_GAP:
            print(f"  seed {seed}: contrastive scores are too close", flush=True)
            continue
        return seed, gaps, outputs
    raise SystemExit("No seed gives decisive outputs.")


class AllBeams:
    """A sampler for `generate_step` that records the result of `BeamSampler(return_all_beams=True)`."""

    def __init__(self, num_beams):
        self.sampler = keras_hub.samplers.BeamSampler(num_beams=num_beams, return_all_beams=True)
        self.variables = []

    def __call__(self, **arguments):
        self.ids, self.log_probs = self.sampler(**arguments)
        return self.ids[:, 0]


def all_beams(lm, num_beams, prompt):
    saved, lm.sampler = lm.sampler, AllBeams(num_beams)
    try:
        lm.generate_step({k: keras.ops.convert_to_tensor(v) for k, v in prompt.items()}, stop_token_ids=None)
        return as_int32(lm.sampler.ids), as_float32(lm.sampler.log_probs)
    finally:
        lm.sampler = saved


def choose_stops(ids, prompt, end_id):
    """Two lists of stop ids that occur in generated text: with the first some rows stop, with the second all rows do."""
    mask = np.array(prompt["padding_mask"], "bool")
    max_length = ids.shape[1]
    generated = [[(t, int(v)) for t, v in enumerate(ids[r]) if not mask[r, t]] for r in range(len(ids))]
    # For each row that no earlier choice stops, the second list has the middle one of its generated tokens.
    stop_all = []
    for tokens in generated:
        if any(v in stop_all and t < max_length - 2 for t, v in tokens):
            continue
        middle = len(tokens) // 2
        usable = [v for t, v in tokens[middle - 1 :] + tokens[: middle - 1][::-1] if v not in (0, end_id) and t < max_length - 2]
        if usable:
            stop_all.append(usable[0])
    # The first list is one id that stops at least one row before its end but not every row.
    stop_some = None
    for wanted in (range(1, len(ids)), range(1, len(ids) + 1)):
        for tokens in generated:
            for t, v in tokens[1:]:
                if v in (0, end_id) or t >= max_length - 2:
                    continue
                rows = sum(any(u == v for _, u in other) for other in generated)
                if stop_some is None and rows in wanted:
                    stop_some = [v]
    return stop_some, stop_all


def pretty_tokens(x):
    return [int(v) for v in np.array(x).reshape(-1)]


def preprocessor_cases(lm, texts, lengths):
    tokenizer = lm.preprocessor.tokenizer
    cases = {"texts": texts, "tokens": [pretty_tokens(tokenizer(t)) for t in texts], "call": [], "generate_preprocess": [], "generate_postprocess": []}
    for add_start in (True, False):
        for add_end in (True, False):
            for length in lengths:
                preprocessor = keras_hub.models.GPT2CausalLMPreprocessor(tokenizer, sequence_length=length, add_start_token=add_start, add_end_token=add_end)
                x, y, sample_weight = preprocessor(texts)
                alone, alone_y, alone_weight = preprocessor(texts[2])
                assert np.array_equal(np.array(x["token_ids"])[2], np.array(alone["token_ids"]))
                assert np.array_equal(np.array(y)[2], np.array(alone_y)) and np.array_equal(np.array(sample_weight)[2], np.array(alone_weight))
                cases["call"].append(
                    dict(
                        sequence_length=length,
                        add_start_token=add_start,
                        add_end_token=add_end,
                        token_ids=as_int32(x["token_ids"]).tolist(),
                        padding_mask=as_int32(x["padding_mask"]).tolist(),
                        y=as_int32(y).tolist(),
                        sample_weight=as_int32(sample_weight).tolist(),
                    )
                )
    for add_start in (True, False):
        for length in [None] + lengths:
            preprocessor = keras_hub.models.GPT2CausalLMPreprocessor(tokenizer, sequence_length=lengths[-1], add_start_token=add_start)
            x = preprocessor.generate_preprocess(texts, sequence_length=length)
            ids, mask = as_int32(x["token_ids"]), as_int32(x["padding_mask"])
            cases["generate_preprocess"].append(
                dict(sequence_length=length, preprocessor_sequence_length=lengths[-1], add_start_token=add_start, token_ids=ids.tolist(), padding_mask=mask.tolist())
            )
            if add_start:
                texts_back = lm.preprocessor.generate_postprocess({"token_ids": ids, "padding_mask": mask.astype("bool")})
                cases["generate_postprocess"].append(dict(token_ids=ids.tolist(), padding_mask=mask.tolist(), texts=texts_back))
    # Masks with holes and special tokens in the middle.
    ids = np.array([pretty_tokens(tokenizer(texts[2] + texts[1] + END_TOKEN + texts[1]))[:8]] * 3, "int32")
    mask = np.ones_like(ids)
    mask[1, :2] = 0
    mask[2, 1::2] = 0
    texts_back = lm.preprocessor.generate_postprocess({"token_ids": ids, "padding_mask": mask.astype("bool")})
    cases["generate_postprocess"].append(dict(token_ids=ids.tolist(), padding_mask=mask.tolist(), texts=texts_back))
    return cases


def fix_dates(folder):
    """KerasHub writes the date into metadata.json; a fixed one makes a second run give the same bytes."""
    for path in folder.rglob("metadata.json"):
        metadata = json.loads(path.read_text())
        metadata["date_saved"] = DATE_SAVED
        path.write_text(json.dumps(metadata, indent=4))


def save_expected(path, arrays):
    save_file({k: np.ascontiguousarray(v) for k, v in sorted(arrays.items())}, str(path))


def generate_case(name, real, out):
    case = CASES[name]
    keras.backend.clear_session()
    folder = out / name
    shutil.rmtree(folder / "keras", ignore_errors=True)
    shutil.rmtree(folder / "transformers", ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)

    lm = make_model(case, real)
    generator = Generator(lm)
    tokenizer, vocabulary_size = lm.preprocessor.tokenizer, lm.backbone.vocabulary_size
    length = case["max_sequence_length"]
    max_length = min(length, 24)
    prompts = PROMPTS[case["vocabulary"]]
    data = np.random.default_rng(20240607)
    ragged = {k: np.array(v) for k, v in lm.preprocessor.generate_preprocess(prompts, sequence_length=max_length).items()}
    equal = equal_prompts(data, lm, 4, max_length)
    seed, gaps, generated = find_seed(lm, generator, ragged, equal, FIRST_SEED[name])
    print(f"{name}: seed {seed}, smallest gaps {gaps}", flush=True)

    lm.save_to_preset(str(folder / "keras"))
    lm.export_to_transformers(str(folder / "transformers"))
    if case["vocabulary"] == "gpt2":
        # The exporter duplicates the tied head. The copy is left out because it is as large as the rest of the model.
        path = str(folder / "transformers" / "model.safetensors")
        save_file({k: v for k, v in load_file(path).items() if k != "lm_head.weight"}, path, metadata={"format": "pt"})
    fix_dates(folder)

    info = {
        "case": name,
        "keras_hub": keras_hub.__version__,
        "keras": keras.__version__,
        "jax": jax.__version__,
        "seed": seed,
        "config": {"vocabulary_size": vocabulary_size, **{k: v for k, v in case.items() if k != "vocabulary"}, "dropout": 0.1},
        "start_token_id": int(tokenizer.start_token_id),
        "end_token_id": int(tokenizer.end_token_id),
        "pad_token_id": int(tokenizer.pad_token_id),
        "max_length": max_length,
        "smallest_gaps": {k: round(v, 6) for k, v in gaps.items()},
        "prompts": prompts,
        "prompt_tokens": [pretty_tokens(tokenizer(p)) for p in prompts],
    }
    arrays = {}

    # The forward pass. The real vocabulary keeps 64 columns of the logits and their logsumexp.
    columns = None
    if case["vocabulary"] == "gpt2":
        inner = data.choice(np.arange(1, vocabulary_size - 1), 62, replace=False)
        columns = np.sort(np.concatenate([[0, vocabulary_size - 1], inner])).astype("int32")
        arrays["logits_columns"] = columns

    def keep_logits(key, logits):
        logits = as_float32(logits)
        if columns is None:
            arrays[key] = logits
        else:
            arrays[key + "_at_columns"] = np.ascontiguousarray(logits[..., columns])
            top = logits.astype("float64").max(axis=-1, keepdims=True)
            arrays[key + "_logsumexp"] = (top[..., 0] + np.log(np.exp(logits.astype("float64") - top).sum(axis=-1))).astype("float32")

    mask = np.ones((4, length), "int32")
    mask[1, length * 2 // 3 :] = 0
    mask[2, length // 3 :] = 0
    mask[3, 1:] = 0
    ids = (data.integers(1, vocabulary_size - 1, (4, length)) * mask).astype("int32")
    targets = np.roll(ids, -1, axis=1)
    inputs = {"token_ids": ids, "padding_mask": mask}
    arrays |= {"token_ids": ids, "padding_mask": mask, "score_targets": targets}
    arrays["hidden"] = as_float32(lm.backbone(inputs))
    logits = as_float32(lm(inputs))
    keep_logits("logits", logits)
    arrays["score_loss"] = as_float32(lm.score(ids, mask, scoring_mode="loss", target_ids=targets))
    np.testing.assert_allclose(as_float32(lm.score(ids, mask)), logits, atol=1e-6)

    odd = np.ones((4, length), "int32")
    odd[0, :5] = 0
    odd[1, [0, 2, 3, 7, length - 1]] = 0
    odd[2, :] = 0
    odd[3, 1::2] = 0
    odd_inputs = {"token_ids": ids, "padding_mask": odd}
    arrays["odd_padding_mask"] = odd
    arrays["odd_hidden"] = as_float32(lm.backbone(odd_inputs))
    keep_logits("odd_logits", lm(odd_inputs))
    assert np.isfinite(arrays["odd_hidden"]).all()

    # Scoring with an intercept.
    seen = []

    def intercept(x, i):
        seen.append({"index": i, "shape": list(x.shape)})
        if i == -1:
            return x * 0.5
        return x + 0.1 if i == case["num_layers"] - 1 else x

    keep_logits("intercept_logits", lm.score(ids, mask, layer_intercept_fn=intercept))
    info["layer_intercept_calls"] = list(seen)
    arrays["intercept_loss"] = as_float32(lm.score(ids, mask, scoring_mode="loss", layer_intercept_fn=intercept, target_ids=targets))

    # Cached decoding of row 0, one token a call, and again as a first call of five tokens.
    backbone = lm.backbone
    shape = [1, backbone.num_layers, 2, length, backbone.num_heads, backbone.hidden_dim // backbone.num_heads]
    cache, steps, states = keras.ops.zeros(shape), [], []
    for i in range(length):
        step, state, cache = lm.call_with_cache(ids[:1, i : i + 1], cache, i)
        steps.append(as_float32(step)[0, 0])
        states.append(as_float32(state)[0, 0])
    keep_logits("cached_logits", np.stack(steps))
    arrays["cached_hidden"] = np.stack(states)
    info["cached_vs_uncached_max_abs_diff"] = float(np.abs(np.stack(steps) - logits[0]).max())
    arrays["cached_last_cache"] = as_float32(cache)

    # Generation.
    arrays["prompt_ids"], arrays["prompt_mask"] = as_int32(ragged["token_ids"]), as_int32(ragged["padding_mask"])
    arrays["equal_prompt_ids"], arrays["equal_prompt_mask"] = as_int32(equal["token_ids"]), as_int32(equal["padding_mask"])
    info["generation"] = {}
    for sampler in SAMPLERS:
        class_name, arguments = SAMPLERS[sampler]
        ids_out, mask_out = generator.ids(sampler, ragged)
        assert mask_out.all()
        arrays[f"{sampler}.ids"], arrays[f"{sampler}.mask"] = ids_out, mask_out
        arrays[f"{sampler}.alone_ids"] = np.concatenate([generated[sampler, f"alone {i}"] for i in range(3)])
        arrays[f"{sampler}.equal_ids"] = generated[sampler, "equal"]
        texts = {
            "texts": generator.texts(sampler, prompts, max_length, None, False),
            "texts_strip_prompt": generator.texts(sampler, prompts, max_length, None, True),
        }
        entry = {"class": class_name, "arguments": arguments}
        if sampler not in DEGENERATE:
            some, every = choose_stops(ids_out, ragged, int(tokenizer.end_token_id))
            for label, stop in (("stop_some", some), ("stop_all", every)):
                if stop is None:
                    continue
                entry[label] = stop
                stopped, stopped_mask = generator.ids(sampler, ragged, stop)
                arrays[f"{sampler}.{label}_ids"], arrays[f"{sampler}.{label}_mask"] = stopped, stopped_mask
                texts[f"texts_{label}"] = generator.texts(sampler, prompts, max_length, stop, False)
                texts[f"texts_{label}_strip_prompt"] = generator.texts(sampler, prompts, max_length, stop, True)
            alone = [generator.ids(sampler, row(ragged, i), every) for i in range(3)]
            arrays[f"{sampler}.alone_stop_all_ids"] = np.concatenate([a for a, _ in alone])
            arrays[f"{sampler}.alone_stop_all_mask"] = np.concatenate([m for _, m in alone])
            texts["texts_auto_stop"] = generator.texts(sampler, prompts, max_length, "auto", False)
        info["generation"][sampler] = entry | texts
    for num_beams in (2, 5):
        name_of = f"beam{num_beams}"
        generator.use(name_of)
        for prefix, prompt, top in (("", ragged, arrays[f"{name_of}.ids"]), ("equal_", equal, arrays[f"{name_of}.equal_ids"])):
            beams, scores = all_beams(lm, num_beams, prompt)
            assert np.array_equal(beams[:, 0], top)
            arrays[f"{name_of}.{prefix}all_ids"], arrays[f"{name_of}.{prefix}all_log_probs"] = beams, scores
        alone = [all_beams(lm, num_beams, row(ragged, i)) for i in range(3)]
        arrays[f"{name_of}.alone_all_ids"] = np.concatenate([b for b, _ in alone])
        arrays[f"{name_of}.alone_all_log_probs"] = np.concatenate([s for _, s in alone])
        between = [np.abs(np.diff(arrays[f"{name_of}.{prefix}all_log_probs"], axis=1)).min() for prefix in ("", "equal_", "alone_")]
        info["smallest_gaps"][name_of] = round(float(min(between)), 6)

    # Surprising behaviour: a stop id equal to the pad id, an integer mask, a special token and a long text as prompt.
    quirks = {}
    pad_stop, pad_stop_mask = generator.ids("greedy", ragged, [0])
    arrays["greedy.stop_pad_ids"], arrays["greedy.stop_pad_mask"] = pad_stop, pad_stop_mask
    quirks["special_prompt"] = prompts[1] + END_TOKEN + prompts[2]
    quirks["special_prompt_texts_auto_stop"] = generator.texts("greedy", [quirks["special_prompt"]], max_length, "auto", False)
    quirks["special_prompt_texts_strip_prompt"] = generator.texts("greedy", [quirks["special_prompt"]], max_length, "auto", True)
    quirks["long_prompt"] = prompts[0] * 4
    quirks["long_prompt_max_length"] = 6
    quirks["long_prompt_texts"] = generator.texts("greedy", [quirks["long_prompt"]], 6, None, False)
    quirks["long_prompt_texts_strip_prompt"] = generator.texts("greedy", [quirks["long_prompt"]], 6, None, True)
    stop = [int(tokenizer.end_token_id)]  # Every prompt begins with this token.
    integer = {k: v.astype("int32") for k, v in ragged.items()}
    for sampler in ("greedy", "contrastive"):
        same = np.array_equal(generator.ids(sampler, integer, stop)[0], generator.ids(sampler, ragged, stop)[0])
        quirks[f"integer_mask_gives_same_ids_{sampler}"] = bool(same)
    info["quirks"] = quirks

    info["preprocessor"] = preprocessor_cases(lm, PREPROCESSED_TEXTS[case["vocabulary"]], [4, 8, length])

    if name == "air_small":
        small_case_extras(lm, case, real, folder, inputs, odd_inputs, arrays, info)

    # The saved preset gives the same numbers.
    again = keras_hub.models.CausalLM.from_preset(str(folder / "keras"))
    np.testing.assert_array_equal(as_float32(again(inputs)), logits)

    save_expected(folder / "expected.safetensors", arrays)
    write_json(folder / "expected.json", info)


def small_case_extras(lm, case, real, folder, inputs, odd_inputs, arrays, info):
    """Presets in shards and in half precision, and the attention path of a model without dropout."""
    for extra in ("sharded", "float16", "bfloat16"):
        shutil.rmtree(folder / extra, ignore_errors=True)
    lm.save_to_preset(str(folder / "sharded"), max_shard_size=0.000002)
    weights = [keras.ops.convert_to_numpy(w) for w in lm.backbone.weights]
    for dtype in ("float16", "bfloat16"):
        keras.backend.clear_session()
        half = make_model(case, real, dtype=dtype)
        for weight, value in zip(half.backbone.weights, weights):
            weight.assign(value)
        half.save_to_preset(str(folder / dtype))
        keras.backend.clear_session()
        full = make_model(case, real)
        for weight, value in zip(full.backbone.weights, half.backbone.weights):
            weight.assign(keras.ops.convert_to_numpy(value).astype("float32"))
        arrays[f"{dtype}_logits"] = as_float32(full(inputs))
        arrays[f"{dtype}_compute_logits"] = as_float32(half(inputs))
    keras.backend.clear_session()
    plain = make_model(case, real, dropout=0.0)
    for weight, value in zip(plain.backbone.weights, weights):
        weight.assign(value)
    arrays["odd_hidden_without_dropout"] = as_float32(plain.backbone(odd_inputs))
    difference = np.abs(as_float32(plain.backbone(inputs)) - arrays["hidden"])
    info["dropout_zero_vs_nonzero_max_abs_diff"] = {
        "padding_mask": float(difference.max()),
        "odd_padding_mask": float(np.abs(arrays["odd_hidden_without_dropout"] - arrays["odd_hidden"]).max()),
    }
    fix_dates(folder)


def kept_tokens(sampler, probabilities):
    """The token ids a sampler may draw, in its own order, with their probabilities.

    The draw is replaced by a recorder that takes column 0, 1, 2, ... in turn. A column whose log-probability is finite may be
    drawn; what the sampler returns for it is the token id. The probabilities are the softmax of the recorded log-probabilities.
    """
    original, kept, column = keras_random.categorical, [], 0
    recorded = {}

    def take_column(logits, num_samples, seed=None, dtype="int32"):
        recorded["logits"] = np.array(logits)[0]
        return keras.ops.full((1, 1), column, dtype=dtype)

    keras_random.categorical = take_column
    try:
        while True:
            token = int(np.array(sampler.get_next_token(probabilities))[0])
            if np.isfinite(recorded["logits"][column]):
                kept.append(token)
            column += 1
            if column == len(recorded["logits"]):
                break
    finally:
        keras_random.categorical = original
    weights = np.exp(recorded["logits"][np.isfinite(recorded["logits"])].astype("float64"))
    return kept, [float(np.float32(w)) for w in weights / weights.sum()]


def generate_samplers(out):
    folder = out / "samplers"
    folder.mkdir(parents=True, exist_ok=True)
    distributions = [
        [0.5, 0.25, 0.125, 0.125],
        [0.125, 0.125, 0.25, 0.5],
        [0.25, 0.25, 0.25, 0.25],
        [0.0625, 0.5, 0.0625, 0.25, 0.125],
        [0.5, 0.5, 0.0],
        [1.0, 0.0, 0.0, 0.0],
        [0.375, 0.375, 0.125, 0.0625, 0.0625],
        [0.03125, 0.25, 0.03125, 0.125, 0.25, 0.0625, 0.125, 0.125],
        [0.25, 0.0, 0.25, 0.0, 0.25, 0.0, 0.25, 0.0, 0.0, 0.0],
        [0.125] * 8,
        [0.015625, 0.734375, 0.25],
        [0.0009765625, 0.9990234375, 0.0],
    ]
    info = {"keras_hub": keras_hub.__version__, "top_p": [], "top_k": [], "greedy": [], "temperature": []}
    for probabilities in distributions:
        array = keras.ops.convert_to_tensor(np.array([probabilities], "float32"))
        for k in (None, 2, 3):
            for p in (1e-6, 0.1, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 0.9375, 0.99, 1.0):
                kept, kept_probabilities = kept_tokens(keras_hub.samplers.TopPSampler(p=p, k=k), array)
                info["top_p"].append(dict(probabilities=probabilities, p=p, k=k, kept=kept, kept_probabilities=kept_probabilities))
        for k in sorted({1, 2, 3, len(probabilities)}):
            kept, kept_probabilities = kept_tokens(keras_hub.samplers.TopKSampler(k=k), array)
            info["top_k"].append(dict(probabilities=probabilities, k=k, kept=kept, kept_probabilities=kept_probabilities))
        token = int(np.array(keras_hub.samplers.GreedySampler().get_next_token(array))[0])
        info["greedy"].append(dict(probabilities=probabilities, token=token))
    for logits in ([0.0, 1.0, 2.0, 3.0], [-1.5, 0.25, 0.25, 4.0, -8.0], [100.0, 99.0, 0.0], [-1e9, 0.0, 1.0]):
        for temperature in (0.5, 1.0, 2.0):
            sampler = keras_hub.samplers.GreedySampler(temperature=temperature)
            probabilities = as_float32(sampler.compute_probabilities(keras.ops.convert_to_tensor(np.array([logits], "float32"))))[0]
            info["temperature"].append(dict(logits=logits, temperature=temperature, probabilities=[float(v) for v in probabilities]))
    write_json(folder / "expected.json", info)
    print(f"samplers: {len(info['top_p'])} top_p cases", flush=True)


PROBES = [
    "", " ", "  ", "   ", "\n", "\n\n", "\n\n\n", "\t", "\t\t x", "\r\n", "a\r\nb\r\n", "a\n\nb", "a\n\n\n\nb", "Hello\n\nHello", "Hello\n\n",
    " \n x", "\n\n\n  s", "  \n\n\ns", "x \n", "x\n ", "  leading", "trailing  ", " both ", "a    b", "  5", "2019 12345", "3.14159", "1,000,000", "١٢٣ ½ ²",
    " 'so", "'them", "don't DON'T", "don't 'tis", "I'll we've he'd they're I'm it's", "I'LL IT'S", "''quoted''", "it’s", "rock 'n' roll",
    "The quick brown fox.", "I want to say", "Hello, world!", "!!!???...", "foo_bar-baz/qux@example.org", "def f(x):\n    return x+1\n", "<html>&nbsp;</html>",
    "naïve café", "e\u0301 vs \u00e9", "ÀÉÎÕÜ straße ſ ŒUVRE", "Ωμέγα Привет İstanbul", "日本語のテキスト", "中文，测试。", "한국어 테스트", "السلام عليكم", "नमस्ते दुनिया", "ไทย ภาษา",
    "😀", "👩‍👩‍👧‍👦 family", "🇯🇵🏳️‍🌈", "a\u00a0b", "\u00a0 \u00a0 000 s", "a\u2009b\u202fc\u3000d", "a\u200bb\ufeffc", "\u0000\u0001\u007f\u0085", "a\u2028b\u2029c", "\U0001d54f\U0010ffff\ue000",
    "<|endoftext|>", "a<|endoftext|>b", "left <|endoftext|> right", "<|endoftext|><|endoftext|>", "<|endoftext|", "< |endoftext|>", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "supercalifragilisticexpialidocious",
    "ĠĠ Ċ", "x" * 3 + "\u0301" * 3, " \u00a0", "a \u00a0b", "9'9 'll'll ' ll",
]


def generate_tokenizer(real, out):
    folder = out / "tokenizer"
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = make_tokenizer("gpt2", real)
    graph = [pretty_tokens(v) for v in tf.data.Dataset.from_tensor_slices(PROBES).map(tokenizer).as_numpy_iterator()]
    probes = []
    for text, graph_ids in zip(PROBES, graph):
        ids = pretty_tokens(tokenizer(text))
        probes.append(dict(text=text, ids=ids, graph_ids=graph_ids, detokenized=tokenizer.detokenize(ids)))
    loose = [[1169, 2068], [50256, 64, 50256], [447], [447, 247], [30325, 222], [30325], [0], [128], [50256], []]
    info = {
        "keras_hub": keras_hub.__version__,
        "gpt2": probes,
        "detokenize": [dict(ids=ids, text=tokenizer.detokenize(ids)) for ids in loose],
        "batch": dict(texts=["a b", "", "The quick"], ids=[list(map(int, r)) for r in tokenizer(["a b", "", "The quick"])]),
    }

    vocabulary = airplane_vocabulary()
    texts = [" airplane at airport" + END_TOKEN, " airplane airport", " airplane at airport", "airplane", "", "Airplane at 5", " zebra!", "é airport"]

    def listed(x):
        return [v if isinstance(v, str) else (list(map(int, v)) if not isinstance(v[0] if len(v) else 0, str) else list(v)) for v in x]

    def airplane(label, texts, **arguments):
        t = make_tokenizer("airplane", None, **arguments)
        ids = listed(t(texts))
        entry = dict(label=label, arguments=arguments, texts=texts, outputs=ids)
        if arguments.get("dtype") != "string":
            entry["detokenized"] = [t.detokenize([int(v) for v in row]) for row in ids]
        return entry

    info["airplane"] = {
        "vocabulary": vocabulary,
        "merges": AIRPLANE_MERGES,
        "cases": [
            airplane("basics", texts),
            airplane("add_prefix_space", ["airplane", "at airport", " airport", "", END_TOKEN + "airport"], add_prefix_space=True),
            airplane("sequence_length", texts[:5], sequence_length=4),
            airplane("string dtype", texts[:5], dtype="string"),
        ],
    }
    # Unsplittable tokens are tested on BytePairTokenizer, as KerasHub does: GPT2Tokenizer has its special token as the only one.
    merges, vocabulary = ["s p", "Ġ s"], {"sp": 0, "s": 1, "p": 2, "Ġ": 3, "Ġs": 4, "<x y>": 5}
    info["byte_pair"] = {"vocabulary": vocabulary, "merges": merges, "cases": []}
    for unsplittable in ([], ["s", "p"], ["<x y>"]):
        t = keras_hub.tokenizers.BytePairTokenizer(vocabulary=vocabulary, merges=merges, unsplittable_tokens=unsplittable)
        texts = ["sp", " sp", "ssp<x y>sp"]
        info["byte_pair"]["cases"].append(dict(unsplittable_tokens=unsplittable, texts=texts, outputs=listed(t(texts))))
    write_json(folder / "expected.json", info)
    differ = sum(p["ids"] != p["graph_ids"] for p in probes)
    print(f"tokenizer: {len(probes)} probes, {differ} differ between the eager and the graph path", flush=True)


def main():
    here = pathlib.Path(__file__).resolve().parent
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vocabulary", default=os.environ.get("GPT2_VOCABULARY"), help="OpenAI's encoder.json")
    parser.add_argument("--merges", default=os.environ.get("GPT2_MERGES"), help="OpenAI's vocab.bpe")
    parser.add_argument("--out", type=pathlib.Path, default=here)
    parser.add_argument("--only", nargs="*", help="names of cases, `samplers`, `tokenizer`; default: all")
    arguments = parser.parse_args()
    if not arguments.vocabulary or not arguments.merges:
        parser.error("name the vocabulary and the merges by arguments or by GPT2_VOCABULARY and GPT2_MERGES")
    contents = []
    for path, digest in ((arguments.vocabulary, VOCABULARY_SHA256), (arguments.merges, MERGES_SHA256)):
        contents.append(pathlib.Path(path).read_bytes())
        if hashlib.sha256(contents[-1]).hexdigest() != digest:
            parser.error(f"{path} is not OpenAI's file: its sha256 differs")
    merges = [line for line in contents[1].decode("utf-8").split("\n")[1:] if line]
    real = (json.loads(contents[0]), merges)
    wanted = arguments.only or [*CASES, "samplers", "tokenizer"]
    for name in wanted:
        if name == "samplers":
            generate_samplers(arguments.out)
        elif name == "tokenizer":
            generate_tokenizer(real, arguments.out)
        else:
            generate_case(name, real, arguments.out)


if __name__ == "__main__":
    main()
