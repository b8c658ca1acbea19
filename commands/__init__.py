"""What each command does behind its options; `tetviz.cli` parses and prints."""
