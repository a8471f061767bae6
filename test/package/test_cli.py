"""The command line: what it prints, when it imports, and how it ends."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import pytest

from smoothvla_ros import __version__, cli
from smoothvla_ros.errors import UserError


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch):
    """Put a command `probe` into the table whose function is the test's own."""

    def add(run) -> None:
        module = SimpleNamespace(
            add_arguments=lambda parser: parser.add_argument('--count', type=int, default=1),
            run=run,
        )
        monkeypatch.setitem(sys.modules, 'probe_command', module)
        monkeypatch.setitem(cli.COMMANDS, 'probe', ('probe_command', 'a probe'))

    return add


def test_the_exit_status_and_the_arguments_are_the_owners(command) -> None:
    """A command's own parser is used, and what its function returns is the exit status."""
    command(lambda arguments: arguments.count)
    assert cli.main(['probe', '--count', '7']) == 7


@pytest.mark.parametrize('name', sorted(cli.COMMANDS))
def test_no_argument_of_a_command_hides_its_function(name) -> None:
    """`smoothvla report RUN` has an argument called run; it still has to find its way."""
    parser = cli._parser([name])
    command = parser._subparsers._group_actions[0].choices[name]
    assert callable(command.get_default('subcommand'))
    assert 'subcommand' not in {action.dest for action in command._actions}


def test_a_user_error_is_one_line_on_stderr_and_status_2(command, capsys) -> None:
    """A user never sees a traceback for something that the user can put right."""

    def fail(arguments):
        raise UserError('suite libero_moon is unknown;\nchoose another')

    command(fail)
    assert cli.main(['probe']) == 2
    printed = capsys.readouterr()
    assert printed.out == ''
    assert printed.err == 'smoothvla: suite libero_moon is unknown; choose another\n'


def test_an_interrupt_ends_with_status_130(command, capsys) -> None:
    """Ctrl-C is the shell's 128 + SIGINT, without a traceback."""

    def interrupt(arguments):
        raise KeyboardInterrupt

    command(interrupt)
    assert cli.main(['probe']) == 130
    assert capsys.readouterr().err == 'smoothvla: interrupted\n'


def test_a_bug_keeps_its_traceback(command) -> None:
    """Only a UserError is turned into one line; anything else is a bug and must be seen."""
    command(lambda arguments: [][1])
    with pytest.raises(IndexError):
        cli.main(['probe'])


def test_a_command_that_is_not_installed_says_how_to_get_it(monkeypatch, capsys) -> None:
    """A missing module of the table is named with the remedy; a missing library is a bug."""
    monkeypatch.setitem(cli.COMMANDS, 'absent', ('smoothvla_ros.absent', 'nothing'))
    assert cli.main(['absent']) == 2
    assert 'make install' in capsys.readouterr().err
    monkeypatch.setitem(cli.COMMANDS, 'absent', ('library_that_is_not_there', 'nothing'))
    with pytest.raises(ModuleNotFoundError):
        cli.main(['absent'])


def test_help_and_version_import_no_command() -> None:
    """The table is printed without waiting for torch, MuJoCo or ROS."""
    script = (
        'import sys\nfrom smoothvla_ros import cli\n'
        'try:\n    cli.main([sys.argv[1]])\n'
        'finally:\n'
        '    heavy = {"torch", "mujoco", "rclpy", "numpy"} & set(sys.modules)\n'
        '    assert not heavy, heavy\n'
    )
    for option, expected in (('--help', 'demos'), ('--version', __version__)):
        finished = subprocess.run(
            [sys.executable, '-c', script, option], capture_output=True, text=True, check=True
        )
        assert expected in finished.stdout


@pytest.mark.parametrize('name', sorted(cli.COMMANDS))
def test_every_command_has_its_owner(name: str, capsys) -> None:
    """Each name in the table imports, declares its arguments and describes itself."""
    with pytest.raises(SystemExit) as ended:
        cli.main([name, '--help'])
    assert ended.value.code == 0
    assert cli.COMMANDS[name][1] in ' '.join(capsys.readouterr().out.split())


@pytest.mark.parametrize('option', ['--out', '--output'])
@pytest.mark.parametrize('name', ['demos', 'sft', 'train', 'eval', 'benchmark'])
def test_both_names_of_the_output_folder_are_taken(name, option) -> None:
    """Training calls it output, everything else out; nobody has to remember which."""
    given = [name, option, 'there', *(['--data', 'x'] if name == 'sft' else [])]
    options = vars(cli._parser([name]).parse_args(given))
    assert str(options['output' if name == 'train' else 'out']) == 'there'


def test_an_unknown_option_is_answered_with_the_usage_of_its_command(command, capsys) -> None:
    """Not with that of `smoothvla`, which lists the commands and no option."""
    command(lambda arguments: 0)
    with pytest.raises(SystemExit) as ended:
        cli.main(['probe', '--cuont', '7'])
    assert ended.value.code == 2
    printed = capsys.readouterr().err
    assert printed.startswith('usage: smoothvla probe [-h] [--count COUNT]')
    assert 'smoothvla probe: error: unrecognized arguments: --cuont 7' in printed
