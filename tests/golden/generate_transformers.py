"""Golden data from transformers on torch: the same exported models, models of settings KerasHub lacks, and token ids.

    python generate_transformers.py [--out FOLDER] [--vocabulary encoder.json --merges vocab.bpe]

Run it after generate_keras.py: it reads the exported folders and the probe strings. The vocabulary files, by argument or by the
environment variables GPT2_VOCABULARY and GPT2_MERGES, default to those in gpt2_vocabulary/transformers. They are only used for
token ids. README.md describes every file and every key.
"""

import argparse
import json
import os
import pathlib

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import numpy as np
import tiktoken
import torch
import transformers
from safetensors.numpy import load_file, save_file
from tiktoken.load import data_gym_to_mergeable_bpe_ranks
from transformers import GPT2Config, GPT2LMHeadModel, GPT2Tokenizer

torch.set_num_threads(1)
torch.use_deterministic_algorithms(True)
transformers.utils.logging.disable_progress_bar()

CASES = ("air_small", "air_wide", "air_one_head", "gpt2_vocabulary")

BASE = dict(
    vocab_size=40,
    n_positions=16,
    n_embd=8,
    n_layer=2,
    n_head=2,
    n_inner=None,
    bos_token_id=39,
    eos_token_id=39,
)
VARIANTS = {
    "base": {},
    "n_inner": dict(n_inner=20),
    "layer_norm_epsilon": dict(layer_norm_epsilon=1e-3),
    "activation_gelu_new": dict(activation_function="gelu_new"),
    "activation_gelu": dict(activation_function="gelu"),
    "activation_gelu_pytorch_tanh": dict(activation_function="gelu_pytorch_tanh"),
    "activation_relu": dict(activation_function="relu"),
    "activation_silu": dict(activation_function="silu"),
    "activation_tanh": dict(activation_function="tanh"),
    "no_attention_scale": dict(scale_attn_weights=False),
    "inverse_layer_scale": dict(scale_attn_by_inverse_layer_idx=True),
    "reorder_and_upcast": dict(reorder_and_upcast_attn=True),
    "all_attention_flags": dict(scale_attn_weights=False, scale_attn_by_inverse_layer_idx=True, reorder_and_upcast_attn=True),
    "untied_head": dict(tie_word_embeddings=False),
    "original_layout": {},
    "separate_dropouts": dict(attn_pdrop=0.05, embd_pdrop=0.2, resid_pdrop=0.15),
}


def forward(model, ids, mask):
    """The hidden states after `ln_f` and the logits. Positions are 0, 1, 2, ... regardless of the mask."""
    with torch.no_grad():
        out = model(input_ids=torch.tensor(ids).long(), attention_mask=torch.tensor(mask).long(), output_hidden_states=True)
    return out.hidden_states[-1].numpy(), out.logits.numpy()


def greedy(model, prompt_ids, prompt_mask):
    """Greedy generation of each prompt alone up to the length of the row, without any stop token."""
    rows = []
    for ids, mask in zip(prompt_ids, prompt_mask):
        prompt = torch.tensor(ids[: int(mask.sum())]).long()[None]
        with torch.no_grad():
            out = model.generate(
                prompt,
                attention_mask=torch.ones_like(prompt),
                max_length=len(ids),
                do_sample=False,
                num_beams=1,
                eos_token_id=None,
                pad_token_id=0,
            )
        rows.append(out[0].numpy().astype("int32"))
    return np.stack(rows)


def compare_case(name, out):
    folder = out / name
    model = GPT2LMHeadModel.from_pretrained(folder / "transformers", attn_implementation="eager", dtype=torch.float32).eval()
    model.generation_config.eos_token_id = None
    assert model.lm_head.weight.data_ptr() == model.transformer.wte.weight.data_ptr()
    keras = load_file(folder / "expected.safetensors")
    hidden, logits = forward(model, keras["token_ids"], keras["padding_mask"])
    generated = greedy(model, keras["prompt_ids"], keras["prompt_mask"])
    arrays = {"hidden": hidden, "greedy.ids": generated}
    if "logits_columns" in keras:
        arrays["logits_columns"] = keras["logits_columns"]
        logits = np.ascontiguousarray(logits[..., keras["logits_columns"]])
        arrays["logits_at_columns"], expected = logits, keras["logits_at_columns"]
    else:
        arrays["logits"], expected = logits, keras["logits"]
    save_file({k: np.ascontiguousarray(v) for k, v in arrays.items()}, str(folder / "transformers_expected.safetensors"))
    real = keras["padding_mask"].astype(bool)
    difference = np.abs(logits - expected)
    row = dict(
        case=name,
        hidden_real=float(np.abs(hidden - keras["hidden"])[real].max()),
        logits_real=float(difference[real].max()),
        logits_all=float(difference.max()),
        greedy_equal=bool(np.array_equal(generated, keras["greedy.ids"])),
    )
    print(json.dumps(row), flush=True)
    return row


