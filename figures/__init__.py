"""Figures and tables, drawn from results alone. Needs no torch."""

from tetviz.figures.animation import animate_timesteps
from tetviz.figures.classes import draw_classes
from tetviz.figures.curvature import draw_curvature
from tetviz.figures.dispatch import draw
from tetviz.figures.energy import draw_accuracy_per_energy, draw_energy
from tetviz.figures.exits import draw_exits
from tetviz.figures.history import draw_history
from tetviz.figures.interpolation import draw_interpolation
from tetviz.figures.isometry import draw_isometry
from tetviz.figures.lines import draw_lines
from tetviz.figures.multiples import draw_planes, draw_timesteps
from tetviz.figures.named import FIGURES, Choices, draw_named
from tetviz.figures.output import save_with_caption
from tetviz.figures.relief import compare_reliefs
from tetviz.figures.scaling import draw_accuracy, draw_scaling
from tetviz.figures.scatter import draw_scatter
from tetviz.figures.sharpness import draw_sharpness
from tetviz.figures.step_table import TABLE_CAPTION, step_accuracy_table
from tetviz.figures.style import paper_style, save_figure
from tetviz.figures.surface import compare_surfaces, draw_surface
from tetviz.figures.sweep import draw_sweep
from tetviz.figures.tables import Table, format_table, save_table, to_markdown
from tetviz.figures.training_cost import draw_training_cost
from tetviz.figures.trajectory import draw_trajectory
from tetviz.figures.venues import use_style

__all__ = [
    "FIGURES",
    "TABLE_CAPTION",
    "Choices",
    "Table",
    "animate_timesteps",
    "compare_reliefs",
    "compare_surfaces",
    "draw",
    "draw_accuracy",
    "draw_accuracy_per_energy",
    "draw_classes",
    "draw_curvature",
    "draw_energy",
    "draw_exits",
    "draw_history",
    "draw_interpolation",
    "draw_isometry",
    "draw_lines",
    "draw_named",
    "draw_planes",
    "draw_scaling",
    "draw_scatter",
    "draw_sharpness",
    "draw_surface",
    "draw_sweep",
    "draw_timesteps",
    "draw_training_cost",
    "draw_trajectory",
    "format_table",
    "paper_style",
    "save_figure",
    "save_table",
    "save_with_caption",
    "step_accuracy_table",
    "to_markdown",
    "use_style",
]
