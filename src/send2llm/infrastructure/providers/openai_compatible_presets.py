"""Providers that speak the format of OpenAI's chat completions: an address and a key are nearly all of it.

Not here: GitHub Models, whose service ended on 2026-07-30, and Perplexity, which has had OpenAI's responses since its
chat completions ended on 2026-09-27 (https://docs.perplexity.ai/docs/agent-api/migrate-from-sonar/overview).
"""

from collections.abc import Mapping

from send2llm.infrastructure.formats.openai_chat import OutputLimitField
from send2llm.infrastructure.providers.preset import Preset

OLDER: OutputLimitField = "max_tokens"
NEWER: OutputLimitField = "max_completion_tokens"
"""A server that does not know the field for the limit of tokens passes over it in silence, and writes on: so each gets
the one that its documentation names, whatever a caller called it."""


def _compatible(
    base_url: str,
    key_variable: str | None,
    documentation: str,
    *,
    models: tuple[str, ...] = (),
    limit: OutputLimitField = OLDER,
    automatic: bool = True,
    free: bool = False,
) -> Preset:
    return Preset(
        "openai",
        base_url,
        key_variable,
        documentation,
        options={"output_limit": limit},
        models_begin_with=models,
        automatic=automatic,
        free=free,
    )


OPENAI_COMPATIBLE: Mapping[str, Preset] = {
    "groq": _compatible(
        "https://api.groq.com/openai/v1", "GROQ_API_KEY", "https://console.groq.com/docs/openai", limit=NEWER
    ),
    "deepseek": _compatible(
        "https://api.deepseek.com",
        "DEEPSEEK_API_KEY",
        "https://api-docs.deepseek.com",
        models=("deepseek-chat", "deepseek-reasoner", "deepseek-v"),
    ),
    "xai": _compatible(
        "https://api.x.ai/v1", "XAI_API_KEY", "https://docs.x.ai/docs/api-reference", models=("grok-",), limit=NEWER
    ),
    "openrouter": _compatible(
        "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY", "https://openrouter.ai/docs/api-reference/overview"
    ),
    "together": _compatible(
        "https://api.together.xyz/v1", "TOGETHER_API_KEY", "https://docs.together.ai/docs/openai-api-compatibility"
    ),
    "fireworks": _compatible(
        "https://api.fireworks.ai/inference/v1",
        "FIREWORKS_API_KEY",
        "https://docs.fireworks.ai/tools-sdks/openai-compatibility",
        models=("accounts/fireworks/",),
    ),
    "cerebras": _compatible(
        "https://api.cerebras.ai/v1",
        "CEREBRAS_API_KEY",
        "https://inference-docs.cerebras.ai/resources/openai",
        limit=NEWER,
    ),
    "nvidia": _compatible(
        "https://integrate.api.nvidia.com/v1", "NVIDIA_API_KEY", "https://docs.api.nvidia.com/nim/reference/llm-apis"
    ),
    "huggingface": _compatible(
        "https://router.huggingface.co/v1",
        "HF_TOKEN",
        "https://huggingface.co/docs/inference-providers",
        automatic=False,
    ),
    "sambanova": _compatible(
        "https://api.sambanova.ai/v1",
        "SAMBANOVA_API_KEY",
        "https://docs.sambanova.ai/docs/en/features/openai-compatibility",
    ),
    "moonshot": _compatible(
        "https://api.moonshot.ai/v1",
        "MOONSHOT_API_KEY",
        "https://platform.moonshot.ai/docs/api/chat",
        models=("kimi-", "moonshot-v1-"),
    ),
    "qwen": _compatible(
        "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
        "DASHSCOPE_API_KEY",
        "https://www.alibabacloud.com/help/en/model-studio/compatibility-of-openai-with-dashscope",
        models=("qwen-plus", "qwen-max", "qwen-turbo", "qwen-flash", "qwen3"),
    ),
    "zai": _compatible(
        "https://api.z.ai/api/paas/v4",
        "ZAI_API_KEY",
        "https://docs.z.ai/guides/develop/openai/python",
        models=("glm-",),
    ),
    "zhipu": _compatible(
        "https://open.bigmodel.cn/api/paas/v4",
        "ZHIPUAI_API_KEY",
        "https://docs.bigmodel.cn/cn/guide/develop/openai/introduction",
        models=("glm-",),
    ),
    "minimax": _compatible(
        "https://api.minimax.io/v1",
        "MINIMAX_API_KEY",
        "https://platform.minimax.io/docs/api-reference/text-openai-api",
        models=("MiniMax-",),
    ),
    "nebius": _compatible(
        "https://api.tokenfactory.nebius.com/v1", "NEBIUS_API_KEY", "https://docs.tokenfactory.nebius.com"
    ),
    "deepinfra": _compatible("https://api.deepinfra.com/v1/openai", "DEEPINFRA_API_KEY", "https://docs.deepinfra.com"),
    "hyperbolic": _compatible("https://api.hyperbolic.xyz/v1", "HYPERBOLIC_API_KEY", "https://docs.hyperbolic.xyz"),
    "novita": _compatible(
        "https://api.novita.ai/openai/v1",
        "NOVITA_API_KEY",
        "https://novita.ai/docs/api-reference/model-apis-llm-create-chat-completion",
    ),
    "siliconflow": _compatible(
        "https://api.siliconflow.com/v1",
        "SILICONFLOW_API_KEY",
        "https://docs.siliconflow.com/en/api-reference/chat-completions/chat-completions",
    ),
    "scaleway": _compatible(
        "https://api.scaleway.ai/v1",
        "SCW_SECRET_KEY",
        "https://www.scaleway.com/en/docs/generative-apis/api-cli/using-chat-api",
        automatic=False,
    ),
    "ovhcloud": _compatible(
        "https://oai.endpoints.kepler.ai.cloud.ovh.net/v1",
        "OVHCLOUD_API_KEY",
        "https://www.ovhcloud.com/en/public-cloud/ai-endpoints/catalog",
    ),
    "baseten": _compatible(
        "https://inference.baseten.co/v1", "BASETEN_API_KEY", "https://docs.baseten.co/inference/model-apis/overview"
    ),
    "databricks": _compatible(
        "",
        "DATABRICKS_TOKEN",
        "https://docs.databricks.com/aws/en/machine-learning/foundation-model-apis/api-reference",
        models=("databricks-",),
        automatic=False,
    ),
    "vllm": _compatible(
        "http://127.0.0.1:8000/v1",
        "VLLM_API_KEY",
        "https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html",
        free=True,
    ),
    "lmstudio": _compatible(
        "http://127.0.0.1:1234/v1", None, "https://lmstudio.ai/docs/developer/openai-compat", free=True
    ),
    "llamacpp": _compatible(
        "http://127.0.0.1:8080/v1", None, "https://github.com/ggml-org/llama.cpp/tree/master/tools/server", free=True
    ),
}
"""By the name that they have in the configuration."""
