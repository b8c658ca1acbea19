"""Figures and tables, drawn from results alone. Needs no torch."""

from tetviz.figures.animation import animate_timesteps
from tetviz.figures.classes import draw_classes
from tetviz.figures.curvature import draw_curvature
from tetviz.figures.dispatch import draw
from tetviz.figures.energy import draw_energy
from tetviz.figures.exits import draw_exits
from tetviz.figures.history import draw_history
from tetviz.figures.interpolation import draw_interpolation
from tetviz.figures.isometry import draw_isometry
from tetviz.figures.lines import draw_lines
from tetviz.figures.multiples import draw_planes, draw_timesteps
from tetviz.figures.scaling import draw_scaling
from tetviz.figures.scatter import draw_scatter
from tetviz.figures.sharpness import draw_sharpness
from tetviz.figures.style import paper_style, save_figure
from tetviz.figures.surface import compare_surfaces, draw_surface
from tetviz.figures.tables import TABLE_CAPTION, format_table, step_accuracy_table, to_markdown
from tetviz.figures.training_cost import draw_training_cost
from tetviz.figures.trajectory import draw_trajectory

__all__ = [
    "TABLE_CAPTION",
    "animate_timesteps",
    "compare_surfaces",
    "draw",
    "draw_classes",
    "draw_curvature",
    "draw_energy",
    "draw_exits",
    "draw_history",
    "draw_interpolation",
    "draw_isometry",
    "draw_lines",
    "draw_planes",
    "draw_scaling",
    "draw_scatter",
    "draw_sharpness",
    "draw_surface",
    "draw_timesteps",
    "draw_training_cost",
    "draw_trajectory",
    "format_table",
    "paper_style",
    "save_figure",
    "step_accuracy_table",
    "to_markdown",
]
