"""The files that run inside a jail, and the codec of their messages, which both sides use."""
