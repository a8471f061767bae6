"""Why nothing is measured of a stream that should speak, in words."""

from __future__ import annotations

from smoothvla_ros.smoothness.stream_health import StreamHealth


class StreamTrouble:
    """Compares what came with what was measured, by the clock of whoever listens."""

    def __init__(self, patience_s: float, now_s: float, topic: str = 'joint_states') -> None:
        """patience_s: how long nothing may be measured before it is worth a word, s.

        topic: what the stream is called in these words.
        """
        self._topic = topic
        self._patience_s = patience_s
        self._measured_s = self._heard_s = now_s
        self._before = StreamHealth()
        self._has_spoken = False

    def measured(self, now_s: float, health: StreamHealth) -> None:
        """Note that a number came out of the stream; all is well."""
        self._measured_s, self._before = now_s, health

    def heard(self, now_s: float) -> None:
        """Note that a message with this arm's joints came."""
        self._heard_s = now_s
        self._has_spoken = True

    def reason(self, now_s: float, health: StreamHealth) -> str:
        """Return why nothing has been measured for so long; empty as long as all is well.

        Empty too where the samples themselves are sound: their rate is another's to judge.
        """
        silent_s = now_s - self._heard_s
        if silent_s >= self._patience_s:
            again = ' any more' if self._has_spoken else ''
            return f'no {self._topic} of this arm{again}, for {silent_s:.1f} s'
        if now_s - self._measured_s < self._patience_s:
            return ''
        if health.rejected > self._before.rejected:
            return f'positions in {self._topic} are not finite'
        if health.duplicates > self._before.duplicates:
            return f'the stamps of {self._topic} stand still'
        if health.backwards > self._before.backwards:
            return f'the stamps of {self._topic} jump back again and again'
        return ''
