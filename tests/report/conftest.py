"""The sample documents, and a browser. Test folders are no packages: what their tests share is imported by name."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from pathlib import Path
from types import ModuleType

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def sample() -> ModuleType:
    """The module `sample.py` beside this file: test folders are no packages."""
    path = Path(__file__).with_name("sample.py")
    spec = importlib.util.spec_from_file_location("trueward_report_sample", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a Chromium. Without one the test fails in CI and is skipped elsewhere."""
    named = os.environ.get("CHROMIUM")
    for candidate in (named, "chromium", "chromium-browser", "google-chrome", "chrome"):
        found = shutil.which(candidate) if candidate else None
        if found:
            return found
    reason = "no Chromium: install it, or name it in the environment variable CHROMIUM"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
