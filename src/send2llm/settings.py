"""All settings in one typed object, validated at start.

They come from, the first that speaks wins: the environment (``SEND2LLM_PORT=9000``, nested names joined by two
underscores), then ``send2llm.toml`` in the working folder (or the file that ``SEND2LLM_CONFIG`` names), then the
defaults below. A key that does not exist is refused, and the nearest one that does is named.
"""

# Longer than 400 lines because everything that can be set stands in this one object.

import os
import tomllib
from collections.abc import Iterable, Mapping
from decimal import Decimal
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from send2llm.application.budgets.policy import BudgetPolicy
from send2llm.application.patience import Timeouts
from send2llm.application.retries import RetryPolicy
from send2llm.domain.errors import ConfigurationError
from send2llm.infrastructure.providers.installed import family_names
from send2llm.infrastructure.providers.presets import PRESETS, Preset

ENV_PREFIX = "SEND2LLM_"
CONFIG_VARIABLE = "SEND2LLM_CONFIG"
CONFIG_FILE = "send2llm.toml"
SHORTEST_SECRET = 8
"""Characters; to mask anything shorter wherever it turns up would garble the log, and protect nothing."""

CLIENT_VARIABLES = frozenset({"URL", "MODEL", "CONFIG"})
"""``SEND2LLM_...`` variables that are not settings of the service: the command line's own, and the file's place."""


def _resolve_secret(value: object) -> object:
    """``env:NAME`` stands for the value of the environment variable ``NAME``."""
    if isinstance(value, str) and value.startswith("env:"):
        name = value.removeprefix("env:")
        if name not in os.environ:
            raise ValueError(f"the environment variable {name} is not set; set it, or remove this provider")
        return os.environ[name]
    return value


Secret = Annotated[SecretStr, BeforeValidator(_resolve_secret)]


def _exact(value: object) -> object:
    """TOML has binary floats only; what was written comes back exactly from their shortest spelling."""
    return str(value) if isinstance(value, float) else value


