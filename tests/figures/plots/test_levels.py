"""Surfaces beside one another: one scale, or a figure that says otherwise."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planted_results import planted_surface

from tetviz.figures import compare_surfaces, draw_planes, draw_timesteps
from tetviz.figures.plots.relief import compare_reliefs


def filled_levels(figure):
    return [
        (tuple(artist.levels), artist.norm.vmin, artist.norm.vmax)
        for axes in figure.axes
        for artist in axes.collections
        if hasattr(artist, "levels") and artist.filled
    ]


@settings(max_examples=8, deadline=None)
@given(low=st.floats(0.01, 1), high=st.floats(1.5, 40), other=st.floats(1.5, 40))
def test_both_losses_of_all_networks_share_levels_and_colours(low, high, other):
    one = planted_surface(low=low, high=high, label="SDT", size=7)
    two = planted_surface(low=low, high=other, label="TET", size=7)
    levels = filled_levels(compare_surfaces([one, two]))
    assert len(levels) == 4 and len(set(levels)) == 1
    assert levels[0][0][-1] >= max(np.nanmax(s.tet_loss[..., -1]) for s in (one, two)) * (1 - 1e-9)


@pytest.mark.parametrize("draw", [draw_timesteps, draw_planes])
def test_many_maps_of_one_surface_share_levels(draw):
    levels = filled_levels(draw(planted_surface(planes=3, size=7)))
    assert len(levels) > 1 and len(set(levels)) == 1


def test_reliefs_take_their_colours_from_one_scale():
    low = planted_surface(high=3.0, size=7)
    colours = []
    for other in (low, planted_surface(high=30.0, label="b", size=7)):
        figure = compare_reliefs([low, other])
        first = next(axes for axes in figure.axes if axes.name == "3d")
        colours.append(first.collections[0].get_facecolor())
    # Beside a steeper network, the same surface takes less of the scale.
    assert not np.allclose(colours[0], colours[1])


def test_a_hole_is_open_in_every_panel_and_said():
    surface = planted_surface(size=7)
    surface.done[0, 3, 3], surface.tet_loss[0, 1, 1] = 0, np.inf
    figure = compare_surfaces([surface, planted_surface(size=7, label="b")])
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert any("not evaluated yet" in label for label in labels) and any("not finite" in label for label in labels)
    whole, holed = (
        sum(len(axes.collections[0].get_facecolor()) for axes in compare_reliefs([s]).axes if axes.name == "3d")
        for s in (planted_surface(size=7), surface)
    )
    assert whole - holed == 4 + 8  # the cells around each hole; one of both losses, one of L_TET alone


def test_the_same_loss_is_as_high_in_every_relief():
    wide, flat = planted_surface(size=7), planted_surface(size=7, label="b")
    flat = dataclasses.replace(flat, y=flat.y / 2)
    boxes = [tuple(axes._box_aspect) for axes in compare_reliefs([wide, flat]).axes if axes.name == "3d"]
    assert len(boxes) == 4 and len(set(boxes)) == 1
