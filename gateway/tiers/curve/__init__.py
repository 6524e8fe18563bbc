"""What hit rate a tier would have at other sizes: its miss-ratio curve, sampled while it runs.

`model` is what a caller gets, `twin` a cache without payloads that stands for the tier at one size, `recorder` what the
tier tells of its requests and how the twins play them, `budget` how much of that it may do, and `recency` the order in
which the disk tier evicts.
"""

from __future__ import annotations

from gateway.tiers.curve.model import FACTORS, Curve, CurvePoint
from gateway.tiers.curve.recency import Recency
from gateway.tiers.curve.recorder import Recorder
from gateway.tiers.curve.twin import TwinNode

__all__ = ["FACTORS", "Curve", "CurvePoint", "Recency", "Recorder", "TwinNode"]
