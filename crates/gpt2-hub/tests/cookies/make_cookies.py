"""Writes the cookies that ModelScope's client stores. Run with modelscope-hub 0.5.1:

    python make_cookies.py

`cookies_of_token` is what `modelscope login --token` leaves; `cookies_of_login` a jar as a server fills it, pickled as
older versions of Python do.
"""

import pickle
import shutil
import tempfile
import time
from pathlib import Path

from modelscope_hub.config import HubConfig
from requests.cookies import RequestsCookieJar

HERE = Path(__file__).parent

# 2026-01-01; a token is stored for 30 days.
time.time = lambda: 1767225600.0
with tempfile.TemporaryDirectory() as folder:
    config = HubConfig(config_dir=Path(folder))
    config.save_token("ms-00000000-secret")
    shutil.copyfile(Path(folder) / "credentials/cookies", HERE / "cookies_of_token")

jar = RequestsCookieJar()
for name, value, expires in [
    ("csrf_token", "other", 1767225601),
    ("m_session_id", "session-secret", 1769817600),
    ("name", "value", None),
]:
    jar.set(name, value, domain=".modelscope.cn", path="/", expires=expires)
(HERE / "cookies_of_login").write_bytes(pickle.dumps(jar, protocol=3))
