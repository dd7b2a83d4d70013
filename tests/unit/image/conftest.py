"""The build program is no part of the installed package: it stands in ``image/`` beside ``src/``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
