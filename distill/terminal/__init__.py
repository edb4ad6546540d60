"""What a command writes on the terminal: results, logs, progress; nothing in it is invisible."""
