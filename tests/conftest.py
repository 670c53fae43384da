"""Parents share the learner's process in the tests, which saves half a second for each of them.

What has a process of its own is tested under `tests/colocation`, where every test says so.
"""

import os

os.environ["FINETUNA_FLOWS_PARENT_PROCESS"] = "same"
