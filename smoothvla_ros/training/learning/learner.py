"""One policy, one optimiser: how a batch of chunks changes the weights."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, fields, replace

import numpy as np
import torch

from smoothvla_ros.errors import UserError
from smoothvla_ros.policies.policy import CountsTokens, ExpectsObservations, Policy
from smoothvla_ros.training.config import AUTO, CAMERAS, GrpoConfig
from smoothvla_ros.training.learning.checked_statistics import (
    checked_expectation,
    checked_statistics,
    require_same_judgement,
)
from smoothvla_ros.training.learning.chunk_batch import (
    ChunkBatch,
    ReferenceAnswers,
    ReferenceCourse,
)
from smoothvla_ros.training.learning.course_anchor import CourseSums, penalty, required_rest
from smoothvla_ros.training.learning.divergence import check_gradient, check_weights
from smoothvla_ros.training.learning.grpo_loss import TokenSums, grpo_loss
from smoothvla_ros.training.learning.learner_group import LearnerGroup
from smoothvla_ros.training.learning.micro_batches import micro_batches, share
from smoothvla_ros.training.learning.weight_average import WeightAverage


@dataclass(frozen=True)
class UpdateFigures:
    """What one update did, averaged over its tokens (or its optimiser steps).

    first_ratio_drift: mean |ratio - 1| before the first optimiser step: zero but for rounding,
    unless the policy that sampled is not the one that learns.
    course_error, pace: how far from the starting policy's course the chunks were expected to end
    during the update, as a share of their way (RMS), and how far along it (1 is as far).
    gripper_error: how far the gripper's expected commands were from the starting policy's, as a
    share of their range (RMS).  All three NaN where nothing holds the policy to that.
    """

    tokens: int
    optimiser_steps: int
    loss: float
    entropy: float
    clip_fraction: float
    policy_kl: float
    reference_kl: float
    ratio_drift: float
    first_ratio_drift: float
    gradient_norm: float
    course_error: float
    pace: float
    gripper_error: float


class GrpoLearner:
    """Minimise the GRPO loss of batches with AdamW."""

    def __init__(
        self,
        policy: Policy,
        config: GrpoConfig,
        reference: Policy | None = None,
        group: LearnerGroup | None = None,
    ) -> None:
        """Learn on `policy`; `reference` is frozen and needed where `config.needs_reference`.

        group: the processes that share an update, each with a learner like this one; None is this
        process alone.
        Raises UserError if the policy cannot learn, or `config.frozen` names no parameter or
        leaves none to train.
        """
        if config.needs_reference and reference is None:
            raise ValueError('these settings compare with a reference policy, and there is none')
        self.policy = policy
        self._config = config
        self._reference = reference if config.needs_reference else None
        self.group = group if group is not None else LearnerGroup()
        policy.prepare_training()
        _freeze(policy.module, config.frozen)
        self.parameters = {
            name: parameter
            for name, parameter in policy.module.named_parameters()
            if parameter.requires_grad
        }
        if not self.parameters:
            raise UserError(f'training: frozen={list(config.frozen)} leaves nothing to train')
        self.optimiser = torch.optim.AdamW(
            list(self.parameters.values()),
            lr=config.learning_rate,
            weight_decay=config.weight_decay,
        )
        self.average = WeightAverage(self.parameters, config.averaged_updates)

    def update(
        self, batch: ChunkBatch, seed: int, iterations_left: float = math.inf
    ) -> UpdateFigures:
        """Pass over a batch `epochs` times, in minibatches shuffled by `seed`.

        iterations_left: of the run, this one among them; the learning rate falls with them where
        `config.cooled_iterations` says so.
        Every minibatch is divided by the same number, its share of the whole batch's valid tokens,
        so that a token weighs the same wherever it falls, in whichever process.
        Called by rank 0 of a group; the others `follow`.
        Raises UserError if a gradient is not finite, before the weights take that step, if the
        weights are not afterwards, or if the device has too little memory.
        """
        self.group.broadcast((batch, seed, iterations_left))
        return self._update_in_memory(batch, seed, iterations_left)

    def follow(self) -> None:
        """Take part in every update until rank 0 ends them; for the other ranks."""
        while (order := self.group.broadcast()) is not None:
            self._update_in_memory(*order)

    def end(self) -> None:
        """Let those who follow go; called by rank 0."""
        self.group.broadcast(None)

    def _update_in_memory(
        self, batch: ChunkBatch, seed: int, iterations_left: float
    ) -> UpdateFigures:
        try:
            return self._update(batch, seed, iterations_left)
        except torch.OutOfMemoryError as error:
            config = self._config
            raise UserError(
                'training: the memory of the device is too small for '
                f'micro_batch={config.micro_batch} with micro_tokens={config.micro_tokens}; give '
                'less (of OpenVLA `smoothvla memory` computes what fits) and start again: a run '
                'goes on after its last iteration'
            ) from error

    def _update(self, batch: ChunkBatch, seed: int, iterations_left: float) -> UpdateFigures:
        config = self._config
        self.policy.module.eval()  # dropout would make the first ratio differ from 1
        batch = self._compared(batch)
        count = min(config.minibatches, len(batch))
        normaliser = batch.valid_tokens / count
        generator = np.random.default_rng(seed)
        total, first, course = TokenSums(), TokenSums(), CourseSums()
        loss, gradient_norm, steps = 0.0, 0.0, 0
        for _ in range(config.epochs):
            for rows in np.array_split(generator.permutation(len(batch)), count):
                self.optimiser.zero_grad(set_to_none=True)
                minibatch_loss, sums, minibatch_course = self.accumulate(
                    batch.take(np.sort(rows)), normaliser
                )
                if steps == 0:
                    first.add(sums)
                    drift = first.ratio_drift / max(first.tokens, 1)
                    require_same_judgement(drift, batch.temperature)
                norm = self._clip_gradients()
                self._set_learning_rate(iterations_left - steps / (config.epochs * count))
                self.optimiser.step()
                total.add(sums)
                course.add(minibatch_course)
                loss += minibatch_loss
                gradient_norm += norm
                steps += 1
        check_weights(self.parameters, config.learning_rate)
        if config.averaged_updates > 1:
            self.average.add()
        tokens = max(total.tokens, 1)
        return UpdateFigures(
            tokens=batch.valid_tokens,
            optimiser_steps=steps,
            loss=loss / steps,
            entropy=total.entropy / tokens,
            clip_fraction=total.clipped / tokens,
            policy_kl=total.policy_divergence / tokens,
            reference_kl=total.reference_divergence / tokens,
            ratio_drift=total.ratio_drift / tokens,
            first_ratio_drift=first.ratio_drift / max(first.tokens, 1),
            gradient_norm=gradient_norm / steps,
            course_error=course.error,
            pace=course.pace,
            gripper_error=course.gripper_error,
        )

    def accumulate(
        self, batch: ChunkBatch, normaliser: float
    ) -> tuple[float, TokenSums, CourseSums]:
        """Add the gradient of a batch's loss, divided by `normaliser`, in micro-batches.

        In a group, of this process's share of them; loss, sums and gradients are then the whole's.
        """
        group = self.group
        total, course, loss = TokenSums(), CourseSums(), 0.0
        for taken, _, counts in self._announced(self.policy, batch):
            summed, sums, part = self._loss(taken)
            (summed / normaliser if counts else 0.0 * summed).backward()
            if counts:
                loss += float(summed.detach()) / normaliser
                total.add(sums)
                course.add(part)
        group.sum_gradients(self.parameters.values())
        loss, *values = group.sum([loss, *astuple(total), *astuple(course)])
        count = len(fields(TokenSums))
        return loss, TokenSums.of(values[:count]), CourseSums(*values[count:])

    def _announced(
        self, policy: Policy, batch: ChunkBatch
    ) -> Iterator[tuple[ChunkBatch, np.ndarray, bool]]:
        """Yield the rows of each pass, their numbers and whether they count; the policy hears."""
        passes = self._passes(policy, batch)
        if isinstance(policy, ExpectsObservations):
            policy.expect([batch.observations[row] for rows, _ in passes for row in rows])
        for rows, counts in passes:
            yield batch.take(rows), rows, counts

    def _passes(self, policy: Policy, batch: ChunkBatch) -> list[tuple[np.ndarray, bool]]:
        """Return the rows of each forward pass of this process, and whether it counts."""
        config = self._config
        lengths = None
        if isinstance(policy, CountsTokens):
            lengths = policy.lengths(batch.observations)
        passes = micro_batches(lengths, len(batch), config.micro_batch, config.micro_tokens)
        return share(passes, self.group.rank, self.group.size)

    @torch.no_grad()
    def _answers(self, policy: Policy, batch: ChunkBatch) -> ReferenceAnswers:
        """Return what a policy thinks of every row, the group's rows put together.

        A process leaves zeros in the rows of the others, which add up with what these fill in.
        """
        keeps_course = self._config.keeps_course
        log_probs = np.zeros(batch.tokens.shape, np.float32)
        actions = np.zeros(batch.tokens.shape, np.float32)
        for part, rows, counts in self._announced(policy, batch):
            shape = part.tokens.shape
            answer = checked_statistics(
                policy.evaluate(part.observations, part.tokens, temperature=part.temperature),
                shape,
                learns=False,
            )
            expected = checked_expectation(answer, shape, learns=False) if keeps_course else None
            if counts:
                log_probs[rows] = answer.log_probs.cpu().numpy()
                if expected is not None:
                    actions[rows] = expected.cpu().numpy()
        log_probs = self.group.sum_array(log_probs)
        if not keeps_course:
            return ReferenceAnswers(log_probs, None)
        # Judged of the whole batch, so that every process of a group raises or none does.
        actions = self.group.sum_array(actions)
        rest = required_rest(actions, batch.mask)
        return ReferenceAnswers(log_probs, ReferenceCourse(actions, rest))

    def _compared(self, batch: ChunkBatch) -> ChunkBatch:
        """Return the batch with what the starting policy thinks of it, where that is needed."""
        if self._reference is None:
            return batch
        return replace(batch, reference=self._answers(self._reference, batch))

    def _loss(self, batch: ChunkBatch) -> tuple[torch.Tensor, TokenSums, CourseSums]:
        config = self._config
        statistics = checked_statistics(
            self.policy.evaluate(batch.observations, batch.tokens, temperature=batch.temperature),
            batch.tokens.shape,
            learns=True,
        )
        device = statistics.log_probs.device
        mask = torch.from_numpy(batch.mask).to(device)
        reference = batch.reference
        reference_log_probs = None
        if reference is not None and config.kl_coefficient > 0.0:
            reference_log_probs = torch.from_numpy(reference.log_probs).to(device)
        loss, sums = grpo_loss(
            statistics.log_probs,
            statistics.entropy,
            torch.from_numpy(batch.log_probs).to(device),
            torch.from_numpy(batch.advantages).to(device),
            mask,
            clip_low=config.clip_low,
            clip_high=config.clip_high,
            entropy_coefficient=config.entropy_coefficient,
            kl_coefficient=config.kl_coefficient,
            reference_log_probs=reference_log_probs,
        )
        if reference is None or reference.course is None:
            return loss, sums, CourseSums()
        expected = checked_expectation(statistics, batch.tokens.shape, learns=True)
        starting = torch.from_numpy(reference.course.expected_actions).to(device)
        strayed, course = penalty(
            expected, starting, mask, reference.course.rest, config.course_gripper_weight
        )
        weights = mask.sum(dim=(1, 2)).to(strayed)
        return loss + config.course_coefficient / 2.0 * (weights * strayed).sum(), sums, course

    def _set_learning_rate(self, iterations_left: float) -> None:
        """Let the learning rate rise to what is configured, and fall to zero at the end.

        The first steps of AdamW are as long as the rate allows, however noisy the gradient; later
        ones average the noise away, and noise is most of a policy gradient. What noise the last
        steps leave in the weights comes out with them, unless these steps are short.
        """
        config = self._config
        taken = max((int(state['step']) for state in self.optimiser.state.values()), default=0)
        share = min(1.0, (taken + 1) / max(config.warm_up_steps, 1))
        if config.cooled_iterations:
            share = min(share, iterations_left / config.cooled_iterations)
        for group in self.optimiser.param_groups:
            group['lr'] = config.learning_rate * share

    def _clip_gradients(self) -> float:
        norm = float(
            torch.nn.utils.clip_grad_norm_(self.parameters.values(), self._config.max_gradient_norm)
        )
        check_gradient(norm, self._config.learning_rate)
        return norm


def _freeze(module: torch.nn.Module, prefixes: Sequence[str]) -> None:
    """Take the parameters below the named parts of a network out of the gradient.

    Raises UserError for a name that is not there.
    A backward pass ends where nothing before needs one: with the images' part frozen, an update
    costs little more than inference.
    """
    names = [name for name, _ in module.named_parameters()]
    for prefix in prefixes:
        part = CAMERAS if prefix == AUTO else prefix
        below = [name for name in names if name == part or name.startswith(f'{part}.')]
        if not below and prefix != AUTO:
            parts = ', '.join(dict.fromkeys(name.split('.')[0] for name in names))
            raise UserError(
                f'training: frozen={prefix!r} names no parameter; choose from {parts}, or give '
                "'' to train all"
            )
        for name in below:
            module.get_parameter(name).requires_grad_(False)
