"""Check a site from its own server.

Each module yields ``CheckResult``s; ``run_checks`` runs them all. Nothing is changed. A
check that cannot run is wrong, and its result says why.
"""

from cccr_web.doctor.model import CheckResult, CheckVerdict, PrivatePath, Target, to_json
from cccr_web.doctor.runner import run_checks

__all__ = ["CheckResult", "CheckVerdict", "PrivatePath", "Target", "run_checks", "to_json"]
