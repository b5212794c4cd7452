"""Uploads a folder with the real clients: upload.py CLIENT ENDPOINT URI FOLDER.

Run by `hub_upload.rs` with KerasHub 0.32, huggingface_hub 2.4 and kagglehub 1.0.2, against a server of that test.
"""

import os
import sys

client, endpoint, uri, folder = sys.argv[1:]
os.environ["HF_ENDPOINT"] = endpoint
os.environ["HF_HUB_DISABLE_XET"] = "1"
os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
# The home of a user who has no tokens.
os.environ["HF_HOME"] = os.environ["KAGGLE_CONFIG_DIR"] = os.path.join(folder, os.pardir, "home")
os.environ["HF_TOKEN"] = "hf_secret"
os.environ["KAGGLE_API_TOKEN"] = "kaggle_secret"

if client == "huggingface_hub":
    import huggingface_hub

    api = huggingface_hub.HfApi(endpoint=endpoint)
    api.create_repo(uri, exist_ok=True)
    api.upload_folder(repo_id=uri, folder_path=folder)
else:
    from kagglesdk import kaggle_env

    kaggle_env._env_to_endpoint[kaggle_env.KaggleEnv.PROD] = endpoint
    if client == "kagglehub":
        import kagglehub

        kagglehub.model_upload(uri, folder)
    else:
        import keras_hub

        keras_hub.upload_preset(uri, folder)
