"""Converts a transformers folder of GPT-2 to GGUF, with gguf-py: make_gguf.py FOLDER OUT.gguf"""

import json
import sys

import gguf
import numpy as np
from safetensors.numpy import load_file

# Names, as llama.cpp's convert_hf_to_gguf.py maps them; the kernels are transposed.
KERNELS = {
    "attn.c_attn": "attn_qkv",
    "attn.c_proj": "attn_output",
    "mlp.c_fc": "ffn_up",
    "mlp.c_proj": "ffn_down",
}
NORMS = {"ln_1": "attn_norm", "ln_2": "ffn_norm"}


def main():
    source, target = sys.argv[1:]
    with open(source + "/config.json") as file:
        config = json.load(file)
    with open(source + "/vocab.json", encoding="utf-8") as file:
        ids = json.load(file)
    with open(source + "/merges.txt", encoding="utf-8") as file:
        merges = [line for line in file.read().split("\n")[1:] if line]
    writer = gguf.GGUFWriter(target, "gpt2")
    writer.add_block_count(config["n_layer"])
    writer.add_context_length(config["n_positions"])
    writer.add_embedding_length(config["n_embd"])
    writer.add_feed_forward_length(config["n_inner"])
    writer.add_head_count(config["n_head"])
    writer.add_layer_norm_eps(config["layer_norm_epsilon"])
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    tokens = sorted(ids, key=ids.get)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    control = [token == "<|endoftext|>" for token in tokens]
    kinds = (gguf.TokenType.NORMAL, gguf.TokenType.CONTROL)
    writer.add_token_types([kinds[special] for special in control])
    writer.add_token_merges(merges)
    writer.add_bos_token_id(config["bos_token_id"])
    writer.add_eos_token_id(config["eos_token_id"])
    tensors = load_file(source + "/model.safetensors")
    tensors = {name.removeprefix("transformer."): values for name, values in tensors.items()}

    def add(name, values):
        writer.add_tensor(name, np.ascontiguousarray(values))

    add("token_embd.weight", tensors["wte.weight"])
    add("position_embd.weight", tensors["wpe.weight"])
    add("output_norm.weight", tensors["ln_f.weight"])
    add("output_norm.bias", tensors["ln_f.bias"])
    for layer in range(config["n_layer"]):
        for theirs, ours in {**KERNELS, **NORMS}.items():
            weight = tensors[f"h.{layer}.{theirs}.weight"]
            add(f"blk.{layer}.{ours}.weight", weight.T if theirs in KERNELS else weight)
            add(f"blk.{layer}.{ours}.bias", tensors[f"h.{layer}.{theirs}.bias"])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    main()
