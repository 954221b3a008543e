"""Runs in the environment of the ``tensorzero`` wheel: starts its gateway, says where it is.

``patch_openai_client`` starts a gateway in this process on a port of its own and points an OpenAI
client at it; requests then reach it by HTTP from anywhere. Ends when standard input does.
"""

import sys

from openai import OpenAI

from tensorzero import patch_openai_client

client = OpenAI(api_key="none", base_url="http://127.0.0.1:9")
patched = patch_openai_client(client, config_file=sys.argv[1], async_setup=False)
print(f"listening on {patched.base_url}", flush=True)
sys.stdin.read()
