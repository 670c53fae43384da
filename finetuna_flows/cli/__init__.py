"""The command line, a skin over the Makers: ``finetuna-flows --help``."""

from finetuna_flows.cli.app import app

__all__ = ["app"]
