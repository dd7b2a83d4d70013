"""The floor for message timings: a bot of forty lines on a well-known HTTP library, no container, no gateway.

What somebody would write in an evening: poll, stream, send. Reads its (made-up) credentials from standard input.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
from typing import Any

import httpx2

SYSTEM = "You are helpful."


class Ports(httpx2.AsyncHTTPTransport):
    """Sends requests for the real hosts to the stand-ins' ports, with the real names in TLS."""

    def __init__(self, ports: dict[str, int], context: ssl.SSLContext) -> None:
        super().__init__(verify=context)
        self._ports = ports

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """See httpx2."""
        host = request.url.host
        request.extensions["sni_hostname"] = host
        request.url = request.url.copy_with(host="127.0.0.1", port=self._ports[host])
        return await super().handle_async_request(request)


async def answer(client: httpx2.AsyncClient, key: str, model: str, history: list[dict[str, str]]) -> str:
    """Streams one answer."""
    body = {"model": model, "instructions": SYSTEM, "input": history, "stream": True, "store": False}
    text = ""
    headers = {"Authorization": f"Bearer {key}"}
    async with client.stream("POST", "https://api.openai.com/v1/responses", json=body, headers=headers) as response:
        async for line in response.aiter_lines():
            if line.startswith("data:"):
                event = json.loads(line[5:])
                if event["type"] == "response.output_text.delta":
                    text += event["delta"]
    return text


async def main(given: dict[str, Any]) -> None:
    """Polls for ever."""
    context = ssl.create_default_context(cafile=given["ca"])
    base = f"https://api.telegram.org/bot{given['token']}"
    history: list[dict[str, str]] = []
    offset = 0
    async with httpx2.AsyncClient(transport=Ports(given["ports"], context), timeout=60) as client:
        while True:
            polled = await client.post(f"{base}/getUpdates", json={"offset": offset, "timeout": 50})
            for update in polled.json()["result"]:
                offset = update["update_id"] + 1
                message = update["message"]
                history.append({"role": "user", "content": message["text"]})
                text = await answer(client, given["key"], given["model"], history)
                history.append({"role": "assistant", "content": text})
                await client.post(f"{base}/sendMessage", json={"chat_id": message["chat"]["id"], "text": text})


if __name__ == "__main__":
    asyncio.run(main(json.load(sys.stdin)))
