"""What every benchmark does with its figures: print them last, keep them as JSON, show them in docs/performance.md."""

import json
import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "bench" / "results"
PAGE = ROOT / "docs" / "performance.md"
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
LIBRARIES = ("pyspark", "delta-spark", "ray", "torch", "transformers", "deltalake", "pyarrow", "pandas", "numpy")


def publish(name: str, figures: dict[str, float]) -> None:
    """Write bench/results/NAME.json and the table in docs/performance.md, then print `figure NAME VALUE` lines."""
    result = {
        "benchmark": name,
        "date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "commit": _git("rev-parse", "--short=12", "HEAD") + ("+" if _git("status", "--porcelain") else ""),
        "machine": machine(),
        "versions": {"python": platform.python_version()} | {library: version(library) for library in LIBRARIES},
        "figures": figures,
    }
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    write_page()
    for figure, value in figures.items():
        print(f"figure {figure} {value:g}")


def machine() -> dict[str, Any]:
    """Processor, usable cores and GiB of memory."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {"processor": model, "cores": len(os.sched_getaffinity(0)), "memory_gib": round(memory)}


def table(results: Path = RESULTS) -> str:
    """All kept figures as one Markdown table."""
    rows = ["| figure | value | machine | commit | date |", "|---|---:|---|---|---|"]
    for path in sorted(results.glob("*.json")):
        result = json.loads(path.read_text(encoding="utf-8"))
        found = result["machine"]
        where = f"{found['processor']}, {found['cores']} cores, {found['memory_gib']} GiB"
        rows += [
            f"| {figure} | {value:g} | {where} | {result['commit']} | {result['date'][:10]} |"
            for figure, value in result["figures"].items()
        ]
    return "\n".join(rows)


def write_page(page: Path = PAGE, results: Path = RESULTS) -> None:
    """Put the table between the two marks of the page; what people wrote around it stays."""
    text = page.read_text(encoding="utf-8") if page.exists() else f"# Performance\n\n{BEGIN}\n{END}\n"
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{page.name} lacks the marks {BEGIN} and {END} between which the figures go")
    page.write_text(f"{before}{BEGIN}\n{table(results)}\n{END}{after}", encoding="utf-8")


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or ("" if done.returncode == 0 else "unknown")
