"""Run every benchmark folder, or the one named: `make bench ONLY=import`. Each writes its own `results.json`."""

import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def main(only: str | None) -> int:
    names = sorted(path.parent.name for path in HERE.glob("*/run.py"))
    if only is not None and only not in names:
        sys.exit(f"no benchmark {only!r}; there are: {', '.join(names)}")
    failed = []
    for name in [only] if only else names:
        print(f"== {name}", flush=True)
        if subprocess.run([sys.executable, HERE / name / "run.py"], check=False, cwd=HERE.parents[1]).returncode:
            failed.append(name)
            continue
        for row in json.loads((HERE / name / "results.json").read_text(encoding="utf-8")):
            print("   {case}: {metric} {value:g} {unit} ({subject}), {peer_value} ({peer}), ratio {ratio}, target {target}".format(**row))
    if failed:
        print(f"failed: {', '.join(failed)}")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else None))
