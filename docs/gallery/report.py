"""One page with everything.

Results of any kind become one file that a browser opens, offline: surfaces to turn and read off, curves, tables, and
where every number comes from. `tetviz report` does the same. The picture is the top of the page in a browser.
"""

from pathlib import Path

from tetviz.figures.report.page import read_sources, render_report

files = [Path(f"{name}.{kind}.h5") for kind in ("landscape", "scale") for name in ("sdt", "tet")]
page = render_report(read_sources(files), title="Two networks on the digits")
Path("report.html").write_text(page, encoding="utf-8")
print(f"{len(page) / 1e6:.1f} MB")
