"""The papers' experiments: each is one command, one JSON file and one page."""

import sys
from pathlib import Path

# Laws and fits that tests know too: workers import this package before a study, like the driver.
sys.path.append(str(Path(__file__).resolve().parents[2] / "tests"))
