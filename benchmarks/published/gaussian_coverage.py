"""stub"""
from __future__ import annotations
from published._coverage_work import measure
from published.registry import Study
STUDY = Study("gaussian-coverage","b","t","q","s",measure,lambda n: "w",lambda n: "t")
