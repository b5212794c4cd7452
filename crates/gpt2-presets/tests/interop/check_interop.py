"""Loads a saved preset with the library that it was saved for, and compares.

Usage: check_interop.py keras|transformers FOLDER..., with KerasHub or transformers and torch
installed. The file FOLDER.json beside each folder holds what is expected of it; FOLDER.lora.h5, if
it exists, is a LoRA to be loaded, for the layers in FOLDER.lora.json.
"""

import json
import os
import sys

import numpy as np

# Absolute, for logits of about 1; those of the bundled model reach 16, and their rounding grows with them.
TOLERANCE = 1e-5


def keras(folder, expected):
    os.environ.setdefault("KERAS_BACKEND", "jax")
    import keras_hub

    model = keras_hub.models.GPT2CausalLM.from_preset(folder)
    if os.path.exists(folder + ".lora.h5"):
        with open(folder + ".lora.json") as file:
            lora = json.load(file)
        # Without a LoRA, KerasHub adds one to queries and values, regardless of the file.
        if sorted(lora["targets"]) != ["query", "value"]:
            model.backbone.enable_lora(lora["rank"], target_layer_names=lora["targets"])
        model.backbone.load_lora_weights(folder + ".lora.h5")
    ids = np.array(expected["token_ids"], "int32")
    inputs = {"token_ids": ids, "padding_mask": np.ones_like(ids)}
    logits = model(inputs)
    tokenizer = model.preprocessor.tokenizer
    assert model.preprocessor.sequence_length == expected["sequence_length"]
    assert tokenizer.end_token_id == expected["end_token_id"]
    model.compile(sampler="greedy")
    generated = model.generate(expected["prompt"], max_length=expected["max_length"])
    return np.array(logits), list(map(int, tokenizer(expected["text"]))), generated


def transformers(folder, expected):
    import torch
    from transformers import AutoTokenizer, GPT2LMHeadModel

    model, report = GPT2LMHeadModel.from_pretrained(folder, output_loading_info=True)
    assert not any(report.values()), report
    # Rounded weights, whose results in 32 bits can be compared.
    assert str(model.dtype) == "torch." + json.load(open(folder + "/config.json"))["dtype"]
    model = model.float()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert model.generation_config.eos_token_id == expected["end_token_id"]
    assert tokenizer.eos_token_id == expected["end_token_id"]
    with torch.no_grad():
        logits = model(torch.tensor(expected["token_ids"])).logits.numpy()
    # KerasHub and this project put the start token before a prompt.
    ids = [tokenizer.bos_token_id, *tokenizer(expected["prompt"])["input_ids"]]
    output = model.generate(
        torch.tensor([ids]), do_sample=False, max_length=expected["max_length"]
    )
    generated = tokenizer.decode(output[0][1:], clean_up_tokenization_spaces=False)
    return logits, tokenizer(expected["text"])["input_ids"], generated


def main():
    library, *folders = sys.argv[1:]
    for folder in folders:
        with open(folder + ".json") as file:
            expected = json.load(file)
        load = {"keras": keras, "transformers": transformers}[library]
        logits, text_ids, generated = load(folder, expected)
        difference = float(np.abs(logits - np.array(expected["logits"], "float32")).max())
        name = os.path.basename(folder)
        print(f"{library}: the logits of {name} differ by at most {difference:.2e}")
        scale = max(1.0, float(np.abs(np.array(expected["logits"])).max()))
        assert difference < TOLERANCE * scale, (difference, scale)
        assert text_ids == expected["text_ids"], (text_ids, expected["text_ids"])
        assert generated == expected["generated"], (generated, expected["generated"])


if __name__ == "__main__":
    main()
