"""How the page is divided."""

from __future__ import annotations

from collections.abc import Sequence

import rerun
import rerun.blueprint as blueprint

from smoothvla_ros.viewer.robot_scene import TIMELINE

_SHOWN_S = 20.0
_EYE, _LOOK_AT = (1.35, -0.85, 0.85), (0.25, -0.05, 0.38)
_BACKGROUND = (24, 28, 32)


def layout(frames: dict[str, str], cameras: Sequence[str]) -> blueprint.Blueprint:
    """Return the views of all robots, a tab each.

    frames: robot -> frame of its base.  cameras: names of those that a robot may have.
    """
    robots = [_robot(name, frame, cameras) for name, frame in frames.items()]
    return blueprint.Blueprint(
        robots[0] if len(robots) == 1 else blueprint.Tabs(*robots),
        blueprint.TopPanel(state='collapsed'),
        blueprint.BlueprintPanel(state='hidden'),
        blueprint.SelectionPanel(state='hidden'),
        blueprint.TimePanel(state='collapsed', timeline=TIMELINE, play_state='following'),
        auto_views=False,
        auto_layout=False,
    )


def _robot(robot: str, frame: str, cameras: Sequence[str]) -> blueprint.Container:
    arm = blueprint.Spatial3DView(
        origin=robot,
        contents=[f'/{robot}/**', f'- /{robot}/camera/**'],
        name='arm',
        spatial_information=blueprint.SpatialInformation(target_frame=frame),
        eye_controls=blueprint.EyeControls3D(
            kind=blueprint.components.Eye3DKind.Orbital, position=_EYE, look_target=_LOOK_AT
        ),
        background=_BACKGROUND,
        line_grid=blueprint.LineGrid3D(visible=True, spacing=0.1),
    )
    images = [
        blueprint.Spatial2DView(origin=f'{robot}/camera/{camera}', name=camera)
        for camera in cameras
    ]
    left = blueprint.Vertical(arm, blueprint.Horizontal(*images), row_shares=[5, 3])
    legend = blueprint.PlotLegend(visible=True, corner='LeftTop')
    recent = [
        rerun.VisibleTimeRange(
            TIMELINE,
            start=rerun.TimeRangeBoundary.cursor_relative(seconds=-_SHOWN_S),
            end=rerun.TimeRangeBoundary.cursor_relative(),
        )
    ]
    columns = blueprint.TextLogColumns(
        timeline_columns=[blueprint.encodings.TimelineColumn(TIMELINE, visible=False)],
        text_log_columns=['Body'],
    )
    right = blueprint.Vertical(
        blueprint.TimeSeriesView(
            origin=f'{robot}/jerk', name='tool, m/s³', plot_legend=legend, time_ranges=recent
        ),
        blueprint.TimeSeriesView(
            origin=f'{robot}/share_of_limit',
            name='joints, share of the limit in %',
            plot_legend=legend,
            time_ranges=recent,
        ),
        blueprint.StateTimelineView(origin=f'{robot}/level', name='level', time_ranges=recent),
        blueprint.TextLogView(origin=f'{robot}/events', name='what happened', columns=columns),
        row_shares=[4, 4, 2, 3],
    )
    return blueprint.Horizontal(left if images else arm, right, column_shares=[1, 1], name=robot)
