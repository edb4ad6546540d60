"""The files that run inside a jail, and their messages, which both sides read."""
