"""Makes a reference file for `gpt2 verify` with KerasHub.

pip install keras-hub jax safetensors
python make_reference.py PRESET reference.safetensors "Some text" "Another text"
"""

import os
import sys

os.environ.setdefault("KERAS_BACKEND", "jax")

import jax
import keras_hub
import numpy as np
from safetensors.numpy import save_file

preset, destination, *texts = sys.argv[1:]
texts = texts or ["The quick brown fox", "jumps over the lazy dog, again and again"]

# Products of 32-bit floats, also on an accelerator.
jax.config.update("jax_default_matmul_precision", "highest")
model = keras_hub.models.GPT2CausalLM.from_preset(preset, dtype="float32")
length = min(32, model.backbone.max_sequence_length)
inputs, _, _ = model.preprocessor(texts, sequence_length=length)
token_ids = np.asarray(inputs["token_ids"], "int32")
padding_mask = np.asarray(inputs["padding_mask"], "int32")
inputs = {"token_ids": token_ids, "padding_mask": padding_mask.astype(bool)}
targets = np.roll(token_ids, -1, axis=1)

reference = {
    "token_ids": token_ids,
    "padding_mask": padding_mask,
    "hidden": np.asarray(model.backbone(inputs), "float32"),
    "logits": np.asarray(model(inputs), "float32"),
    "score_targets": targets,
    "score_loss": np.asarray(
        model.score(token_ids, inputs["padding_mask"], scoring_mode="loss", target_ids=targets),
        "float32",
    ),
}
save_file({name: np.ascontiguousarray(value) for name, value in reference.items()}, destination)
print(f"{destination}: {len(texts)} texts, {', '.join(reference)}")
