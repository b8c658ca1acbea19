"""The commands, a file each. Only click is imported at the top of them, so that ``tetviz --help`` is instant."""
