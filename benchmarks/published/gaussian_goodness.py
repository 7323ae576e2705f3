"""stub"""

from __future__ import annotations
from published._goodness_work import measure
from published.registry import Study

STUDY = Study("gaussian-goodness", "a", "t", "q", "s", measure, lambda n: "w", lambda n: "t")
