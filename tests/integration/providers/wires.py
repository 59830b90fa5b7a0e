"""All formats of providers that there are, by the name that the configuration has for them."""

from subject_anthropic import Anthropic
from subject_azure import Azure
from subject_bedrock import Bedrock
from subject_cohere import Cohere
from subject_gemini import Gemini, Vertex
from subject_mistral import Mistral
from subject_ollama import Ollama
from subject_openai_responses import OpenAIResponses
from subjects import OpenAI, Wire

WIRES: dict[str, Wire] = {
    "openai": OpenAI(),
    "anthropic": Anthropic(),
    "openai-responses": OpenAIResponses(),
    "azure": Azure(),
    "mistral": Mistral(),
    "gemini": Gemini(),
    "vertex": Vertex(),
    "bedrock": Bedrock(),
    "cohere": Cohere(),
    "ollama": Ollama(),
}

__all__ = ["WIRES", "Wire"]
