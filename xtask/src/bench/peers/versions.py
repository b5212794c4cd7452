"""Prints the versions of the rivals in this Python."""

import json
from importlib import metadata

NAMES = ["keras-hub", "keras", "jax", "torch", "transformers", "ctranslate2", "llama_cpp_python", "tiktoken"]


def version(name):
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


print(json.dumps({name: version(name) for name in NAMES if version(name)}))