Usd = Annotated[Decimal, BeforeValidator(_exact), Field(ge=0, allow_inf_nan=False)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
LogLevel = Literal["debug", "info", "warning", "error", "critical"]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ProviderSettings(_Section):
    """A service that runs models, reached in one of the wire formats."""

    format: str = "openai"
    """The provider's wire format: the name of an entry point in the group ``send2llm.providers``."""
    base_url: str = ""
    """What the provider's own SDK would be given; known already for the providers that have a preset."""
    api_key: Secret | None = None
    models: tuple[str, ...] = ()
    """Models that callers may name without the provider's name before them."""
    only_listed: bool = False
    """Whether it has just the ``models``; else any other name is tried at it, too."""
    headers: dict[str, str] = {}
    """Further headers of every call."""
    free: bool = False
    """Calls cost nothing (a model on one's own machine)."""
    price_provider: str | None = None
    """The provider's id in the price catalogue, where it cannot be told from its name or address."""
    preset: str | None = None
    """The known provider that this one is, where its name does not tell: see the list in docs/providers.md."""
    options: dict[str, str | bool | int | float] = {}
    """What its format wants to know beyond that."""
    leave_out: frozenset[str] = frozenset()
    """Fields of requests that this provider does not take; it gets the request without them."""
    models_begin_with: tuple[str, ...] = ()
    """Beginnings of names of models which belong to this provider, also without its name before them."""

    @model_validator(mode="before")
    @classmethod
    def _know_the_preset(cls, values: object) -> object:
        if isinstance(values, dict) and (name := values.get("preset")) is not None:
            return with_preset(str(name), values)
        return values

    @field_validator("format")
    @classmethod
    def _is_installed(cls, value: str) -> str:
        if value not in family_names():
            raise ValueError(f"there is no provider format {value!r}.{_nearest(value, family_names())}")
        return value

    @model_validator(mode="after")
    def _can_be_found(self) -> Self:
        if self.format == "openai" and not self.base_url:
            raise ValueError("it needs a base_url, such as https://api.openai.com/v1")
        return self

    @field_validator("base_url")
    @classmethod
    def _is_http(cls, value: str) -> str:
        if value and not value.startswith(("http://", "https://")):
            raise ValueError("a base_url begins with http:// or https://, such as https://api.openai.com/v1")
        return value.rstrip("/")


class PriceSettings(_Section):
    """US dollars for a million tokens; cached tokens cost as much as other input unless said otherwise."""

    input: Usd
    output: Usd
    cache_read: Usd | None = None
    cache_write: Usd | None = None
    cache_write_1h: Usd | None = None
    """Tokens that the cache keeps for an hour (Anthropic), which costs more than the usual five minutes."""
    per_request: Usd = Decimal(0)


class RetrySettings(_Section):
    """See ``RetryPolicy``."""

    attempts: int = Field(default=RetryPolicy().attempts, ge=1, le=20)
    first_wait: Seconds = RetryPolicy().first_wait
    longest_wait: Seconds = RetryPolicy().longest_wait


class TimeoutSettings(_Section):
    """Seconds; see ``Timeouts``."""

    connect: Seconds = Timeouts().connect
    first_token: Seconds = Timeouts().first_token
    between_tokens: Seconds = Timeouts().between_tokens
    total: Seconds = Timeouts().total


class BudgetSettings(_Section):
    """How budgets are kept; the budgets themselves are set with `send2llm budget set`. See ``BudgetPolicy``."""

    allowance_seconds: Seconds = BudgetPolicy().allowance
    """How long money is lent to a process before others may take it back."""
    idle_seconds: Seconds = BudgetPolicy().idle
    """Money that was not needed for so long goes home unasked."""
    recall_seconds: float = Field(default=BudgetPolicy().recall, ge=0, le=60)
    """The longest that a call waits for idle money of other processes before it is refused."""
    output_tokens: int = Field(default=BudgetPolicy().output_tokens, ge=1)
    """The most tokens of an answer under a budget, where the caller sets no limit."""
    least_output_tokens: int = Field(default=BudgetPolicy().least_output_tokens, ge=1)
    """A call that could not have so many is refused rather than cut short."""
    unknown_price: Literal["refuse", "allow"] = "refuse"
    """Calls under a budget to a model whose price nobody knows; allowed ones are counted by no budget."""
    free_fields: tuple[str, ...] = ()
    """Fields of requests that cost nothing, beyond those that are known to."""

    def policy(self) -> BudgetPolicy:
        """The same for the application."""
        return BudgetPolicy(
            allowance=self.allowance_seconds,
            idle=self.idle_seconds,
            recall=self.recall_seconds,
            output_tokens=self.output_tokens,
            least_output_tokens=self.least_output_tokens,
            unknown_price=self.unknown_price,
            free_fields=frozenset(self.free_fields),
        )


class SealSettings(_Section):
    """How the log of events is sealed, so that anybody can verify that it was not changed."""

    key: Secret | None = None
    """The secret Ed25519 key: 32 bytes in base64 or hexadecimal. Nothing is sealed without a key, or a file of one."""
    key_file: Path | None = None
    """A file with the key, made if it is missing. With the embedded database: ``sealing.key`` in the data folder."""
    every_seconds: Annotated[Seconds, Field(le=1800)] = 10.0
    """How long an event may wait for its seal, at most 1800: verification takes what waits for an hour as a fault."""


class EncryptionSettings(_Section):
    """How what people and models said is kept, so that it can be erased although events are for ever.

    Each conversation has a key of its own, wrapped by the master key that is set here. Without one, texts are stored in
    plain, and conversations cannot be erased.
    """

    key: Secret | None = None
    """Master keys: 32 bytes each in base64 or hexadecimal, separated by commas. New conversations get the first one."""
    key_file: Path | None = None
    """A file with them, one a line. ``serve`` makes it if it is missing, unless what is stored needs another.

    With the embedded database: ``texts.key`` in the data folder.
    """


class RelaySettings(_Section):
    """Where events are handed on to: a stream of NATS JetStream."""

    url: Secret | None = None
    """``nats://host:4222``, with ``user:password@`` or ``token@`` if it wants them. Nothing is relayed without it."""
    stream: str = Field(default="SEND2LLM", pattern=r"^[A-Za-z0-9_-]+$", max_length=255)
    """The stream, made if it is missing."""
    subject: str = Field(default="send2llm.events", pattern=r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$")
    """What subjects begin with; the topic follows."""
    topics: tuple[str, ...] = ()
    """Only these; all if none is named."""
    credentials_file: Path | None = None
    """A file of NATS credentials (``.creds``)."""


class LogSettings(_Section):
    """What is logged, and how."""

    level: LogLevel = "info"
    format: Literal["auto", "json", "console"] = "auto"
    """``auto``: for people on a terminal, JSON anywhere else."""
    levels: dict[str, LogLevel] = {}
    """Levels of single components, by the beginning of their logger's name: ``{"uvicorn": "warning"}``."""


class LocalModelSettings(_Section):
    """The small model that runs beside the service."""

    enabled: Literal["auto", "always", "never"] = "auto"
    """``auto``: when no provider is configured and the model is installed."""
    path: Path | None = None
    """A GGUF file of your own."""


class Settings(BaseSettings):
    """Everything that can be set."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        nested_model_default_partial_update=True,
    )

    host: str = "127.0.0.1"
    port: int = Field(default=8484, ge=0, le=65535)
    workers: int = Field(default=1, ge=1, le=64)
    api_key: SecretStr | None = None
    """What callers must show; without it the service listens on loopback only."""
    data_dir: Path | None = None
    """Where the embedded database and the local model live; by default in the user's data folder."""
    database_url: SecretStr | None = None
    """A PostgreSQL to use instead of the embedded one: ``postgresql://user:password@host:5432/name``."""
    default_provider: str | None = None
    """Who gets models that no provider lists; needed only with several providers."""
    max_body_bytes: int = Field(default=16 * 1024 * 1024, ge=1024)
    shutdown_seconds: Seconds = 30.0
    """How long running calls may take to end when the service stops."""
    store_wait_seconds: Seconds = 10.0
    """How long an event may wait for a database that has gone away."""
    projections: tuple[str, ...] = ()
    """Projections of your own, as ``module:Class``; they are built beside those that come along."""
    handlers: tuple[str, ...] = ("template",)
    """Message handlers by name, in the order in which they see a request; answers pass them the other way round."""
    handler_options: dict[str, dict[str, Any]] = {}
    """Options of these handlers, by name; each handler knows its own."""
    projector: bool = True
    """Whether this service builds the read models; at least one service on a database must."""
    providers: dict[str, ProviderSettings] = {}
    routes: dict[str, tuple[str, ...]] = {}
    """Aliases: ``fast = ["groq/llama-3.3-70b", "local/smollm2-135m-instruct"]`` are tried in that order."""
    prices: dict[str, PriceSettings] = {}
    """Corrections of the price catalogue, by ``provider/model``."""
    budgets: BudgetSettings = BudgetSettings()
    timeouts: TimeoutSettings = TimeoutSettings()
    retries: RetrySettings = RetrySettings()
    seals: SealSettings = SealSettings()
    encryption: EncryptionSettings = EncryptionSettings()
    relay: RelaySettings = RelaySettings()
    log: LogSettings = LogSettings()
    local_model: LocalModelSettings = LocalModelSettings()

    @field_validator("providers", mode="before")
    @classmethod
    def _presets_by_name(cls, providers: object) -> object:
        """Providers that bear the name of a preset, and no address of their own, are that."""
        if not isinstance(providers, dict):
            return providers
        return {name: _named_preset(name, table) for name, table in providers.items()}

    @field_validator("routes")
    @classmethod
    def _routes_lead_somewhere(cls, routes: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        for name, candidates in routes.items():
            if not candidates:
                raise ValueError(f"the route {name} needs at least one candidate, such as openai/gpt-5-mini")
        return routes

    @field_validator("prices")
    @classmethod
    def _prices_are_of_models(cls, prices: dict[str, PriceSettings]) -> dict[str, PriceSettings]:
        for name in prices:
            provider, _, model = name.partition("/")
            if not provider or not model:
                raise ValueError(f"{name!r} is no model: name it provider/model, such as openai/gpt-5-mini")
        return prices

    @property
    def secrets(self) -> frozenset[str]:
        """Every value that must never be shown, in a log or elsewhere."""
        given = [
            self.api_key,
            self.database_url,
            self.seals.key,
            self.relay.url,
            *(provider.api_key for provider in self.providers.values()),
        ]
        values = {secret.get_secret_value() for secret in given if secret is not None}
        if self.encryption.key is not None:
            values.update(key.strip() for key in self.encryption.key.get_secret_value().split(","))
        headers = {value for provider in self.providers.values() for value in provider.headers.values()}
        return frozenset(value for value in values | headers if len(value) >= SHORTEST_SECRET)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the signature is pydantic's
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - as above
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - as above
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment before the file, which is given to the constructor."""
        return env_settings, init_settings


def with_preset(name: str, values: dict[str, Any]) -> dict[str, Any]:
    """The table of a provider, with what is known of it where the table says nothing; raises ``ValueError``."""
    preset = PRESETS.get(name)
    if preset is None:
        raise ValueError(f"there is no preset {name!r}.{_nearest(name, PRESETS)}")
    known: dict[str, Any] = {
        "format": preset.format,
        "base_url": preset.base_url,
        "headers": dict(preset.headers),
        "options": dict(preset.options),
        "models_begin_with": preset.models_begin_with,
        "price_provider": preset.price_provider,
        "free": preset.free,
        "leave_out": preset.leave_out,
    }
    for field in ("options", "headers"):
        if isinstance(values.get(field), dict):
            values = {**values, field: {**known[field], **values[field]}}
    key = os.environ.get(preset.key_variable or "")
    if key and _is_its_own_address(values.get("base_url"), name, preset):
        known["api_key"] = key
    return {**known, **values}


def _is_its_own_address(base_url: object, name: str, preset: Preset) -> bool:
    """Whether the usual key of a known provider may be shown there: a key for one address is not shown to another."""
    if base_url is None or not preset.base_url:
        return True
    return str(base_url).rstrip("/") in (preset.base_url, _usual_address(name, os.environ))


def _usual_address(name: str, environ: Mapping[str, str]) -> str | None:
    """What the provider's usual variable for its address says, such as ``OPENAI_BASE_URL``."""
    address = environ.get(f"{name.upper()}_BASE_URL")
    return address.rstrip("/") if address else None


def load_settings(environ: Mapping[str, str] = os.environ, config: Path | None = None) -> Settings:
    """Read the environment and the configuration file; raises ``ConfigurationError`` that says what to do."""
    _refuse_unknown_variables(environ)
    path, values = _read_file(environ, config)
    try:
        return Settings(**_with_usual_providers(values, environ))
    except ValidationError as error:
        raise ConfigurationError(_explain(error, path)) from None


def _read_file(environ: Mapping[str, str], config: Path | None) -> tuple[Path | None, dict[str, Any]]:
    named = config or (Path(environ[CONFIG_VARIABLE]) if CONFIG_VARIABLE in environ else None)
    path = named or Path(CONFIG_FILE)
    if not path.is_file():
        if named is not None:
            raise ConfigurationError(f"There is no configuration file {named}; write it, or unset {CONFIG_VARIABLE}.")
        return None, {}
    try:
        return path, tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} is not valid TOML: {error}.") from None


def _with_usual_providers(values: dict[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
    """Known providers whose usual variable is set are there without a file.

    The key itself is not put in: that waits until it is known which address it would go to.
    """
    configured = values.get("providers", {})
    if not isinstance(configured, dict):
        return values
    usual = {}
    for name, preset in PRESETS.items():
        base_url = _usual_address(name, environ)
        key = environ.get(preset.key_variable or "")
        if preset.automatic and name not in configured and (base_url or key):
            usual[name] = {"preset": name, "base_url": base_url} if base_url else {"preset": name}
    return {**values, "providers": {**configured, **usual}} if usual else values


def _named_preset(name: str, table: object) -> object:
    if not isinstance(table, dict) or name not in PRESETS or {"preset", "format"} & table.keys():
        return table
    elsewhere = "base_url" in table and PRESETS[name].base_url
    return table if elsewhere else {"preset": name, **table}


def _refuse_unknown_variables(environ: Mapping[str, str]) -> None:
    known = {name.upper() for name in Settings.model_fields}
    for variable in environ:
        name = variable.removeprefix(ENV_PREFIX)
        if variable.startswith(ENV_PREFIX) and name.split("__")[0] not in known | CLIENT_VARIABLES:
            raise ConfigurationError(f"{variable} is no setting.{_nearest(name, known | CLIENT_VARIABLES, ENV_PREFIX)}")


def _explain(error: ValidationError, path: Path | None) -> str:
    lines = []
    for problem in error.errors():
        where = ".".join(str(step) for step in problem["loc"])
        if problem["type"] == "extra_forbidden":
            known = _known_keys(problem["loc"][:-1])
            lines.append(f"{where} is no setting.{_nearest(str(problem['loc'][-1]), known)}")
        else:
            lines.append(f"{where}: {problem['msg'].removeprefix('Value error, ')}.")
    source = f"{path} or the environment" if path else "The environment"
    return f"{source} is not right:\n  " + "\n  ".join(lines)


def _known_keys(place: Iterable[int | str]) -> set[str]:
    model: type[BaseModel] = Settings
    for step in place:
        field = model.model_fields.get(str(step))
        kinds = [field.annotation, *get_args(field.annotation)] if field else []
        model = next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), model)
    return set(model.model_fields)


def _nearest(name: str, known: Iterable[str], prefix: str = "") -> str:
    near = get_close_matches(name, sorted(known), 1, 0.5)
    return f" Did you mean {prefix}{near[0]}?" if near else f" Known: {', '.join(sorted(known))}."
