from tetviz.summaries.intervals import *  # noqa
