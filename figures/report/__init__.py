"""One page for results: interactive, self-contained, offline. Needs no torch.

``tetviz.figures.report.page`` makes it; the tables of ``tables_*`` are those that commands print.
"""
