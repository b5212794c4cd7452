"""Downloads with a hub's own client, or loads with KerasHub, from a server that plays the hub. `tests/hub_clients.rs` runs it.

    python hub_clients.py kaggle ENDPOINT HANDLE [PATH ...]
    python hub_clients.py keras ENDPOINT PRESET
    python hub_clients.py modelscope HANDLE REVISION offline|online

Prints, after `= `, the path of each file, or of the folder; or the numbers of parameters and of tokens.
"""

import os
import sys


def use_kaggle(endpoint):
    # The endpoints are constants, of which one is chosen by name.
    os.environ["KAGGLE_API_ENVIRONMENT"] = "LOCALHOST"
    from kagglesdk import kaggle_env

    kaggle_env._env_to_endpoint[kaggle_env.KaggleEnv.LOCAL] = endpoint


def kaggle(endpoint, handle, *paths):
    use_kaggle(endpoint)
    import kagglehub

    for path in paths or [None]:
        print("=", kagglehub.model_download(handle, path))


def keras(endpoint, preset):
    use_kaggle(endpoint)
    import keras_hub

    print("=", keras_hub.models.GPT2Backbone.from_preset(preset).count_params())
    print("=", keras_hub.models.GPT2Tokenizer.from_preset(preset).vocabulary_size())


def modelscope(handle, revision, mode):
    from modelscope.hub.snapshot_download import snapshot_download

    print("=", snapshot_download(handle, revision=revision, local_files_only=mode == "offline"))


if __name__ == "__main__":
    {"kaggle": kaggle, "keras": keras, "modelscope": modelscope}[sys.argv[1]](*sys.argv[2:])
