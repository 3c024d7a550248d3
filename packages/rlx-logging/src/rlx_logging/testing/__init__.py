"""The conformance kit for backends: kills, resumes and odd values, and what must be there afterwards.

Every check raises `ConformanceError`, an AssertionError, that names the rule and what was seen.
"""

from rlx_logging.testing._backends import check_backend
from rlx_logging.testing._rules import ConformanceError, Points

__all__ = ["ConformanceError", "Points", "check_backend"]
