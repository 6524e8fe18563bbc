"""The files that generate_component_template makes, by Vue's own compiler."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
import trio

from tests.system.real import Docs, Release, answer, npm_registry, open_shipped, real_docs, sentence

__all__ = ["npm_registry", "real_docs"]

pytestmark = pytest.mark.network

COMPILE = """
const { parse, compileScript } = require('@vue/compiler-sfc')
const files = JSON.parse(require('fs').readFileSync(process.argv[1], 'utf8'))
const problems = []
for (const [name, code] of Object.entries(files)) {
  try {
    const { descriptor, errors } = parse(code, { filename: name })
    const made = compileScript(descriptor, { id: name, inlineTemplate: true })
    for (const error of errors) problems.push(name + ': ' + error.message)
    for (const warning of made.warnings || []) problems.push(name + ': ' + warning)
    // What is not bound to an import or a variable of the file would be looked for at run time.
    if (/_resolveComponent|_ctx\\./.test(made.content)) problems.push(name + ': something is not imported')
  } catch (error) {
    problems.push(name + ': ' + error.message)
  }
}
console.log(JSON.stringify({ count: Object.keys(files).length, problems }))
"""


@pytest.fixture(scope="session")
def vue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with Vue's compiler, by npm's own configuration; skips where there is none, except under CI=true."""
    folder = tmp_path_factory.mktemp("vue")
    quiet = ("--no-save", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(folder))
    try:
        subprocess.run(
            ["npm", "install", *quiet, "@vue/compiler-sfc@3"], cwd=folder, capture_output=True, timeout=100, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"Vue's compiler can't be installed: {error}")
    return folder


@pytest.mark.parametrize("near", ["3.20.6", "2.22.0"])
async def test_every_template_compiles(
    near: str, tmp_path: Path, npm_registry: str, real_docs: Docs, vue: Path
) -> None:
    """For each component in each type, with values for props: it compiles, and everything in it is imported."""
    release = Release(npm_registry, near)
    files: dict[str, str] = {}
    async with open_shipped(tmp_path, npm_registry, real_docs) as gateway:
        for name, tag in release.components().items():
            known = [prop["name"] for prop in tag.get("attributes", []) if not prop["name"].startswith("v-")]
            if not (known or tag.get("slots") or tag.get("events")):
                said = await sentence(gateway, "generate_component_template", name=name, version=release.version)
                assert said.startswith(f"No component named {name} in @varlet/ui {release.version} that can stand")
                continue
            values: dict[str, object] = dict.fromkeys(known[2:4], 'a "quoted" <b>&amp;</b>')
            values |= {prop: {"a": ["'\""]} for prop in known[4:6]}
            for kind in ("basic", "form", "page"):
                made = await answer(
                    gateway,
                    "generate_component_template",
                    name=name,
                    type=kind,
                    version=release.version,
                    props={**values, "noSuchProp": 1},
                )
                assert made["ignored"] == ["noSuchProp"]
                files[f"{name}-{kind}.vue"] = made["code"]
    (tmp_path / "files.json").write_text(json.dumps(files))
    ended = await trio.run_process(
        ["node", "-e", COMPILE, str(tmp_path / "files.json")], cwd=vue, capture_stdout=True, capture_stderr=True
    )
    assert json.loads(ended.stdout) == {"count": len(files), "problems": []}
    assert len(files) > 3 * 70


async def test_values_that_are_bound_already(tmp_path: Path, npm_registry: str, real_docs: Docs) -> None:
    """A value for what would be bound two ways, or for the rules of a form, takes its place."""
    async with open_shipped(tmp_path, npm_registry, real_docs) as gateway:
        made = await answer(
            gateway,
            "generate_component_template",
            name="input",
            type="form",
            version="3.20.6",
            props={"modelValue": "x", "rules": [], "Placeholder": "Your name", "clearable": True},
        )
        older = await answer(
            gateway,
            "generate_component_template",
            name="input",
            version="2",
            props={"v-model": "x", "size": "small", "Size": "normal"},
        )
    assert older["ignored"] == ["v-model"]
    assert '<var-input v-model="value" size="normal" />' in older["code"]
    element = next(line for line in made["code"].splitlines() if "<var-input" in line)
    assert element.strip() == ('<var-input model-value="x" placeholder="Your name" :rules="[]" :clearable="true" />')
