#!/usr/bin/env python3
"""Checks what the mock answers with an independent validator (Python `jsonschema`).

    check_documents.py EXCHANGES_PROGRAM SPEC...

For every document: one valid request for every operation, in default and dynamic mode, several seeds; the status must
be a declared 2xx (or what is declared instead) and the body valid against the declared schema.
"""
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import jsonschema
import yaml

SEEDS = [1, 2, 3]


def load(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file) if path.endswith(".json") else yaml.load(file, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def is_old(document):
    return "swagger" in document or str(document.get("openapi", "")).startswith("3.0")


def as_json_schema(node, old):
    """OpenAPI 2.0 and 3.0 schemas in the words of JSON Schema 2020-12."""
    if isinstance(node, list):
        return [as_json_schema(entry, old) for entry in node]
    if not isinstance(node, dict):
        return node
    if old and isinstance(node.get("$ref"), str):
        return {"$ref": node["$ref"]}
    out = {}
    for key, value in node.items():
        if key in ("enum", "const", "example", "examples", "default"):
            out[key] = value
        elif key in ("properties", "patternProperties") and isinstance(value, dict):
            out[key] = {name: as_json_schema(member, old) for name, member in value.items()}
        else:
            out[key] = as_json_schema(value, old)
    if old:
        out.pop("id", None)
        for bound, flag in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
            if isinstance(out.get(flag), bool):
                if out.pop(flag) and bound in out:
                    out[flag] = out.pop(bound)
        if not isinstance(out.get("required", []), list):
            out.pop("required")
        if out.get("nullable") is True or out.get("x-nullable") is True:
            if isinstance(out.get("type"), str):
                out["type"] = [out["type"], "null"]
    if out.get("type") == "file":
        out["type"] = "string"
    properties = out.get("properties")
    if isinstance(out.get("required"), list) and isinstance(properties, dict):
        out["required"] = [n for n in out["required"] if not (isinstance(properties.get(n), dict) and properties[n].get("writeOnly"))]
    return out


def resolve(document, node):
    for _ in range(50):
        if not (isinstance(node, dict) and isinstance(node.get("$ref"), str) and node["$ref"].startswith("#/")):
            return node
        target = document
        for token in node["$ref"][2:].split("/"):
            target = target[token.replace("~1", "/").replace("~0", "~").replace("%7B", "{").replace("%7D", "}")]
        node = target
    return node


def declared(document, line):
    path = line["path"] + ("#" + line["fragment"] if line["fragment"] else "")
    item = resolve(document, document["paths"].get(path) or document["paths"].get(path.lstrip("/")))
    operation = item[line["method"].lower()]
    responses = {str(status): resolve(document, response) for status, response in operation.get("responses", {}).items()}
    return operation, responses


def check(document, converted, line):
    operation, responses = declared(document, line)
    if "unsatisfiable" in line:
        return "no valid request: " + line["unsatisfiable"]
    status = str(line["status"])
    successes = [s for s in responses if s.startswith("2")]
    response = responses.get(status) or responses.get(status[0] + "XX") or responses.get("default")
    if responses and response is None:
        return f"status {status} is not declared: {line['body'][:300]}"
    if not status.startswith("2") and (successes or "default" in responses or not responses):
        return f"status {status}: {line['body'][:300]}"
    if response is None:
        return None
    if "swagger" in document:
        schema = response.get("schema")
    else:
        content = response.get("content") or {}
        media = next((m for n, m in content.items() if n.lower() == line["content_type"]), None)
        if content and media is None and status != "204":
            media = next((m for n, m in content.items() if "*" in n), None)
            if media is None:
                return f"content type {line['content_type']} is not declared"
        schema = (media or {}).get("schema")
    if schema is None or not line["content_type"].split(";")[0].endswith("json"):
        return None
    try:
        body = json.loads(line["body"])
    except ValueError as error:
        return f"not JSON: {error}: {line['body'][:100]}"
    schema = as_json_schema(schema, is_old(document))
    whole = {"$schema": "https://json-schema.org/draft/2020-12/schema", **{k: v for k, v in converted.items()}, "allOf": [schema]}
    validator = jsonschema.Draft202012Validator(whole, format_checker=jsonschema.FormatChecker())
    for error in validator.iter_errors(body):
        return f"invalid at /{'/'.join(map(str, error.absolute_path))}: {error.validator}: {error.message[:300]}"
    return None


def needs_credentials(document, line):
    operation, _ = declared(document, line)
    security = operation.get("security", document.get("security"))
    return bool(security) and all(security)


def main():
    program, specs = sys.argv[1], sys.argv[2:]
    failed = False
    for spec in specs:
        document = load(spec)
        old = is_old(document)
        converted = {
            "components": {"schemas": as_json_schema(document.get("components", {}).get("schemas", {}), old),
                           "responses": document.get("components", {}).get("responses", {})},
            "definitions": as_json_schema(document.get("definitions", {}), old),
        }
        if not old:
            converted["paths"] = document.get("paths", {})
        for mode in ([], ["dynamic"]):
            total = good = open_door = 0
            failures, slowest, sources = {}, 0, {}
            for seed in SEEDS:
                run = subprocess.run([program, spec, *mode, str(seed)], capture_output=True, text=True, check=False)
                if run.returncode != 0:
                    print(run.stderr[-2000:])
                    return 1
                for text in run.stdout.splitlines():
                    line = json.loads(text)
                    total += 1
                    slowest = max(slowest, line.get("micros", 0))
                    sources[line.get("source")] = sources.get(line.get("source"), 0) + 1
                    problem = check(document, converted, line)
                    if problem is None:
                        good += 1
                    else:
                        failures.setdefault(f"{line['method']} {line['path']}#{line['fragment'] or ''}", f"seed {seed}: {problem}")
                    if "unsatisfiable" not in line and needs_credentials(document, line) and line["without_credentials"] not in (401, 403):
                        open_door += 1
            name = spec.rsplit("/", 1)[-1]
            print(f"{name:34} {'dynamic' if mode else 'default':8} {good}/{total} valid, {open_door} open doors, slowest {slowest} µs, {sources}", flush=True)
            for operation, problem in list(failures.items())[:40]:
                print(f"    {operation}: {problem}")
            failed |= good != total or open_door > 0
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
