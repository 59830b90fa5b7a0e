"""PostgreSQL: where a database is, and a server of one's own when there is none."""

from send2llm.infrastructure.postgres.connection_info import ConnectionInfo
from send2llm.infrastructure.postgres.data_directory import default_data_dir
from send2llm.infrastructure.postgres.embedded import EmbeddedPostgres
from send2llm.infrastructure.postgres.server_binaries import ServerBinaries

__all__ = ["ConnectionInfo", "EmbeddedPostgres", "ServerBinaries", "default_data_dir"]
