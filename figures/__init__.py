"""Figures and tables, drawn from results alone. Needs no torch."""

from tetviz.figures.output import save_with_caption
from tetviz.figures.plots.animation import animate_timesteps, animation_caption
from tetviz.figures.plots.classes import draw_classes
from tetviz.figures.plots.energy import draw_accuracy_per_energy, draw_energy
from tetviz.figures.plots.exits import draw_exits
from tetviz.figures.plots.history import draw_history
from tetviz.figures.plots.multiples import draw_planes, draw_timesteps
from tetviz.figures.plots.relief import compare_reliefs
from tetviz.figures.plots.scaling import draw_accuracy, draw_scaling
from tetviz.figures.plots.scatter import draw_scatter
from tetviz.figures.plots.style import paper_style, save_figure
from tetviz.figures.plots.surface import compare_surfaces, draw_surface
from tetviz.figures.plots.sweep import draw_sweep
from tetviz.figures.plots.training_cost import draw_training_cost
from tetviz.figures.plots.trajectory import draw_trajectory
from tetviz.figures.plots.venues import use_style
from tetviz.figures.printing import printed, records
from tetviz.figures.registry import draw, draw_named, named_figures
from tetviz.figures.table import Table, format_table, save_table, to_markdown
from tetviz.figures.view import Choices

__all__ = [
    "Choices",
    "Table",
    "animate_timesteps",
    "animation_caption",
    "compare_reliefs",
    "compare_surfaces",
    "draw",
    "draw_accuracy",
    "draw_accuracy_per_energy",
    "draw_classes",
    "draw_energy",
    "draw_exits",
    "draw_history",
    "draw_named",
    "draw_planes",
    "draw_scaling",
    "draw_scatter",
    "draw_surface",
    "draw_sweep",
    "draw_timesteps",
    "draw_training_cost",
    "draw_trajectory",
    "format_table",
    "named_figures",
    "paper_style",
    "printed",
    "records",
    "save_figure",
    "save_table",
    "save_with_caption",
    "to_markdown",
    "use_style",
]
