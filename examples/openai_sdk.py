"""The official OpenAI SDK with Send2LLM behind it: ask, stream, go on, and look at what was recorded.

After ``pip install openai``: ``python examples/openai_sdk.py [http://127.0.0.1:8484]``.
"""

import json
import sys
from urllib.request import urlopen

from openai import OpenAI

address = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8484"
client = OpenAI(base_url=f"{address}/v1", api_key="any")  # the key of SEND2LLM_API_KEY, where one is set
model = client.models.list().data[0].id

messages = [{"role": "user", "content": "Why is the sky blue?"}]
response = client.chat.completions.with_raw_response.create(model=model, messages=messages, max_tokens=60)
first = response.parse().choices[0].message
print(f"{model}: {first.content}")

# The history goes along, as always with this API: Send2LLM finds the conversation by it and adds what is new.
messages += [{"role": "assistant", "content": first.content}, {"role": "user", "content": "And at night?"}]
for chunk in client.chat.completions.create(model=model, messages=messages, max_tokens=60, stream=True):
    print(chunk.choices[0].delta.content or "" if chunk.choices else "", end="", flush=True)
print()

conversation = response.headers["x-send2llm-conversation-id"]
with urlopen(f"{address}/api/conversations/{conversation}/events") as events:  # noqa: S310 - the service's address
    for event in json.load(events)["data"]:
        print(event["version"], event["topic"])
