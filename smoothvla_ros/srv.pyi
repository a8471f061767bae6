# Generated from the interface files of the package when it is built.
from typing import Any

def __getattr__(name: str) -> Any: ...
