"""Downloads files with Hugging Face's own client, or finds them in its cache.

Usage: hub_download.py MODEL FILE..., where `!FILE` is one that the model does not have, and `*` is
all of it at once. The environment names the endpoint and the cache. Prints a line for each file:
its path, or `absent`; of `*` the folder.
"""

import sys

import huggingface_hub
from huggingface_hub.errors import EntryNotFoundError

model = sys.argv[1]
for name in sys.argv[2:]:
    if name == "*":
        print(huggingface_hub.snapshot_download(model))
        continue
    if not name.startswith("!"):
        print(huggingface_hub.hf_hub_download(model, name))
        continue
    name = name[1:]
    found = huggingface_hub.try_to_load_from_cache(model, name)
    if found is not huggingface_hub._CACHED_NO_EXIST:
        try:
            huggingface_hub.hf_hub_download(model, name)
            sys.exit(f"{name} exists")
        except EntryNotFoundError:
            pass
    print("absent")