def use_original_layout(path, config):
    """Rename tensors as in OpenAI's own upload: no `transformer.` prefix, and the causal masks saved as `attn.bias` buffers."""
    tensors = {key.removeprefix("transformer."): value for key, value in load_file(path).items()}
    causal = np.tril(np.ones((1, 1, config.n_positions, config.n_positions), "float32"))
    tensors |= {f"h.{i}.attn.bias": causal for i in range(config.n_layer)}
    save_file(tensors, path, metadata={"format": "pt"})


def make_variant(name, settings, out):
    folder = out / "transformers_variants" / name
    config = GPT2Config(**(BASE | settings))
    config._attn_implementation = "eager"
    model = GPT2LMHeadModel(config).eval()
    # Every variant has the same noise where shapes agree, so that the settings alone make the difference.
    rng = np.random.default_rng(7)
    state = dict(model.named_parameters())
    for key, value in state.items():
        noise = rng.standard_normal(value.shape).astype("float32")
        if ".ln_" in key:
            noise = 0.1 * noise + (1 if key.endswith("weight") else 0)
        elif key.endswith("bias"):
            noise = 0.1 * noise
        elif ".wte." in key or ".wpe." in key or "lm_head" in key:
            noise = 0.6 * noise
        else:
            noise = 1.2 / np.sqrt(config.n_embd) * noise
        value.data.copy_(torch.tensor(np.asarray(noise, "float32")))
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    if name == "original_layout":
        use_original_layout(str(folder / "model.safetensors"), config)
    data = np.random.default_rng(11)
    mask = np.ones((3, config.n_positions), "int32")
    mask[1, 10:] = 0
    mask[2, 5:] = 0
    ids = (data.integers(1, config.vocab_size - 1, mask.shape) * mask).astype("int32")
    again = GPT2LMHeadModel.from_pretrained(folder, attn_implementation="eager", dtype=torch.float32).eval()
    hidden, logits = forward(again, ids, mask)
    assert np.array_equal(logits, forward(model, ids, mask)[1])
    arrays = {"token_ids": ids, "padding_mask": mask, "attention_mask": mask, "hidden": hidden, "logits": logits}
    save_file({k: np.ascontiguousarray(v) for k, v in arrays.items()}, str(folder / "expected.safetensors"))
    return logits


def make_variants(out):
    logits = {name: make_variant(name, settings, out) for name, settings in VARIANTS.items()}
    for name, value in logits.items():
        print(f"variant {name}: differs from base by {np.abs(value - logits['base']).max():.3g}", flush=True)


def tokenize_probes(vocabulary, merges, out):
    folder = out / "tokenizer"
    probes = json.loads((folder / "expected.json").read_text(encoding="utf-8"))["gpt2"]
    lines = [tuple(line.split(" ")) for line in pathlib.Path(merges).read_text(encoding="utf-8").split("\n") if line and not line.startswith("#version")]
    tokenizer = GPT2Tokenizer(vocab=json.loads(pathlib.Path(vocabulary).read_text(encoding="utf-8")), merges=lines)
    special = {"<|endoftext|>": 50256}
    with_header = out / "vocab.bpe.tmp"
    with_header.write_text("#version: 0.2\n" + "\n".join(" ".join(pair) for pair in lines) + "\n", encoding="utf-8")
    try:
        ranks = data_gym_to_mergeable_bpe_ranks(str(with_header), str(vocabulary))
    finally:
        with_header.unlink()
    pattern = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"""
    openai = tiktoken.Encoding("gpt2", pat_str=pattern, mergeable_ranks=ranks, special_tokens=special, explicit_n_vocab=50257)
    rows, differ = [], 0
    for probe in probes:
        ids = tokenizer(probe["text"])["input_ids"]
        assert ids == openai.encode(probe["text"], allowed_special="all"), probe["text"]
        rows.append(
            dict(
                text=probe["text"],
                ids=ids,
                ids_special_as_text=openai.encode(probe["text"], disallowed_special=()),
                detokenized=tokenizer.decode(ids, clean_up_tokenization_spaces=False),
                same_as_keras_hub=ids == probe["ids"],
            )
        )
        differ += ids != probe["ids"]
    texts = ",\n".join("  " + json.dumps(row, ensure_ascii=False) for row in rows)
    header = f' "transformers": "{transformers.__version__}",\n "tiktoken": "{tiktoken.__version__}",\n'
    (folder / "transformers_expected.json").write_text("{\n" + header + ' "gpt2": [\n' + texts + "\n ]\n}\n", encoding="utf-8")
    print(f"tokenizer: {len(rows)} probes, transformers and tiktoken agree on all, KerasHub differs on {differ}", flush=True)


def main():
    here = pathlib.Path(__file__).resolve().parent
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, default=here)
    parser.add_argument("--vocabulary", default=os.environ.get("GPT2_VOCABULARY"))
    parser.add_argument("--merges", default=os.environ.get("GPT2_MERGES"))
    arguments = parser.parse_args()
    exported = arguments.out / "gpt2_vocabulary" / "transformers"
    make_variants(arguments.out)
    tokenize_probes(arguments.vocabulary or exported / "vocab.json", arguments.merges or exported / "merges.txt", arguments.out)
    rows = [compare_case(name, arguments.out) for name in CASES]
    (arguments.out / "agreement.json").write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
