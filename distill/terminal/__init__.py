"""What a command writes on the terminal: results, logs, progress. All of it is made plain."""
