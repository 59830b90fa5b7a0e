import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize(("port", "address"), [(None, "http://127.0.0.1:8484"), ("9600", "http://127.0.0.1:9600")])
def test_the_service_is_looked_for_where_it_is_told_to_listen(port, address):
    environment = {name: value for name, value in os.environ.items() if name != "SEND2LLM_PORT"}
    if port is not None:
        environment["SEND2LLM_PORT"] = port
    program = "from send2llm.interfaces.cli.service import DEFAULT_URL; print(DEFAULT_URL)"

    told = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)

    assert told.stdout.strip() == address
