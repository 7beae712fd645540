"""The variables by which OpenTelemetry knows a component."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.core.telemetry import ATTRIBUTES, NAME, resource_variables
from tests.launcher.unit.core.plans import component

API = component("api")


def variables(environment: dict[str, str], **changes: object) -> dict[str, str]:
    """Return what is set for a component of the backend called news desk."""
    name = str(changes.pop("name", "api"))
    return resource_variables("news desk", "box /srv", component(name, **changes), environment)


def attributes(told: dict[str, str]) -> dict[str, str]:
    """Return the attributes as a reader of the variable takes them apart."""
    return dict(pair.split("=", 1) for pair in told[ATTRIBUTES].split(","))


def test_a_component_is_a_service() -> None:
    """The component is the service, the backend its namespace; what has a meaning in the list is percent-encoded."""
    told = variables({})
    assert told[NAME] == "api"
    assert attributes(told)["service.namespace"] == "news%20desk"
    assert UUID(attributes(told)["service.instance.id"]).version == 5


def test_replicas_are_instances_of_one_service() -> None:
    """Replicas share the name and differ in the instance, which is the same at every start."""
    first, second = variables({}), variables({}, name="api.2", replica=2)
    assert first[NAME] == second[NAME] == "api"
    assert attributes(first)["service.instance.id"] != attributes(second)["service.instance.id"]
    assert first == variables({})


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({NAME: "mine"}, None),
        ({ATTRIBUTES: "service.name=mine"}, None),
        ({ATTRIBUTES: "service%2Ename=mine"}, None),
        ({NAME: ""}, "api"),
        ({ATTRIBUTES: "team=desk"}, "api"),
    ],
)
def test_a_name_that_was_given_stays(environment: dict[str, str], expected: str | None) -> None:
    """A service that somebody has named keeps that name, wherever it was given; an empty variable is none."""
    assert variables(environment).get(NAME) == expected


def test_attributes_that_were_given_stay() -> None:
    """Ours are added behind those that somebody has set, and only where there are none of that name."""
    told = variables({ATTRIBUTES: "team=desk,service.namespace=theirs"})[ATTRIBUTES]
    assert told.startswith("team=desk,service.namespace=theirs,service.instance.id=")
    assert "service.instance.id" not in variables({ATTRIBUTES: "service.namespace=a,service.instance.id=b"})


@given(st.dictionaries(st.sampled_from([NAME, ATTRIBUTES]), st.text(max_size=40)))
def test_nothing_that_was_given_is_lost(environment: dict[str, str]) -> None:
    """Whatever the variables hold, it is still there afterwards; doing it twice changes nothing more."""
    told = variables(environment)
    after = {**environment, **told}
    assert after[NAME] == environment.get(NAME) or not environment.get(NAME) or NAME not in told
    assert after[ATTRIBUTES].startswith(environment.get(ATTRIBUTES, "").strip() and environment[ATTRIBUTES])
    assert {**after, **variables(after)} == after
