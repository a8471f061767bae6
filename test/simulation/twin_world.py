"""Around a twin in its tests: a scene, the time that passes, and one who hears what is said."""

from __future__ import annotations

from smoothvla_ros.records import EpisodeName

NAME = EpisodeName('libero_spatial', 0, 4, 100_000)


def advance(twin, seconds):
    for _ in range(round(seconds / twin.period_s)):
        twin.advance()


class Hearer:
    """Keeps what the runner says and stops it when it has heard enough."""

    def __init__(self, enough):
        self.enough = enough
        self.said = []
        self.runner = None

    def __getattr__(self, name):
        def hear(*words):
            self.said.append((name, *words))
            if self.enough(self):
                self.runner.stop()

        return hear

    def of(self, kind):
        return [words[1:] for words in self.said if words[0] == kind]
