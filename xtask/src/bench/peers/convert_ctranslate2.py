"""Converts a transformers folder to a CTranslate2 folder, in 32-bit floats: convert_ctranslate2.py FOLDER DESTINATION"""

import sys

from ctranslate2.converters import TransformersConverter

TransformersConverter(sys.argv[1]).convert(sys.argv[2])
print("{}")
