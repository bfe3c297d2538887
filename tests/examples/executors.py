"""Arguments of `dl.executors`."""

import tempfile

import submitit

EXAMPLES = {
    "submitit": lambda: {"executor": submitit.LocalExecutor(tempfile.gettempdir()), "max_jobs": 4, "seconds": 0.5},
}
