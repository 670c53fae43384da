"""``python -m finetuna_flows.cli``."""

from finetuna_flows.cli.app import app

app(prog_name="finetuna-flows")
