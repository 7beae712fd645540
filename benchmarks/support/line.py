"""A straight line through points, and how sure its slope is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

NORMAL_95 = 1.96
"""Standard errors on either side that hold 95 % of a normal distribution."""


@dataclass(frozen=True, slots=True)
class Line:
    """The least-squares line through points.

    Attributes:
        intercept: value at 0.
        slope: growth of the value per unit.
        uncertainty: half the width of the 95 % confidence interval of the slope; infinite for fewer than three points, which a line
            fits whatever they are.
    """

    intercept: float
    slope: float
    uncertainty: float

    @classmethod
    def through(cls, points: Sequence[tuple[float, float]]) -> Line:
        """Fit the line (ordinary least squares; the errors are taken as independent and normal).

        Raises:
            ValueError: there are not two points at different places.
        """
        count = len(points)
        mean_x = sum(x for x, _ in points) / count if count else 0.0
        mean_y = sum(y for _, y in points) / count if count else 0.0
        spread = sum((x - mean_x) ** 2 for x, _ in points)
        if spread == 0:
            raise ValueError("a line needs two points at different places")
        slope = sum((x - mean_x) * (y - mean_y) for x, y in points) / spread
        intercept = mean_y - slope * mean_x
        if count < 3:
            return cls(intercept, slope, math.inf)
        residual = sum((y - intercept - slope * x) ** 2 for x, y in points) / (count - 2)
        return cls(intercept, slope, NORMAL_95 * math.sqrt(residual / spread))

    def at(self, x: float) -> float:
        """The value of the line at a place."""
        return self.intercept + self.slope * x

    def flat(self, length: float, tolerance: float) -> bool:
        """Whether the growth over `length` units is, with 95 % confidence, at most `tolerance`.

        "Not significantly different from 0" would be met by few or noisy points; this asks for evidence that nothing grows.
        """
        return (self.slope + self.uncertainty) * length <= tolerance
