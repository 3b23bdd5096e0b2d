"""Writes signatures.json: the cases of AWS's own signature test suite, for signatures in headers.

    git clone https://github.com/awslabs/aws-c-auth
    python tests/aws-models/signatures.py aws-c-auth

The suite is Apache-2.0, Copyright Amazon.com, Inc. Each case has its request, the options that differ from the first
case's, and the expected Authorization.
"""

import json
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
SUITE = "tests/aws-signing-test-suite/v4"
# What all cases have.
COMMON = {
    "credentials": {"access_key_id": "AKIDEXAMPLE", "secret_access_key": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"},
    "expiration_in_seconds": 3600,
    "region": "us-east-1",
    "service": "service",
    "timestamp": "2015-08-30T12:36:00Z",
}


def case(directory: pathlib.Path) -> dict:
    """The case in `directory`."""
    context = json.loads((directory / "context.json").read_text())
    token = context["credentials"].pop("token", None)
    normalize, sign_body = context.pop("normalize"), context.pop("sign_body")
    is_signed = not context.pop("omit_session_token", False)
    assert context == COMMON, f"{directory.name}: {context}"
    signed = (directory / "header-signed-request.txt").read_text().splitlines()
    [authorization] = [line.partition(":")[2] for line in signed if line.startswith("Authorization:")]
    return {
        "name": directory.name,
        "request": (directory / "request.txt").read_text(),
        "normalize": normalize,
        "sign_body": sign_body,
        "token": token,
        "token_is_signed": is_signed,
        "authorization": authorization,
    }


def main() -> None:
    """Writes the file."""
    checkout = pathlib.Path(sys.argv[1])
    commit = subprocess.check_output(["git", "-C", str(checkout), "rev-parse", "HEAD"], text=True).strip()
    cases = [case(directory) for directory in sorted((checkout / SUITE).iterdir())]
    head = {"source": f"https://github.com/awslabs/aws-c-auth, {commit}, {SUITE}", "license": "Apache-2.0", **COMMON}
    lines = ",\n".join("  " + json.dumps(one, ensure_ascii=False) for one in cases)
    text = json.dumps(head, indent=1).removesuffix("\n}") + f',\n "cases": [\n{lines}\n ]\n}}\n'
    (HERE / "signatures.json").write_text(text)


if __name__ == "__main__":
    main()
