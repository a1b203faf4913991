"""Runs one scenario, `run.py NAME`, and prints as a line of JSON what the injector found."""

import importlib
import json
import logging
import sys
import time

from cancellint.testing import cancel_at_every_suspension


def main() -> None:
    logging.disable()
    module = importlib.import_module(sys.argv[1])
    started = time.perf_counter()
    outcomes = cancel_at_every_suspension(module.scenario, check=getattr(module, "check", None))
    told = {
        "cases": len(outcomes.cases),
        "broken": len(outcomes.failures),
        "first": str(outcomes.failures[0]) if outcomes.failures else "",
        "seconds": round(time.perf_counter() - started, 3),
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
