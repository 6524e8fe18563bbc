"""A small documentation with pages of the names that Varlet's has, for where Varlet's own is not at hand."""

from __future__ import annotations

from pathlib import Path

EXAMPLE = "```html\n<script setup>\nconst a = 1\n</script>\n\n<template>\n  <var-{name} />\n</template>\n```"
API = "## API\n\n### Props\n\n| Prop | Default |\n| --- | --- |\n| `type` | `default` |"

COMPONENTS = {
    "button": ("Button", "Loading and disabled buttons, with a spinner.", "按钮", "禁用按钮,加载状态。"),
    "form": ("Form", "Validate a form before it is submitted, by rules.", "表单", "表单校验,提交之前。"),
    "dialog": ("Dialog", "Open a dialog by calling a function, to confirm.", "对话框", "函数调用,确认。"),
    "list": ("List", "Load more items when scrolling to the bottom of a list.", "列表", "无限滚动列表加载更多。"),
    "uploader": ("Uploader", "Upload a picture with a preview.", "文件上传", "上传图片,预览。"),
    "date-picker": ("DatePicker", "Pick a date or a range of dates.", "日期选择器", "选择日期。"),
    "themes": ("Themes", "Themes, dark or light.", "主题定制", "暗黑主题。"),
    "snackbar": ("Snackbar", "Show a message.", "消息条", "轻提示。"),
    "image": ("Image", "Lazy load images when they scroll into view.", "图片", "懒加载图片。"),
    "data-table": ("DataTable", "A table with sorting and pagination.", "数据表格", "排序,分页。"),
    "locale": ("Locale", "Change the language of the components.", "国际化", "怎样切换语言。"),
    "pull-refresh": ("PullRefresh", "Refresh by pulling down.", "下拉刷新", "下拉刷新内容。"),
    "ripple": ("Ripple Directive", "Waves.", "水波指令", "水波。"),
    "input": ("Input", "Type text.", "输入框", "输入文字。"),
    "select": ("Select", "Choose one.", "选择器", "选一个。"),
    "table": ("Table", "Rows.", "表格", "行。"),
}
GUIDES = {
    "quickstart": (
        "Quick Start",
        "### Install\n\n#### CDN\n\nBy CDN.\n\n#### Webpack/Vite\n\nnpm i @varlet/ui",
        "快速开始",
    ),
    "importOnDemand": (
        "Import On Demand",
        "Import components on demand.\n\n#### Install Plugin\n\nnpm\n\n#### Vite\n\nvite\n\n#### Vue CLI\n\nx",
        "按需引入",
    ),
    "serverSideRendering": ("Server Side Rendering", "Use Varlet with Nuxt.", "服务端渲染"),
    "browserAdaptation": ("Browser Adaptation", "The desktop, with a mouse.", "桌面端适配"),
    "migrationGuide": ("Migrating from 2.x", "What changed in 3.x.", "从 2.x 迁移"),
    "zodValidation": ("Zod Validation", "Validate input by zod.", "Zod 校验"),
}
CHANGELOG = """\
## [3.19.3](https://example.org) (2026-07-07)


### Features

* **Button:** another state ([1c8f228](https://example.org/1))

# [3.19.0](https://example.org) (2026-06-29)


### Bug Fixes

* **DateInput:** a fix ([b31b000](https://example.org/2))


### Features

* new component DateInput ([2916e2b](https://example.org/3))
"""


def write_small_docs(root: Path) -> None:
    """Write two releases in the layout of Varlet's repository."""
    for version in ("3.19.3", "3.9.1"):
        folder = root / "varletjs" / f"varlet@{version}"
        for name, (title, text, chinese, chinese_text) in COMPONENTS.items():
            example = EXAMPLE.replace("{name}", name)
            _write(
                folder / f"packages/varlet-ui/src/{name}/docs/en-US.md", f"# {title}\n\n{text}\n\n{example}\n\n{API}\n"
            )
            _write(
                folder / f"packages/varlet-ui/src/{name}/docs/zh-CN.md",
                f"# {chinese}\n\n{chinese_text}\n\n{example}\n\n{API}\n",
            )
        for name, (title, text, chinese) in GUIDES.items():
            _write(folder / f"packages/varlet-ui/docs/{name}.en-US.md", f"# {title}\n\n{text}\n")
            _write(folder / f"packages/varlet-ui/docs/{name}.zh-CN.md", f"# {chinese}\n\n{chinese},{text}\n")
        _write(folder / "CHANGELOG.md", CHANGELOG)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
