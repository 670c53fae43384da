"""DECIDE: pure criteria that say when the parent is asked."""

from finetuna_flows.queries.combine import AllOf, AnyOf
from finetuna_flows.queries.convergence import RelaxedOnly
from finetuna_flows.queries.displacement import Displacement
from finetuna_flows.queries.every_k import EveryK
from finetuna_flows.queries.fixed import FirstN
from finetuna_flows.queries.parse import parse_criterion
from finetuna_flows.queries.uncertainty import DynamicTolerance, StaticTolerance

__all__ = [
    "AllOf",
    "AnyOf",
    "Displacement",
    "DynamicTolerance",
    "EveryK",
    "FirstN",
    "RelaxedOnly",
    "StaticTolerance",
    "parse_criterion",
]
