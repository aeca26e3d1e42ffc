"""Build hook: counterfoil/generated, made from the OpenAPI document."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

# The generator knows no text/toml; the one route that takes it is in counterfoil/client.py.
BY_HAND = {"/v1/workspaces/{workspace}/policy put"}


class GenerateHook(BuildHookInterface):
    """A folder of its own for each build, so that two at the same time do not meet; the tree is not written to."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        self.scratch = Path(tempfile.mkdtemp(prefix="counterfoil-client-"))
        target = self.scratch / "generated"
        document = json.loads(self.document().read_text("utf-8"))
        simplify(document)
        simplified = self.scratch / "openapi.json"
        simplified.write_text(json.dumps(document), "utf-8")
        command = [sys.executable, "-m", "openapi_python_client", "generate", "--meta", "none"]
        command += ["--path", str(simplified), "--output-path", str(target), "--config", str(Path(self.root, "generator.yaml"))]
        made = subprocess.run(command, capture_output=True, text=True, check=False)
        lost = missing(document, target) if made.returncode == 0 else ["everything"]
        if lost:
            raise RuntimeError(f"the generator left out {', '.join(lost)}:\n{made.stdout}{made.stderr}")
        place = "force_include_editable" if version == "editable" else "force_include"
        build_data.setdefault(place, {})[str(target)] = "counterfoil/generated"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        shutil.rmtree(self.scratch, ignore_errors=True)

    def document(self) -> Path:
        """Beside this file in a source distribution, in docs/ in the repository."""
        named = os.environ.get("COUNTERFOIL_OPENAPI")
        places = [Path(named)] if named else [Path(self.root, "openapi.json"), Path(self.root, "..", "..", "docs", "openapi.json")]
        for place in places:
            if place.is_file():
                return place.resolve()
        raise RuntimeError("the OpenAPI document is not there: " + ", ".join(map(str, places)))


def simplify(schema: Any) -> None:
    """Takes out what the generator misunderstands, and what makes no difference to types: rules about which members go together, which it
    takes for a choice of types, and lists of anything, which it does not know. A header of another type than text it hands to httpx as it is,
    which takes none."""
    if isinstance(schema, list):
        for one in schema:
            simplify(one)
    if not isinstance(schema, dict):
        return
    for rule in ("oneOf", "anyOf", "allOf"):
        choices = schema.get(rule)
        if "properties" in schema and isinstance(choices, list) and all(set(choice) <= {"required", "not"} for choice in choices):
            del schema[rule]
    if schema.get("type") == "array" and "items" not in schema and "prefixItems" not in schema:
        schema["items"] = {}
    if schema.get("in") == "header" and schema["schema"].get("type") == "string":
        schema["schema"].pop("format", None)
    for one in schema.values():
        simplify(one)


def missing(document: dict[str, Any], target: Path) -> list[str]:
    """Operations and schemas of the document that nothing was made of. The generator only warns of them."""

    def plain(name: str) -> str:
        return name.replace("_", "").lower()

    routes = {plain(file.stem) for file in target.glob("api/default/*.py")}
    models = {plain(file.stem) for file in target.glob("models/*.py")}
    lost = []
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if f"{path} {method}" not in BY_HAND and plain(operation["operationId"]) not in routes:
                lost.append(f"{method.upper()} {path}")
    for name, schema in document["components"]["schemas"].items():
        if schema.get("type") == "object" and "properties" in schema and plain(name) not in models:
            lost.append(name)
    return lost
