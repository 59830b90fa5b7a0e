from pathlib import Path

import pytest

from send2llm.domain.errors import ConfigurationError
from send2llm.infrastructure.postgres import ConnectionInfo, default_data_dir


def test_a_socket_folder_survives_the_round_trip_through_both_urls():
    info = ConnectionInfo(host="/tmp/a folder, strange?/x", dbname="d&b", user="u@x", port=6000, password="p:w/%")

    assert info.dsn.startswith("postgresql://")
    assert ConnectionInfo.parse(info.dsn) == info
    assert info.sqlalchemy_url.startswith("postgresql+psycopg://")
    assert ConnectionInfo.parse(info.sqlalchemy_url) == info


@pytest.mark.parametrize(
    ("conninfo", "expected"),
    [
        ("postgresql://me@db.example:6432/app", ConnectionInfo("db.example", "app", "me", 6432)),
        ("host=db user=me", ConnectionInfo("db", "me", "me")),
        ("postgresql://", ConnectionInfo("localhost", "postgres", "postgres")),
        (
            "postgres://me@db/app?sslmode=require",
            ConnectionInfo("db", "app", "me", parameters={"sslmode": "require"}),
        ),
    ],
)
def test_what_is_left_out_has_the_usual_value(conninfo, expected):
    assert ConnectionInfo.parse(conninfo) == expected


@pytest.mark.parametrize("conninfo", ["mysql://me:secret@db/app", "postgresql://me:secret@db:port/app", "secret"])
def test_nonsense_is_refused_without_repeating_it(conninfo):
    with pytest.raises(ConfigurationError, match="should look like") as caught:
        ConnectionInfo.parse(conninfo)

    assert "secret" not in str(caught.value)


def test_a_password_does_not_show():
    info = ConnectionInfo("db", "app", "me", password="hunter2", parameters={"sslpassword": "hunter2"})

    assert "hunter2" not in repr(info)


def test_the_data_folder_can_be_chosen(monkeypatch):
    monkeypatch.setenv("SEND2LLM_DATA_DIR", "~/elsewhere")

    assert default_data_dir() == Path.home() / "elsewhere"


def test_the_data_folder_has_a_default(monkeypatch):
    monkeypatch.delenv("SEND2LLM_DATA_DIR", raising=False)

    assert default_data_dir().name == "send2llm"
    assert default_data_dir().is_absolute()
