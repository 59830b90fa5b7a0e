"""The composition root: the only place where concrete parts are put together."""

from send2llm.bootstrap.container import build_service
from send2llm.bootstrap.database import (
    TEXT_KEYS_FILE,
    database_of,
    event_codec,
    ready_master_keys,
    refuse_lost_master_keys,
    refuse_old_schema,
    text_keys,
)
from send2llm.bootstrap.followers import build_projector, build_relay, build_sealer, built_in_projections, projections
from send2llm.bootstrap.key_files import SEALING_KEY_FILE, open_key_files
from send2llm.bootstrap.models import (
    catalogue_of_history,
    model_names,
    price_book,
    price_book_of_history,
    provider_config,
)
from send2llm.bootstrap.service import Service

__all__ = [
    "SEALING_KEY_FILE",
    "TEXT_KEYS_FILE",
    "Service",
    "build_projector",
    "build_relay",
    "build_sealer",
    "build_service",
    "built_in_projections",
    "catalogue_of_history",
    "database_of",
    "event_codec",
    "model_names",
    "open_key_files",
    "price_book",
    "price_book_of_history",
    "projections",
    "provider_config",
    "ready_master_keys",
    "refuse_lost_master_keys",
    "refuse_old_schema",
    "text_keys",
]
