from tetviz.summaries.flatness import *  # noqa
from tetviz.summaries.flatness import checkpoint_names  # noqa
