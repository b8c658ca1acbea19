import itertools
import time

import numpy as np
from matplotlib.contour import QuadContourSet
from PIL import Image
from planted_results import planted_surface
from wording import refuses

from tetviz.errors import OutputError, ResultError
from tetviz.figures import animate_timesteps, draw_planes, draw_timesteps
from tetviz.figures.plots.multiples import shown_timesteps


def filled(axes):
    return [c for c in axes.collections if isinstance(c, QuadContourSet) and c.filled]


def maps(figure):
    return [axes for axes in figure.axes if axes.get_title()]


def spread_planes(planes, **attributes):
    surface = planted_surface(planes=planes, **attributes)
    for plane in range(planes):
        surface.tet_loss[plane] *= 1 + plane
    return surface


def test_all_planes_share_levels_and_colours():
    surface = spread_planes(5)
    figure = draw_planes(surface)
    panels = maps(figure)
    assert [axes.get_title().splitlines()[0] for axes in panels] == [f"plane {k} of 5" for k in range(1, 6)]
    assert [axes.get_title().splitlines()[1] for axes in panels] == [f"{0.055 * k:.4g} at (0, 0)" for k in range(1, 6)]
    first = filled(panels[0])[0]
    for axes in panels:
        np.testing.assert_array_equal(filled(axes)[0].levels, first.levels)
        assert filled(axes)[0].norm is first.norm
    assert first.levels[-1] >= surface.tet_loss[..., 3].max()
    assert "plane seed 3" in figure.get_suptitle() and "plane 1 of" not in figure.get_suptitle()


def test_twelve_planes_are_shown_and_the_rest_is_said():
    figure = draw_planes(planted_surface(planes=14, size=(3, 5)), "sdt", 2)
    assert len(maps(figure)) == 12
    assert "the first 12 of 14 planes" in figure.get_suptitle() and "T = 2" in figure.get_suptitle()
    assert "first" not in draw_planes(planted_surface(planes=12, size=3)).get_suptitle()
    assert len(maps(draw_planes(planted_surface()))) == 1


def test_planes_not_begun_are_hatched():
    surface = spread_planes(3, done=np.repeat([1, 0, 0], 169).reshape(3, 13, 13))
    surface.done[1, :4] = 1
    figure = draw_planes(surface)
    whole, half, empty = maps(figure)
    assert not whole.patch.get_hatch() and half.patch.get_hatch() and empty.patch.get_hatch()
    assert not filled(empty) and empty.get_xlim() == (-1, 1) and empty.get_title() == "plane 3 of 3"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["not evaluated yet"]
    assert "221 of 507 points" in figure.get_suptitle()
    for draw in (draw_planes, draw_timesteps):
        with refuses(ResultError, "finite value"):
            draw(planted_surface(done=np.zeros((1, 13, 13))))


def test_every_timestep_has_a_panel():
    surface = planted_surface(planes=2, t_train=2)
    figure = draw_timesteps(surface, "sdt", 1)
    assert [axes.get_title().splitlines()[0] for axes in maps(figure)] == [
        "T = 1",
        "T = 2, as in training",
        "T = 3",
        "T = 4",
    ]
    assert "plane 2 of 2" in figure.get_suptitle() and r"\mathrm{SDT}" in figure.get_suptitle()
    levels = [filled(axes)[0].levels for axes in maps(figure)]
    assert all(np.array_equal(level, levels[0]) for level in levels)
    with refuses(ResultError, "plane 3 1 2"):
        draw_timesteps(surface, plane=2)


def test_many_timesteps_are_thinned_to_powers_of_two_training_and_last():
    assert shown_timesteps(planted_surface(size=2, timesteps=12)) == list(range(1, 13))
    assert shown_timesteps(planted_surface(size=2, timesteps=50, t_train=6)) == [1, 2, 4, 6, 8, 16, 32, 50]
    assert len(shown_timesteps(planted_surface(size=2, timesteps=5000, t_train=10))) == 12


def test_an_animation_has_a_frame_for_each_timestep(tmp_path):
    surface = planted_surface(size=(5, 7), timesteps=5, y_range=(-0.5, 0.5))
    path = animate_timesteps(surface, tmp_path / "a.gif")
    with Image.open(path) as image:
        assert (image.format, image.n_frames, image.info["loop"]) == ("GIF", 5, 0)
        durations, frames = [], []
        for frame in range(5):
            image.seek(frame)
            durations.append(image.info["duration"])
            frames.append(np.asarray(image.convert("RGB")))
    assert durations == [670] * 4 + [3000]
    assert len({frame.shape for frame in frames}) == 1
    assert all((a != b).any() for a, b in itertools.pairwise(frames))
    bar = [frame[:, -60:] for frame in frames]
    assert all((each == bar[0]).all() for each in bar)
    white = [(frame == 255).all(axis=2).mean() for frame in frames]
    assert min(white) > 0.4
    time.sleep(1.1)
    assert animate_timesteps(surface, tmp_path / "b.gif").read_bytes() == path.read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.gif", "b.gif"]


def test_a_half_done_surface_and_a_single_timestep_are_animated(tmp_path):
    surface = planted_surface(size=5, timesteps=2)
    surface.done[0, 3:] = 0
    surface.tet_loss[..., 0] = np.nan
    for each, frames in ((surface, 2), (planted_surface(size=5, timesteps=1), 1)):
        with Image.open(animate_timesteps(each, tmp_path / "a.gif")) as image:
            assert image.n_frames == frames


def test_an_animation_is_written_whole_or_not_at_all(tmp_path):
    with refuses(OutputError, "gif"):
        animate_timesteps(planted_surface(), tmp_path / "a.png")
    with refuses(OutputError, "does exist"):
        animate_timesteps(planted_surface(size=3), tmp_path / "missing" / "a.gif")
    with refuses(ResultError, "plane 2"):
        animate_timesteps(planted_surface(), tmp_path / "a.gif", plane=1)
    assert list(tmp_path.iterdir()) == []
