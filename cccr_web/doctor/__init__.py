"""Look at a site from inside its own server: is every part of it as it should be?

Each check is a module that yields ``Result``s; ``examine`` does them all. Nothing is
changed, and a check that cannot be carried out is wrong, with its reason.
"""

from cccr_web.doctor.case import Case
from cccr_web.doctor.examination import examine
from cccr_web.doctor.private import Private
from cccr_web.doctor.result import Result, Verdict, to_json

__all__ = ["Case", "Private", "Result", "Verdict", "examine", "to_json"]
