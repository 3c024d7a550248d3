"""What a check of a sampler has found."""

from dataclasses import dataclass, replace
from typing import Self

from rlx_sampler._selfcheck.reference import ReferenceEpisode
from rlx_sampler._selfcheck.traces import Difference, Trace


@dataclass(frozen=True, slots=True)
class Findings:
    """What was checked, and what differed."""

    checked: tuple[str, ...] = ()
    """Comparisons that were made, in words."""
    history: Difference | None = None
    """What shows that an episode depends on those before it; None where nothing does."""
    keeper: str = ""
    """Who remembers them: the class of the environment, or of the policy."""
    not_saved: str = ""
    """Why what lasts beyond an episode cannot be saved; empty where it can."""
    differences: tuple[Difference, ...] = ()
    """What else differed."""
    not_checked: str = ""
    """Why the check was not made, or not to its end; empty where it was."""
    inference_rows: int | None = None
    """Rows that the policy needs, as the check found them."""
    traces: tuple[Trace, ...] = ()
    """The first episodes of the call that comes next, as they should be."""
    reference: ReferenceEpisode | None = None
    """The episode that the process which continues is to run again; None where none would be the same."""

    def noting(self, checked: str, *differences: Difference | None) -> Self:
        """Return these with one more comparison."""
        found = tuple(each for each in differences if each is not None)
        return replace(self, checked=(*self.checked, checked), differences=(*self.differences, *found))
