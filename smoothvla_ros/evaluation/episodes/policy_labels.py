"""Under which labels the episodes of a run's policies stand in its table."""

BEFORE, AFTER = 'before', 'after'
"""Of a training, or of two policies that are compared."""

EVALUATED = 'policy'
"""One that is evaluated alone, or beside the expert."""

EXPERT = 'expert'
"""The scripted one; an evaluation takes it for a policy under this name."""

RIGHT_INSTRUCTION, WRONG_INSTRUCTION = 'right_instruction', 'wrong_instruction'
"""One policy, told its task's instruction and another task's."""

IN_ORDER = (BEFORE, RIGHT_INSTRUCTION, EXPERT, EVALUATED, AFTER, WRONG_INSTRUCTION)
"""What is compared with comes before what is compared."""
