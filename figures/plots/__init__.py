"""Pictures drawn with matplotlib, a module for each."""
