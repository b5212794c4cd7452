"""Compares weights files with those of KerasHub, and writes KerasHub's own.

Usage: check_keras_files.py FOLDER, with KerasHub installed. The folder holds one model: as the presets `float32`, `float16` and
`bfloat16`, and as `task.weights.h5`, `task.weights.json` and `backbone.weights.h5`. What KerasHub makes of it goes to `theirs`.
"""

import json
import os
import sys

os.environ.setdefault("KERAS_BACKEND", "jax")

import h5py
import keras_hub
import numpy as np

DTYPES = ["float32", "float16", "bfloat16"]


def datasets(path):
    """Every dataset of a file: its type, its `dtype` attribute, its shape, its bytes and its group's name."""
    found = {}

    def visit(name, item):
        if isinstance(item, h5py.Dataset) and not name.startswith("optimizer/"):
            attributes = dict(item.attrs)
            found[name] = (str(item.dtype), attributes, item.shape, item[()].tobytes(), item.parent.attrs["name"])

    with h5py.File(path) as file:
        file.visititems(visit)
    return found


def config(path, part):
    """The backbone in a JSON file, without its name, which contains a counter."""
    with open(path) as file:
        object = json.load(file)
    object = object["config"]["backbone"] if part == "backbone" else object
    object["config"].pop("name")
    return object


def check_dtypes(folder, theirs):
    for dtype in DTYPES:
        model = keras_hub.models.GPT2CausalLM.from_preset(f"{folder}/float32", dtype=dtype)
        model.save_to_preset(f"{theirs}/{dtype}")
        ours = datasets(f"{folder}/{dtype}/model.weights.h5")
        assert ours and ours == datasets(f"{theirs}/{dtype}/model.weights.h5"), dtype
        for file, part in [("config.json", None), ("task.json", "backbone")]:
            assert config(f"{folder}/{dtype}/{file}", part) == config(f"{theirs}/{dtype}/{file}", part), dtype
        # Without `dtype`, KerasHub converts all types to 32-bit floats.
        loaded = keras_hub.models.GPT2CausalLM.from_preset(f"{folder}/{dtype}", dtype=dtype)
        for ours, theirs_ in zip(loaded.get_weights(), model.get_weights(), strict=True):
            assert ours.dtype == theirs_.dtype and ours.tobytes() == theirs_.tobytes(), dtype
        print(f"keras: the preset in {dtype} is KerasHub's, bit for bit")


def check_weights(folder, theirs):
    expected = keras_hub.models.GPT2CausalLM.from_preset(f"{folder}/float32")
    expected.save_weights(f"{theirs}/task.weights.h5")
    expected.backbone.save_weights(f"{theirs}/backbone.weights.h5")
    for name in ["task", "backbone"]:
        assert datasets(f"{folder}/{name}.weights.h5") == datasets(f"{theirs}/{name}.weights.h5"), name
    for name in ["task.weights.h5", "task.weights.json", "backbone.weights.h5"]:
        model = keras_hub.models.GPT2CausalLM.from_preset(f"{folder}/float32", load_weights=False)
        target = model.backbone if name.startswith("backbone") else model
        assert any((a != b).any() for a, b in zip(model.get_weights(), expected.get_weights()))
        target.load_weights(f"{folder}/{name}")
        for ours, theirs_ in zip(model.get_weights(), expected.get_weights(), strict=True):
            np.testing.assert_array_equal(ours, theirs_)
        print(f"keras: {name} is loaded")


def write(folder, theirs):
    for dtype in [*DTYPES, "mixed_bfloat16"]:
        model = keras_hub.models.GPT2CausalLM.from_preset(f"{folder}/float32", dtype=dtype)
        model.save(f"{theirs}/task_{dtype}.keras")
        model.backbone.save(f"{theirs}/backbone_{dtype}.keras")
    model = keras_hub.models.GPT2CausalLM.from_preset(f"{folder}/float32")
    weights = model.get_weights()
    model.fit(["What, art thou mad?", "No."], batch_size=2, verbose=0)
    model.set_weights(weights)
    model.save(f"{theirs}/fitted_float32.keras")
    model.save_weights(f"{theirs}/fitted_float32.weights.h5")
    model.save_weights(f"{theirs}/fitted_float32.weights.json", max_shard_size=4e-5)


def main():
    folder = sys.argv[1]
    theirs = f"{folder}/theirs"
    os.mkdir(theirs)
    check_dtypes(folder, theirs)
    check_weights(folder, theirs)
    write(folder, theirs)


if __name__ == "__main__":
    main()
