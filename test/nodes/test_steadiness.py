"""A process that has a period to hold keeps its program in memory, as far as it may."""

from __future__ import annotations

import json
import mmap
import os
import re
import subprocess
import sys

import pytest

from smoothvla_ros.nodes.base.steadiness import _program

SCRIPT = """
import json, os, resource, sys
import numpy
from smoothvla_ros.nodes.base.steadiness import hold_in_memory

def program():
    '''Pages of files that are mapped for reading, and how many of them are in memory, kB.'''
    size = held = 0
    for line in open('/proc/self/smaps'):
        words = line.split()
        if '-' in words[0] and ':' not in words[0]:
            counted = words[4] != '0' and words[1][0] == 'r' and words[1][3] == 'p'
            end = int(words[0].split('-')[1], 16)
        elif counted and words[0] == 'Size:':
            size += int(words[1])
        elif counted and words[0] == 'Rss:':
            held += int(words[1])
    return size, held

def locked():
    return next(int(line.split()[1]) for line in open('/proc/self/status') if 'VmLck' in line)

if sys.argv[1] == 'refused':
    if os.getuid() == 0:
        os.setuid(65534)
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (4096, 4096))
before = program()
why_not = hold_in_memory()
print(json.dumps({'before': before, 'after': program(), 'locked': locked(), 'why_not': why_not}))
"""


def held(case):
    ran = subprocess.run(
        [sys.executable, '-c', SCRIPT, case], capture_output=True, text=True, timeout=100.0
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


@pytest.mark.parametrize('case', ['as it is', 'refused'])
def test_program_is_read_into_memory_as_a_whole(case):
    """No tick waits for a disk to read a part that was never used before, locked or not."""
    if tuple(map(int, re.findall(r'\d+', os.uname().release)[:2])) < (5, 14):
        pytest.skip('this kernel reads pages in only when they are used')
    found = held(case)
    size, resident = found['before']
    assert resident < 0.8 * size
    size, resident = found['after']
    assert resident > 0.98 * size


def test_a_library_may_lie_in_a_folder_of_any_name(tmp_path):
    """Names are bytes to the kernel; a disk of another system has some that are no UTF-8."""
    path = os.fsencode(tmp_path) + b'/J\xfcrgen'
    with open(path, 'wb') as file:
        file.write(bytes(mmap.PAGESIZE))
    with open(path, 'rb') as file, mmap.mmap(file.fileno(), 0, mmap.MAP_PRIVATE, mmap.PROT_READ):
        assert mmap.PAGESIZE in [size for _, size in _program()]


def test_what_may_not_be_locked_is_said_with_what_to_change():
    """A user without the right: the node goes on, and says which limit is too low."""
    found = held('refused')
    assert found['locked'] == 0
    assert 'the limit is 4 kB' in found['why_not']
    assert 'memlock' in found['why_not']


def test_memory_is_locked_where_it_may_be():
    """Nothing of it goes back to a disk when another program needs memory."""
    found = held('as it is')
    if found['why_not']:
        pytest.skip(found['why_not'])
    assert found['locked'] > found['after'][1]
