"""How often other clients submit for one call when the service accepts and its answer is lost.

    python -m venv /tmp/others
    /tmp/others/bin/pip install fal-client==1.0.3 openai==2.54.0 runwayml==5.24.0 lumaai==1.21.0 litellm==1.106.2 \
        cli-302ai==1.0.5 replicate==1.0.7 google-genai==3.4.0
    python -m benchmarks.clients /tmp/others/bin/python

Each is used as its own documentation begins, with its defaults; the service is on this machine.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

WAYS = {
    "fal-client": "import fal_client.client as c; c.QUEUE_URL_FORMAT = URL + '/'\n"
    "import fal_client; fal_client.subscribe('fal-ai/flux', arguments={'prompt': 'a'})",
    "openai": "import openai; openai.OpenAI(base_url=URL, api_key='k').images.generate("
    "model='gpt-image-1', prompt='a')",
    "runwayml": "import runwayml; runwayml.RunwayML(base_url=URL, api_key='key_1').image_to_video.create("
    "model='gen4_turbo', prompt_image='https://x.example/a.png', prompt_text='a', ratio='1280:720', duration=5)",
    "lumaai": "import lumaai; lumaai.LumaAI(base_url=URL, auth_token='k').generations.create("
    "prompt='a', model='ray-2')",
    "litellm": "import litellm; litellm.image_generation("
    "prompt='a', model='openai/gpt-image-1', api_base=URL, api_key='k')",
    "cli-302ai": "import os, subprocess, sys, pathlib\n"
    "program = pathlib.Path(sys.executable).with_name('302ai')\n"
    "words = ['image', 'create', '--prompt', 'a', '--model', 'gemini-2.5-flash-image']\n"
    "subprocess.run([program, *words], env={**os.environ, 'AI302_BASE_URL': URL, 'AI302_KEY': 'k'})",
    "replicate": "import replicate; replicate.Client(api_token='k', base_url=URL).run("
    "'black-forest-labs/flux-schnell', input={'prompt': 'a'})",
    "google-genai": "from google import genai; client = genai.Client(api_key='k', http_options={'base_url': URL})\n"
    "client.models.generate_content(model='gemini-2.5-flash-image', contents='a')",
}


class _Service(ThreadingHTTPServer):
    """Takes every POST and answers with `status`, or closes the connection where that is 0."""

    daemon_threads = True
    status = 0
    accepted = 0


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        service = self.server
        assert isinstance(service, _Service)
        self.rfile.read(int(self.headers.get("content-length", 0)))
        service.accepted += 1
        self.close_connection = not service.status
        if service.status:
            self.send_response(service.status)
            self.send_header("content-length", "0")
            self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _accepted(python: str, program: str, status: int) -> int:
    with _Service(("127.0.0.1", 0), _Handler) as service, tempfile.TemporaryDirectory() as home:
        service.status = status
        threading.Thread(target=service.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{service.server_port}"
        environment = {**os.environ, "HOME": home, "FAL_KEY": "k"}
        subprocess.run(
            [python, "-c", f"URL = {url!r}\n{program}"], env=environment, capture_output=True, timeout=180, check=False
        )
        service.shutdown()
        return service.accepted


if __name__ == "__main__":
    print("| Client | answers 500 | closes the connection |\n|---|---|---|")
    for name, program in WAYS.items():
        print(f"| {name} | {_accepted(sys.argv[1], program, 500)} | {_accepted(sys.argv[1], program, 0)} |", flush=True)
