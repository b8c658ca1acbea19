"""What each kind of result shows: a module, and a view, for each."""
