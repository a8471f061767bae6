"""The command `smoothvla`: a table of subcommands, each with its owner's parser and function."""

from __future__ import annotations

import argparse
import importlib
import os
import select
import sys
from collections.abc import Sequence
from types import ModuleType

from smoothvla_ros import __version__
from smoothvla_ros.errors import UserError

# Each module has add_arguments(parser) and run(arguments) -> exit status. It is imported only when
# its command is called, so that no command waits for the libraries of another.
COMMANDS = {
    'suite': ('smoothvla_ros.workflows.suite', 'prepare tasks of your own (BDDL files)'),
    'demos': ('smoothvla_ros.workflows.demos', 'record demonstrations with the scripted expert'),
    'sft': ('smoothvla_ros.workflows.sft', 'train a policy on demonstrations'),
    'train': (
        'smoothvla_ros.workflows.training.command',
        'fine-tune a policy with GRPO, without ROS',
    ),
    'eval': ('smoothvla_ros.workflows.evaluation.command', 'measure success and jerk of a policy'),
    'benchmark': (
        'smoothvla_ros.workflows.benchmark.command',
        'train and measure every reward, suite and seed, and write the tables',
    ),
    'report': ('smoothvla_ros.workflows.report', "write a run's report again from its episodes"),
    'export': (
        'smoothvla_ros.workflows.export',
        'merge an OpenVLA adapter into its weights',
    ),
    'memory': ('smoothvla_ros.workflows.memory', 'compute what OpenVLA needs of a GPU'),
    'analyze': ('smoothvla_ros.workflows.analyze', 'measure the jerk in any recorded bag'),
    'launch': ('smoothvla_ros.nodes.launch_runner', 'run a launch file, with or without ROS tools'),
    'parameters': ('smoothvla_ros.nodes.parameter_reference', "show every node's parameters"),
}


class CommandParser(argparse.ArgumentParser):
    """A subcommand's parser, which refuses what it does not know itself, with its own usage."""

    def parse_known_args(  # type: ignore[override]
        self,
        args: Sequence[str] | None = None,
        namespace: argparse.Namespace | None = None,
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parse; what is left over would else be refused by the parser of all commands."""
        options, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f'unrecognized arguments: {" ".join(unknown)}')
        return options, unknown


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand and return its exit status: 2 for a user's error, 130 when interrupted.

    141 when nobody reads the output any more, as in `smoothvla benchmark --plan | head`.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        options = _parser(arguments[:1]).parse_args(arguments)
        status = options.subcommand(options)
        if sys.stdout is not None:  # as where a shell closed it
            sys.stdout.flush()
        return status
    except BrokenPipeError:
        if not _output_is_closed():
            raise
        return 141
    except UserError as error:
        print(f'smoothvla: {" ".join(str(error).split())}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print('smoothvla: interrupted', file=sys.stderr)
        return 130


def _parser(chosen: Sequence[str]) -> argparse.ArgumentParser:
    """Return the parser with the arguments of the chosen command only."""
    parser = argparse.ArgumentParser(
        prog='smoothvla',
        description='Fine-tune vision-language-action policies until they succeed smoothly.',
    )
    parser.add_argument('--version', action='version', version=f'smoothvla_ros {__version__}')
    commands = parser.add_subparsers(metavar='COMMAND', required=True, parser_class=CommandParser)
    for name, (module_name, description) in COMMANDS.items():
        command = commands.add_parser(name, help=description, description=description)
        if name in chosen:
            module = _load(name, module_name)
            module.add_arguments(command)
            command.set_defaults(subcommand=module.run)
    return parser


def _output_is_closed() -> bool:
    """Return whether nobody reads the standard output; what is left of it is then thrown away."""
    if sys.stdout is None:
        return False
    output = sys.stdout.fileno()
    poll = select.poll()
    poll.register(output, 0)
    if not poll.poll(0):  # these two are always reported: a pipe's reader, a socket's peer is gone
        return False
    # Or the interpreter would try to write it once more while it ends.
    os.dup2(os.open(os.devnull, os.O_WRONLY), output)
    return True


def _load(name: str, module_name: str) -> ModuleType:
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.startswith('smoothvla_ros.'):
            raise UserError(
                f'{name}: {error.name} is not installed; run `make install` in the checkout, as '
                'after every new file'
            ) from error
        raise


if __name__ == '__main__':
    sys.exit(main())
