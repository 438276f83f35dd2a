"""The picture of a report in the README.

    python -m benchmarks.screenshot --report DIR/report.html [--out report.png] [--width 1200] [--height 800]

It opens a page in the Chromium that is installed, and saves what fits into the window. The picture in the README is of
the run `bccd-54/original/24/0` of `benchmarks.recovery`.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

BROWSERS = ("chromium", "google-chrome", "chromium-browser")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--report", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("report.png"))
    parser.add_argument("--width", type=int, default=1200)
    parser.add_argument("--height", type=int, default=800)
    args = parser.parse_args()
    from playwright.sync_api import sync_playwright

    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        parser.error("no Chromium is installed")
    with sync_playwright() as playwright:
        window = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        page = window.new_page(viewport={"width": args.width, "height": args.height})
        page.goto(args.report.absolute().as_uri())
        page.wait_for_load_state("networkidle")
        page.screenshot(path=args.out)
        window.close()


if __name__ == "__main__":
    main()
