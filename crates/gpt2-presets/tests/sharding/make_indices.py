"""Writes the indices of the tests' tiny model in shards of transformers 5.23.0.

Usage: make_indices.py, in its folder, with transformers 5.23.0 and torch 2.15.0 installed.
"""

import shutil
import tempfile

from transformers import GPT2Config, GPT2LMHeadModel

# Tensors have 16 to 192 bytes: at 150 some exceed a shard's size.
for name, tied, max_shard_size in [("tied", True, 400), ("untied", False, 150)]:
    config = GPT2Config(
        vocab_size=6,
        n_positions=5,
        n_embd=4,
        n_layer=2,
        n_head=2,
        n_inner=8,
        tie_word_embeddings=tied,
    )
    with tempfile.TemporaryDirectory() as folder:
        GPT2LMHeadModel(config).save_pretrained(folder, max_shard_size=max_shard_size)
        shutil.copy(folder + "/model.safetensors.index.json", f"{name}.index.json")
