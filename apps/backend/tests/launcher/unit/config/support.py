"""Write a project into a directory and load it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from launcher.config.load import Loaded, Request, load
from launcher.errors import ConfigError, Problem
from launcher.model.spec import ComponentSpec

API = '[components.api]\napp = "api.main:app"\n'


def request(directory: Path, **given: Any) -> Request:
    return replace(Request(directory, environ={}), **given)


def project(directory: Path, toml: str | None = None, env: str | None = None) -> Path:
    (directory / ".git").mkdir(exist_ok=True)
    if toml is not None:
        (directory / "launcher.toml").write_text(toml, encoding="utf-8")
    if env is not None:
        (directory / ".env").write_text(env, encoding="utf-8")
    return directory


def loaded(directory: Path, toml: str | None = None, env: str | None = None, **given: Any) -> Loaded:
    return load(request(project(directory, toml, env), **given))


def problems(directory: Path, toml: str | None = None, env: str | None = None, **given: Any) -> list[Problem]:
    with pytest.raises(ConfigError) as caught:
        loaded(directory, toml, env, **given)
    return list(caught.value.problems)


def problem(directory: Path, toml: str | None = None, env: str | None = None, **given: Any) -> Problem:
    found = problems(directory, toml, env, **given)
    assert len(found) == 1, found
    return found[0]


def component(result: Loaded, name: str) -> ComponentSpec:
    return next(spec for spec in result.spec.components if spec.name == name)


def names(result: Loaded) -> list[str]:
    return [spec.name for spec in result.spec.components]


def origin(result: Loaded, key: str) -> tuple[str, str]:
    return next((found.value, found.source) for found in result.origins if found.key == key)


def origins(result: Loaded) -> Mapping[str, tuple[str, str]]:
    return {found.key: (found.value, found.source) for found in result.origins}
