"""What lines along random directions show: what a sharpness does, without its steps, and the losses themselves."""

import dataclasses

from tetviz.figures.views import sharpness

VIEW = dataclasses.replace(
    sharpness.VIEW,
    title="Lines through the network",
    figure="tetviz.figures.plots.lines:draw_lines",
    doubts=sharpness.lines_doubts,
)
