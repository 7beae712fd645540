"""Reading addresses from the environment."""

from __future__ import annotations

import pytest

from devservers import bolt, postgres, redis
from services.settings import Settings, address, with_driver


def test_defaults_fit_the_development_servers() -> None:
    """Without any variable the backend finds the servers that `devservers` starts without any flag."""
    settings = Settings.from_environment({})
    assert address(settings.postgres_url) == f"127.0.0.1:{postgres.DEFAULT_PORT}"
    assert address(settings.redis_url) == f"127.0.0.1:{redis.DEFAULT_PORT}"
    assert address(settings.neo4j_url) == f"127.0.0.1:{bolt.DEFAULT_PORT}"
    assert settings.neo4j_password == bolt.DEFAULT_PASSWORD
    assert f"//{postgres.USER}@" in settings.postgres_url


def test_empty_variables_mean_the_default() -> None:
    """An empty variable, as a shell or a `.env` file leaves it, counts as unset."""
    assert Settings.from_environment({"REDIS_URL": "", "POSTGRES_URL": ""}) == Settings()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("POSTGRES_URL", "mysql://localhost/db"),
        ("REDIS_URL", "http://localhost"),
        ("NEO4J_URL", "localhost:7687"),
    ],
)
def test_a_url_of_another_server_is_refused(variable: str, value: str) -> None:
    """The error names the variable that is wrong."""
    with pytest.raises(ValueError, match=variable):
        Settings.from_environment({variable: value})


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://user:secret@db.example:5433/news", "db.example:5433"),
        ("redis://:secret@cache/0", "cache"),
        ("unix:///run/redis.sock", "/run/redis.sock"),
    ],
)
def test_an_address_shows_no_credentials(url: str, shown: str) -> None:
    """What error messages show of a URL is where, not who."""
    assert address(url) == shown


def test_the_password_is_not_in_the_representation() -> None:
    """Settings may be logged."""
    assert "hush" not in repr(Settings(neo4j_password="hush"))


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+asyncpg"])
def test_every_spelling_of_postgresql_means_asyncpg(scheme: str) -> None:
    """A URL as other tools write it works unchanged."""
    assert with_driver(f"{scheme}://user@host/db") == "postgresql+asyncpg://user@host/db"
