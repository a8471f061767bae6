"""How smooth a motion is: jerk, dimensionless measures, a live estimator, an alarm. NumPy only."""

from smoothvla_ros.smoothness.alarm import Alarm, AlarmLevel, AlarmSettings
from smoothvla_ros.smoothness.commanded import commanded_jerk, total_variation
from smoothvla_ros.smoothness.dimensionless import (
    log_dimensionless_jerk,
    log_dimensionless_jerk_of,
)
from smoothvla_ros.smoothness.episode_jerk import EpisodeJerk
from smoothvla_ros.smoothness.estimator import (
    EstimatorSettings,
    PolynomialFit,
    TooFewSamplesError,
)
from smoothvla_ros.smoothness.live import JerkEstimate, JerkEstimator
from smoothvla_ros.smoothness.magnitude import (
    Part,
    jerk_norms,
    mean_jerk,
    peak_jerk,
    rms_jerk,
    with_filled_ends,
)
from smoothvla_ros.smoothness.motion_stream import Motions, MotionStream
from smoothvla_ros.smoothness.noise import (
    joint_noise_floor,
    tool_noise_floor,
    velocity_weight,
)
from smoothvla_ros.smoothness.seams import SeamJerk
from smoothvla_ros.smoothness.spectral import spectral_arc_length
from smoothvla_ros.smoothness.stream_health import StreamHealth
from smoothvla_ros.smoothness.summary import (
    SmoothnessSummary,
    summarise,
    summarise_trajectory,
)
from smoothvla_ros.smoothness.tool_jerk import (
    Jacobian,
    joint_jerk,
    screw_jerk,
    tool_jerk,
    tool_twists,
)
from smoothvla_ros.smoothness.watch import JerkWatch, WatchedJerk

__all__ = [
    'Alarm',
    'AlarmLevel',
    'AlarmSettings',
    'EpisodeJerk',
    'EstimatorSettings',
    'Jacobian',
    'JerkEstimate',
    'JerkEstimator',
    'JerkWatch',
    'MotionStream',
    'Motions',
    'Part',
    'PolynomialFit',
    'SeamJerk',
    'SmoothnessSummary',
    'StreamHealth',
    'TooFewSamplesError',
    'WatchedJerk',
    'commanded_jerk',
    'jerk_norms',
    'joint_jerk',
    'joint_noise_floor',
    'log_dimensionless_jerk',
    'log_dimensionless_jerk_of',
    'mean_jerk',
    'peak_jerk',
    'rms_jerk',
    'screw_jerk',
    'spectral_arc_length',
    'summarise',
    'summarise_trajectory',
    'tool_jerk',
    'tool_noise_floor',
    'tool_twists',
    'total_variation',
    'velocity_weight',
    'with_filled_ends',
]
