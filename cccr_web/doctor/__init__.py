"""Check a site from its own server.

Each module yields ``CheckResult``s; ``run_checks`` runs them all. Nothing is changed. One
fault makes one check wrong: those that cannot run because of it are not checked.
"""

from cccr_web.doctor.baseline import Baseline
from cccr_web.doctor.front import Front, run_front_checks
from cccr_web.doctor.model import CheckResult, CheckVerdict, PrivatePath, Target, to_json
from cccr_web.doctor.runner import run_checks

__all__ = [
    "Baseline",
    "CheckResult",
    "CheckVerdict",
    "Front",
    "PrivatePath",
    "Target",
    "run_checks",
    "run_front_checks",
    "to_json",
]
